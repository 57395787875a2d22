"""TREC: qrels, which are judgments, and runs, which are lists as they were shown."""

from __future__ import annotations

import re

import polars as pl
from assay.components.core.errors import BadInput
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.readers.chunks import placed
from assay.components.ingest.readers.lines import rows_of_cells
from assay.components.ingest.readers.reader import Chunks, Reader
from assay.components.ingest.readers.sources import Source
from assay.components.ingest.readers.values import numbers

_QRELS = re.compile(r"\S+\s+\S+\s+\S+\s+-?\d+(\.\d+)?\s*")
_RUN = re.compile(r"\S+\s+Q0\s+\S+\s+\d+\s+\S+\s+\S.*")


def _is_qrels(source: Source) -> str | None:
    """`qid 0 docid rel`."""
    if source.kind == "lines" and all(_QRELS.fullmatch(line) for line in source.head):
        return "four cells a line, the last a number: query, iteration, document, relevance"
    return None


def _is_run(source: Source) -> str | None:
    """`qid Q0 docid rank score tag`."""
    if source.kind == "lines" and all(_RUN.fullmatch(line) for line in source.head):
        return "six cells a line, the second Q0: query, Q0, document, rank, score, tag"
    return None


def _numbers(frame: pl.DataFrame, name: str, source: Source) -> pl.Series:
    """A column's numbers.

    Raises:
        BadInput: A text is none.
    """
    found = numbers(frame[name])
    if found.null_count():
        row, text = frame.filter(found.is_null()).select("row", name).row(0)
        raise BadInput(f"{source.path}, line {row}: {text!r} is no number")
    return found


def _read_qrels(source: Source, ledger: Ledger) -> Chunks:
    """Judgments; texts are in tables of their own, e.g. of BEIR."""
    for frame in rows_of_cells(source, "", ("query_id", "iteration", "item_id", "grade")):
        grade = _numbers(frame, "grade", source)
        yield placed("judgments", frame.select("row", "query_id", "item_id", grade), source)


def _read_run(source: Source, ledger: Ledger) -> Chunks:
    """Impressions. The order is that of the scores, ties by document descending, as trec_eval has it."""
    names = ("query_id", "q0", "item_id", "rank", "score", "tag")
    table = pl.concat(
        frame.select("row", "query_id", "item_id", _numbers(frame, "score", source))
        for frame in rows_of_cells(source, "", names)
    )
    table = table.sort(["query_id", "score", "item_id"], descending=[False, True, True], maintain_order=True)
    position = pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over("query_id").alias("position")
    yield placed("impressions", table.with_columns(position).drop("score").sort("row"), source)


QRELS = Reader("trec_qrels", "TREC qrels: qid 0 docid rel", _is_qrels, _read_qrels)
RUN = Reader("trec_run", "TREC run: qid Q0 docid rank score tag", _is_run, _read_run)
