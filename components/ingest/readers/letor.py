"""LETOR and LibSVM: `4 qid:1 1:9.83 2:12.31 # 7555 rambo`, a grade, a query, numbers, and the document.

Qin and Liu 2013, "Introducing LETOR 4.0 Datasets". The comment names the document, alone or first
(`# 7555 rambo`) or as `#docid = GX000-00-0000000 inc = 1`; a line `# qid:1: rambo*1` has a query's text.
"""

from __future__ import annotations

import re

import polars as pl
from assay.components.core.errors import BadInput
from assay.components.ingest.ledger import EXAMPLES, Ledger
from assay.components.ingest.readers.lines import line_chunks
from assay.components.ingest.readers.reader import Chunks, Reader
from assay.components.ingest.readers.sources import Source

_LINE = r"^\s*-?\d+(\.\d+)?\s+qid:\S+(\s+[^\s:#]+:[-+.\deEnNaAiIfF]+)*\s*(#.*)?$"
_QUERY = r"^\s*#\s*qid:([^\s:]+):\s*(.*?\S)(?:\*\d+)?\s*$"


def _claims(source: Source) -> str | None:
    rows = [line for line in source.head if not line.lstrip().startswith("#")] if _text(source) else []
    if rows and all(re.match(_LINE, line) for line in rows):
        return "lines of a grade, qid:QUERY, NUMBER:VALUE"
    if not rows and _text(source) and any(re.match(_QUERY, line) for line in source.head):
        return "comments of qid:QUERY: TEXT"
    return None


def _text(source: Source) -> bool:
    return source.kind == "lines"


def _read(source: Source, ledger: Ledger) -> Chunks:
    for frame in line_chunks(source):
        yield from _chunk(source, frame, ledger)


def _chunk(source: Source, frame: pl.DataFrame, ledger: Ledger) -> Chunks:
    comment = pl.col("line").str.contains(r"^\s*#")
    queries = frame.filter(comment).select(
        "row", query_id=pl.col("line").str.extract(_QUERY, 1), query=pl.col("line").str.extract(_QUERY, 2)
    )
    queries = queries.filter(pl.col("query_id").is_not_null())
    if len(queries):
        yield "queries", queries.with_columns(source=pl.lit(source.name))
    frame = frame.filter(~comment)
    bad = frame.filter(~pl.col("line").str.contains(_LINE))
    if len(bad):
        number, line = bad.select("row", "line").row(0)
        raise BadInput(
            f"{source.path}, line {number}: expected a grade, qid:QUERY and NUMBER:VALUE, found {line[:80]!r}"
        )
    if not len(frame):
        return
    body = pl.col("line").str.extract(r"^\s*([^#]*[^#\s])", 1)
    note = pl.col("line").str.extract(r"#\s*(.*\S)", 1)
    frame = frame.select(
        "row",
        grade=body.str.extract(r"^(\S+)").cast(pl.Float64),
        query_id=body.str.extract(r"qid:(\S+)"),
        numbers=body.str.extract(r"qid:\S+\s+(.*)$"),
        item_id=pl.coalesce(note.str.extract(r"^docid\s*=\s*(\S+)"), note.str.extract(r"^(\S+)")),
        comment=note.str.extract(r"^\S+\s+(.*)$"),
    )
    nameless = frame.filter(pl.col("item_id").is_null())
    ledger.note(
        "unnamed_item", len(nameless), [f"{source.name}, row {row}" for row in nameless["row"][:EXAMPLES]]
    )
    # What has no name is an item of its own.
    name = pl.coalesce("item_id", pl.format("{}:{}", pl.lit(source.stem), "row"))
    judged = frame.drop("numbers", "comment").with_columns(
        name.alias("item_id"), frame["comment"].alias("attribute.comment"), source=pl.lit(source.name)
    )
    yield "judgments", pl.concat([judged, _features(frame["numbers"])], how="horizontal")


def _features(numbers: pl.Series) -> pl.DataFrame:
    """`1:9.83 2:12.31` -> columns feature.1, feature.2; what a line does not name is null."""
    long = (
        pl.DataFrame(
            {"line": pl.int_range(len(numbers), eager=True), "pair": numbers.str.extract_all(r"\S+")}
        )
        .explode("pair")
        .filter(pl.col("pair").is_not_null())
        .select(
            "line",
            name="feature." + pl.col("pair").str.extract(r"^([^:]+)"),
            value=pl.col("pair").str.extract(r":(.*)$").cast(pl.Float64, strict=False),
        )
    )
    names = long["name"].unique(maintain_order=True).to_list()
    every = pl.DataFrame({"line": pl.int_range(len(numbers), eager=True)})
    if not names:
        return every.select([])
    wide = long.pivot(on="name", on_columns=names, index="line", values="value", aggregate_function="last")
    return every.join(wide, on="line", how="left", maintain_order="left").drop("line")


LETOR = Reader("letor", "LETOR / LibSVM: grade qid:Q 1:x 2:y # document", _claims, _read)
