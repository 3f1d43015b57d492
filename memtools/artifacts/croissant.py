"""Croissant metadata of a published file, for search engines of data sets.

    describe(artifact, arrays, Imprint(license="CC-BY-4.0"))     # the content of croissant.json

Croissant (http://mlcommons.org/croissant/1.0) knows tables and folders of images, and no npz:
the files are described as they lie there, with their digests, and a record set `arrays` is the
table of contents, a record for each array. How parts are joined it cannot say; words do.

It asks for a licence, a creator, an address and a date, which nobody but the publisher
knows: what is not given is left out.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import Sequence
from typing import Any

from memtools.artifacts.registry import NOT_RECORDED, Artifact
from memtools.errors import ConfigError
from memtools.estimates.summary import MEANINGS, ArrayFacts


@dataclasses.dataclass(frozen=True)
class Imprint:
    """What only the publisher knows.

    license: of the data, as a URL or an SPDX name. creators: persons. url: where the folder
    will be. date: of the publication. Nothing of this is guessed, and no clock is read, so that
    the same input makes the same bytes.
    """

    license: str = ""
    creators: Sequence[str] = ()
    url: str = ""
    date: datetime.date | None = None

    def __post_init__(self) -> None:
        """Refuse an address that is none."""
        if self.url and not self.url.startswith(("https://", "http://")):
            raise ConfigError(
                f"{self.url!r} is not the address of a folder",
                hint="give one that starts with https://, or none: it is not needed to fetch",
            )

    @property
    def lacking(self) -> list[str]:
        """What Croissant asks for and is not known."""
        return [field.name for field in dataclasses.fields(self) if not getattr(self, field.name)]


def describe(artifact: Artifact, arrays: Sequence[ArrayFacts], imprint: Imprint) -> str:
    """The content of croissant.json; URLs in it are relative to it."""
    facts = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": artifact.name,
        "description": _description(artifact),
        "keywords": [artifact.dataset, artifact.kind],
        "citeAs": "" if artifact.paper == NOT_RECORDED else artifact.paper,
        "license": imprint.license,
        "creator": [{"@type": "sc:Person", "name": name} for name in imprint.creators],
        "url": imprint.url,
        "datePublished": imprint.date and imprint.date.isoformat(),
        "distribution": _files(artifact),
        "recordSet": [_contents(arrays)],
    }
    known = {key: value for key, value in facts.items() if value}
    return json.dumps(known, indent=2, ensure_ascii=False) + "\n"


def _description(artifact: Artifact) -> str:
    joined = (
        ""
        if len(artifact.parts) == 1
        else f" The files are the parts of {artifact.file}: its bytes are theirs, one after the"
        f" other, in the order given; its sha256 is {artifact.sha256}."
    )
    doubt = f" Doubt: {artifact.doubt}." if artifact.doubt else ""
    return (
        f"{artifact.definition}. Direction: {artifact.direction}. Data set: {artifact.dataset};"
        f" order of the examples: {artifact.order}.{doubt}{joined}"
    )


def _files(artifact: Artifact) -> list[dict[str, Any]]:
    """Every file as it lies in the folder. An npz is a zip; an npy or a part has no type."""
    whole = len(artifact.parts) == 1
    is_zip = whole and artifact.file.endswith(".npz")
    return [
        {
            "@type": "cr:FileObject",
            "@id": part.file,
            "name": part.file,
            "description": "NumPy arrays" if whole else f"part {n} of {artifact.file}",
            "contentUrl": part.url,
            "contentSize": f"{part.size} B",
            "encodingFormat": "application/zip" if is_zip else "application/octet-stream",
            "sha256": part.sha256,
        }
        for n, part in enumerate(artifact.parts, 1)
    ]


def _contents(arrays: Sequence[ArrayFacts]) -> dict[str, Any]:
    """The table of contents: a record for each array, or family of arrays of the classes."""
    fields = [
        ("name", "sc:Text", "Name of the array; {K} stands for the label of a class."),
        ("count", "sc:Integer", "How many arrays of this name there are."),
        ("dtype", "sc:Text", "Type of its elements, as NumPy writes it."),
        ("shape", "sc:Text", "Its shape; of several, the smallest and the largest."),
        ("meaning", "sc:Text", "What it holds."),
    ]
    rows = [
        (each.name, each.count, each.dtype, each.shape_in_words, MEANINGS[each.name])
        for each in arrays
    ]
    ids = [f"arrays/{name}" for name, _, _ in fields]
    return {
        "@type": "cr:RecordSet",
        "@id": "arrays",
        "name": "arrays",
        "description": "Table of contents of the file, not the numbers themselves.",
        "key": {"@id": ids[0]},
        "field": [
            {"@type": "cr:Field", "@id": id_, "name": name, "dataType": kind, "description": words}
            for id_, (name, kind, words) in zip(ids, fields, strict=True)
        ],
        "data": [dict(zip(ids, row, strict=True)) for row in rows],
    }


_TERMS = (
    "citeAs column extract field fileObject fileProperty fileSet format includes isLiveDataset"
    " jsonPath key md5 parentField path recordSet references regex repeated replace samplingRate"
    " separator source subField transform equivalentProperty"
)
# As Croissant 1.0 recommends it, all of it: what we do not use, its validator wants to see, too.
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{term: f"cr:{term}" for term in _TERMS.split()},
}
