"""Criteo: the display advertising logs (2014 and terabyte), and the uplift data set (Diemert et al. 2018).

Neither says which advertisement was shown, nor to whom.
"""

from __future__ import annotations

import re

import polars as pl
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.readers.chunks import number, placed
from assay.components.ingest.readers.lines import cells
from assay.components.ingest.readers.reader import Chunks, Reader
from assay.components.ingest.readers.records import fitted, records
from assay.components.ingest.readers.sources import Source

_NUMBERS = tuple(f"I{i}" for i in range(1, 14))
_HASHES = tuple(f"C{i}" for i in range(1, 27))
_NAMES = ("label", *_NUMBERS, *_HASHES)
_DISPLAY = {**dict.fromkeys(("label", *_NUMBERS)), **dict.fromkeys(_HASHES, pl.String)}
_UPLIFT = ("treatment", "conversion", "visit", "exposure")
_FEATURES = tuple(f"f{i}" for i in range(12))
_UPLIFTED = dict.fromkeys((*_FEATURES, *_UPLIFT)) | {"treatment": pl.String}


def _is_line(line: list[str]) -> bool:
    return (
        len(line) == len(_NAMES)
        and line[0] in ("0", "1")
        and all(re.fullmatch(r"(-?\d+)?", cell) for cell in line[1:14])
        and all(re.fullmatch(r"([0-9a-f]{8})?", cell.strip()) for cell in line[14:])
    )


def _is_display(source: Source) -> str | None:
    lines = cells(source, "\t")
    if lines and all(map(_is_line, lines)):
        return "no header: a label of 0 or 1, 13 whole numbers, 26 hashes, cut at tabs"
    if source.has(*_NAMES):
        return "columns label, I1 to I13, C1 to C26"
    return None


def _is_uplift(source: Source) -> str | None:
    return f"columns f0, {', '.join(_UPLIFT)}" if source.has("f0", *_UPLIFT) else None


def _read_display(source: Source, ledger: Ledger) -> Chunks:
    """Impressions; what is empty in the file is null."""
    bare = cells(source, "\t") and not source.has(*_NAMES)
    named = (fitted(source, chunk, _DISPLAY) for chunk in source.chunks(_NAMES, "\t"))
    for chunk in named if bare else records(source, _DISPLAY):
        yield placed(
            "impressions",
            chunk.select(
                "row",
                number(chunk, "label", source, ledger).alias("clicked"),
                *(number(chunk, name, source, ledger).alias(f"feature.{name}") for name in _NUMBERS),
                *(pl.col(name).alias(f"attribute.{name}") for name in _HASHES),
            ),
            source,
        )


def _read_uplift(source: Source, ledger: Ledger) -> Chunks:
    """Impressions: who visited, under the policy `treatment` or `control`; conversions are events besides.

    Conversion and exposure come after what is predicted: they are no features. A conversion is of the session
    of its row, which is the only thing that ties it to its impression.
    """
    for chunk in records(source, _UPLIFTED):
        treated = chunk["treatment"].replace_strict(
            {"1": "treatment", "0": "control"}, default=None, return_dtype=pl.String
        )
        session = pl.format("{}:{}", pl.lit(source.name), "row")
        yield placed(
            "impressions",
            chunk.select(
                "row",
                number(chunk, "visit", source, ledger).alias("clicked"),
                treated.alias("policy"),
                session.alias("session_id"),
                *(number(chunk, name, source, ledger).alias(f"feature.{name}") for name in _FEATURES),
            ),
            source,
        )
        bought = chunk.filter(number(chunk, "conversion", source, ledger) == 1)
        if len(bought):
            yield placed(
                "events", bought.select("row", session.alias("session_id"), action=pl.lit("purchase")), source
            )


DISPLAY = Reader(
    "criteo", "Criteo display advertising: label, 13 numbers, 26 hashes", _is_display, _read_display
)
UPLIFT = Reader(
    "criteo_uplift",
    "Criteo uplift: f0..f11, treatment, conversion, visit, exposure",
    _is_uplift,
    _read_uplift,
)
