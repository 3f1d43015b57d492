"""Reading numbers, for every command that is given a name or a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from memtools_cli.output import note

if TYPE_CHECKING:
    from memtools.estimates.model import Estimates
    from memtools.estimates.score_files import Numbers
    from memtools.estimates.scores import Scores


def open_numbers(
    what: str | Path, *, registry: list[str] | None, direction: str | None = None, **options: Any
) -> Numbers:
    """Load a name or a file, and print what was chosen in reading it.

    Args:
        what: A name, a group or a file.
        registry: More registries.
        direction: What a high number means.
        **options: As for memtools.load.
    """
    from memtools.artifacts.loader import load

    loaded = load(what, registries=registry or (), direction=direction or "", **options)
    for each in getattr(loaded, "notes", ()):
        note(f"note: {each}")
    return loaded


def open_scores(what: str | Path, **options: Any) -> Estimates | Scores:
    """Load one number for each example; of a list of pairs the memorization."""
    from memtools.alignment.comparison import scores_of
    from memtools.estimates.pairs import HighInfluencePairs

    loaded = open_numbers(what, **options)
    return scores_of(loaded) if isinstance(loaded, HighInfluencePairs) else loaded
