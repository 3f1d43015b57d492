"""Packages that an extra of memtools brings: what is missing is named with the command that helps.

with needing("report"):
    import jinja2                            # or: "this needs jinja2, which is not installed"
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from memtools.errors import MemtoolsError


@contextlib.contextmanager
def needing(extra: str) -> Iterator[None]:
    """Turn the failure of an import into a MemtoolsError that names the extra.

    Of contexts within each other the outermost names its extra: it brings the others, too.
    """
    try:
        yield
    except ImportError as error:
        if _package(error) in ("memtools", "memtools_cli"):
            raise  # a fault of ours
        raise _missing(extra, error) from error
    except MemtoolsError as error:
        if not isinstance(error.__cause__, ImportError):
            raise
        raise _missing(extra, error.__cause__) from error.__cause__


def _missing(extra: str, error: ImportError) -> MemtoolsError:
    absent = isinstance(error, ModuleNotFoundError)
    how = "is not installed" if absent else f"cannot be imported: {error}"
    return MemtoolsError(
        f"this needs {_package(error)}, which {how}", hint=f"pip install 'memtools[{extra}]'"
    )


def _package(error: ImportError) -> str:
    return (error.name or "a package").partition(".")[0]
