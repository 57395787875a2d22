"""Judgment lists without item texts: of OpenSearch's search relevance workbench, and of Quepid and Chorus.

Neither has ids of queries: a query is its text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl
from assay.components.core.errors import BadInput
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.readers.chunks import kept
from assay.components.ingest.readers.reader import Chunks, Reader
from assay.components.ingest.readers.records import records
from assay.components.ingest.readers.sources import Source
from assay.components.ingest.readers.values import numbers, texts

_QUEPID = {"query": "query", "querytext": "query", "docid": "item_id", "rating": "grade"}
"""{name in lower case, without spaces and underscores: column}: of the basic and of the detailed export."""


def _is_workbench(source: Source) -> str | None:
    if source.kind not in ("json", "jsonl"):
        return None
    whole = source.columns if source.kind == "jsonl" else source.document()
    if isinstance(whole, list | dict) and "judgmentRatings" in whole:
        return "an object with judgmentRatings"
    if source.kind == "json" and next(_lists(source), None):
        return "search hits whose _source has judgmentRatings"
    return None


def _lists(source: Source) -> Iterator[tuple[int, list[Any]]]:
    """(line, ratings of a list): a file holds one, an answer of the API several, a jsonl one a line."""
    documents = source.objects() if source.kind == "jsonl" else [(0, source.document())]
    for line, document in documents:
        hits = document.get("hits") if isinstance(document, dict) else None
        inside = hits.get("hits") if isinstance(hits, dict) else None
        for found in [hit.get("_source") for hit in inside] if isinstance(inside, list) else [document]:
            if isinstance(found, dict) and isinstance(found.get("judgmentRatings"), list):
                yield line, found["judgmentRatings"]


def _read_workbench(source: Source, ledger: Ledger) -> Chunks:
    """Rows are numbered by rating, but by line in a jsonl."""
    found: list[tuple[int, Any, Any, Any]] = []
    for line, judged in _lists(source):
        for one in judged:
            ratings = one.get("ratings") if isinstance(one, dict) else None
            if not isinstance(ratings, list) or not all(isinstance(rating, dict) for rating in ratings):
                raise BadInput(
                    f"{source.path}, after rating {len(found)}: judgmentRatings must hold objects of "
                    "query and ratings"
                )
            before = len(found)
            found.extend(
                (line or before + n, one.get("query"), rating.get("docId"), rating.get("rating"))
                for n, rating in enumerate(ratings, start=1)
            )
    if not found:
        raise BadInput(f"{source.path}: no ratings")
    columns = zip(("row", "query", "item_id", "grade"), zip(*found, strict=True), strict=True)
    frame = pl.DataFrame([pl.Series(name, list(values), strict=False) for name, values in columns])
    yield "judgments", _judgments(frame, source, ledger)


def _is_quepid(source: Source) -> str | None:
    if source.kind not in ("csv", "parquet"):
        return None
    found = _named(source)
    if set(found) == {"query", "item_id", "grade"}:
        return f"columns {', '.join(found.values())}"
    return None


def _named(source: Source) -> dict[str, str]:
    """{canonical column: the file's}."""
    out: dict[str, str] = {}
    for name in source.columns:
        column = _QUEPID.get(name.lower().replace(" ", "").replace("_", ""))
        # doc_id beside grades is the name of other formats; here it is one word, or "Doc ID".
        if column and name != "doc_id":
            out.setdefault(column, name)
    return out


def _read_quepid(source: Source, ledger: Ledger) -> Chunks:
    named = _named(source)
    for frame in records(source, dict.fromkeys(named.values(), pl.String)):
        frame = frame.rename({name: column for column, name in named.items()})
        yield "judgments", _judgments(frame, source, ledger)


def _judgments(frame: pl.DataFrame, source: Source, ledger: Ledger) -> pl.DataFrame:
    """Ratings are numbers, be they written as text ("100.000")."""
    frame = frame.with_columns(
        texts(frame["query"]), texts(frame["item_id"]), rating=frame["grade"], grade=numbers(frame["grade"])
    )
    frame = kept(frame, pl.col("grade").is_not_null(), "unlabelled", "rating", source, ledger)
    return frame.select("query", "item_id", "grade", "row", source=pl.lit(source.name))


WORKBENCH = Reader(
    "workbench", "search relevance workbench: judgmentRatings (json)", _is_workbench, _read_workbench
)
QUEPID = Reader("quepid", "Quepid and Chorus: query,docid,rating (csv)", _is_quepid, _read_quepid)
