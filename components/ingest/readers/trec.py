"""TREC: qrels, which are judgments, and runs, which are lists as they were shown."""

from __future__ import annotations

import re

import polars as pl
from assay.components.core.errors import BadInput
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.readers.reader import Chunks, Reader
from assay.components.ingest.readers.sources import ROWS, Source

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


def _cells(source: Source, count: int):
    """(line, cells) of each line, with as many cells as the format has.

    Raises:
        BadInput: A line has fewer or more: also the last one, where a file was cut.
    """
    for number, line in source.lines():
        cells = line.split()
        if len(cells) != count:
            raise BadInput(f"{source.path}, line {number}: {len(cells)} cells, where a line has {count}")
        yield number, cells


def _in_chunks(name: str, rows, source: Source) -> Chunks:
    chunk = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == ROWS:
            yield name, pl.DataFrame(chunk).with_columns(source=pl.lit(source.name))
            chunk = []
    if chunk:
        yield name, pl.DataFrame(chunk).with_columns(source=pl.lit(source.name))


def _number(source: Source, line: int, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise BadInput(f"{source.path}, line {line}: {text!r} is no number") from error


def _read_qrels(source: Source, ledger: Ledger) -> Chunks:
    """Judgments; texts are in tables of their own, e.g. of BEIR."""
    rows = (
        {"query_id": q, "item_id": d, "grade": _number(source, line, grade), "row": line}
        for line, (q, _, d, grade) in _cells(source, 4)
    )
    return _in_chunks("judgments", rows, source)


def _read_run(source: Source, ledger: Ledger) -> Chunks:
    """Impressions. The order is that of the scores, ties by document descending, as trec_eval has it."""
    table = pl.DataFrame(
        [
            {"query_id": q, "item_id": d, "score": _number(source, line, score), "row": line}
            for line, (q, _, d, _, score, _) in _cells(source, 6)
        ]
    )
    table = table.sort(["query_id", "score", "item_id"], descending=[False, True, True], maintain_order=True)
    position = pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over("query_id").alias("position")
    shown = table.with_columns(position, source=pl.lit(source.name)).drop("score")
    yield "impressions", shown.sort("row")


QRELS = Reader("trec_qrels", "TREC qrels: qid 0 docid rel", _is_qrels, _read_qrels)
RUN = Reader("trec_run", "TREC run: qid Q0 docid rank score tag", _is_run, _read_run)
