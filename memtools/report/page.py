"""A report: a folder with a page that opens from a disk or from any static server.

    written = write_report(memtools.load("cifar100"), Path("report"), images="tfds:cifar100")
    written.page                             # report/index.html

    index.html, page/             the page; it asks nothing of any network
    data/summary.js               all of the first view but its images
    data/level, pairs, harmful, shelf, names     what is loaded by need, and sheets of thumbnails
    figures/                      the same for a paper, if they are wanted

The folder appears whole or not at all. The same input gives the same bytes.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from memtools.arguments import StrPath, checked
from memtools.directories import appearing_directory, require_empty
from memtools.errors import ConfigError
from memtools.estimates.model import Estimates
from memtools.estimates.pairs import HighInfluencePairs
from memtools.estimates.scores import Scores
from memtools.extras import needing
from memtools.files import disk_errors
from memtools.report.choice import MAX_IMAGES, choose
from memtools.report.documents import Document
from memtools.report.images import open_images
from memtools.report.levels import levels_of
from memtools.report.packing import write_script
from memtools.report.packs import packs_of, write_packs
from memtools.report.pictures import Images, Mask
from memtools.report.quality import quality_of
from memtools.report.subject import subject_of
from memtools.report.summary import facts_of, summary_of
from memtools.report.thumbnails import Sheets
from memtools.runs.stores import Stores, open_stores
from memtools.wording import printable

with needing("report"):
    import jinja2

TEMPLATE = Path(__file__).parent / "template"
_PARTS = {"index.html", "page", "data"}  # of a report that may be made again
FEWEST = 1000  # thumbnails: with less there is nothing to see


@dataclasses.dataclass(frozen=True)
class Written:
    """What a report came to. n_drawn: thumbnails on all sheets; n_missing: examples without one."""

    page: Path
    n_bytes: int
    n_drawn: int
    n_missing: int


@checked('memtools.write_report(estimates, "report", images="tfds:cifar100")')
def write_report(
    numbers: Estimates | Scores | HighInfluencePairs,
    to: StrPath,
    *,
    images: Any = None,
    stores: Stores = (),
    figures: bool = False,
    max_images: int = MAX_IMAGES,
    over: bool = False,
) -> Written:
    """Write the report of estimates or scores to a new directory.

    images: a source (memtools.report.images), or a data set object. stores: of the runs that the
    numbers were estimated from, or their paths, for their quality. figures: draw some as PDF and
    PNG, too. max_images: thumbnails that are drawn at most, 1,000 and more. over: in the place of
    a report that is there.

    Raises DiskError for a directory that is not empty; AlignmentError for images of something else;
    ConfigError for a list of pairs, or for runs of other numbers.
    """
    to, stores = Path(to), open_stores(stores)
    if max_images < FEWEST:
        raise ConfigError(f"at most {max_images} images", hint=f"allow {FEWEST:,} or more")
    require_free_place(to, over=over)
    subject = subject_of(numbers)
    source = None if images is None else open_images(images, subject)
    quality = quality_of(subject, stores)
    levels = levels_of(subject.values)
    there = _there(source)
    choice = choose(subject, levels, max_images=max_images, train=there[0], test=there[1])
    with appearing_directory(to, over=over) as root:
        data = root / "data"
        sheets = None if source is None else Sheets(data, source)
        if sheets is not None:
            sheets.gather(train=choice.all_train(), test=choice.all_test(subject.ties))
        drawn = write_packs(data, packs_of(subject, choice), sheets)
        summary = summary_of(subject, levels, choice, quality, drawn)
        write_script(data, "summary", summary)
        _write_page(root, facts_of(subject, quality, drawn))
        if figures:
            from memtools.report.plates import draw_plates  # matplotlib takes a second

            draw_plates(root / "figures", subject, choice, quality, sheets)
        n_bytes = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    return Written(to / "index.html", n_bytes, drawn.n, drawn.n_missing)


def require_free_place(to: Path, *, over: bool) -> None:
    """Raise DiskError unless a report may appear there: over a report, if that is wanted."""
    with disk_errors(to):
        is_report = (to / "data" / "summary.js").is_file()
        if not (over and is_report and {path.name for path in to.iterdir()} <= _PARTS):
            require_empty(to)


def _there(images: Images | None) -> tuple[Mask | None, Mask | None]:
    """Which examples of each split have an image; None where a split has none."""
    if images is None:
        return None, None
    return images.train.there, None if images.test is None else images.test.there


def _shown(value: Any) -> Any:
    """Return text of others with its control characters escaped; markup of ours as it is."""
    return printable(value, keep="\n") if type(value) is str else value


def _write_page(root: Path, facts: Document) -> None:
    """The page itself: the template filled in, and its scripts and style as they are."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATE),
        autoescape=True,
        finalize=_shown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    scripts = sorted(path.name for path in TEMPLATE.glob("*.js"))
    page = environment.get_template("index.html.j2").render(scripts=scripts, **facts)
    with disk_errors(root):
        (root / "index.html").write_text(page, "utf-8")
        (root / "page").mkdir()
        for name in (*scripts, "style.css", "icon.svg"):
            (root / "page" / name).write_bytes((TEMPLATE / name).read_bytes())
