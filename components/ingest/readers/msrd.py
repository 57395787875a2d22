"""MSRD, movies searched for and judged by people: judgments and a corpus, and both as flat tables.

Grebennikov and Lvov 2023, https://github.com/metarank/msrd; Elastic's copy of it is `movies-judgments.tsv.gz`
(query_id, query, doc_id, grade) with `movies-corpus.jsonl.gz`.
"""

from __future__ import annotations

import polars as pl
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.readers.chunks import kept
from assay.components.ingest.readers.reader import Chunks, Reader
from assay.components.ingest.readers.records import records
from assay.components.ingest.readers.sources import Source
from assay.components.ingest.readers.values import joined_text

_TEXTS = ("genres", "director", "actors")
_NUMBERS = ("year", "popularity", "rating")
_JUDGED = ("query_id", "query", "grade", "split")
_FILES = (
    ("query_id", "query", "doc_id", "grade"),
    ("query", "product_id", "product_title", "genres", "grade"),
    ("id", "title", "overview", "genres"),
    ("product_id", "product_title", "product_description", "genres"),
)
"""Columns that tell each of the files."""
_SAME = {
    "item_id": ("doc_id", "product_id", "id"),
    "title": ("product_title", "title"),
    "description": ("product_description", "overview"),
}
_SCHEMA = {
    **dict.fromkeys((*_JUDGED, *_TEXTS), pl.String),
    **{name: pl.String for names in _SAME.values() for name in names},
    **dict.fromkeys(_NUMBERS, pl.Float64),
    "grade": pl.Float64,
}


def _claims(source: Source) -> str | None:
    found = next((names for names in _FILES if source.has(*names)), None)
    return found and f"columns {', '.join(found)}"


def _read(source: Source, ledger: Ledger) -> Chunks:
    judged, described = source.has("query", "grade"), source.has("genres")
    for frame in records(source, _SCHEMA):
        frame = frame.with_columns(
            **{name: pl.coalesce(names) for name, names in _SAME.items()}, source=pl.lit(source.name)
        )
        if described:
            yield "items", _items(frame)
        if judged:
            frame = kept(frame, pl.col("grade").is_not_null(), "unlabelled", "item_id", source, ledger)
            # "qid:7" of the one file is 7 of the other.
            query_id = pl.col("query_id").str.strip_prefix("qid:")
            yield "judgments", frame.select(query_id, *_JUDGED[1:], "item_id", "source", "row")


def _items(frame: pl.DataFrame) -> pl.DataFrame:
    """Title and description; genres are the category."""
    return (
        frame.filter(pl.col("item_id").is_not_null())
        .unique("item_id", maintain_order=True)
        .select(
            *("item_id", "source", "row"),
            text=joined_text("title", "description"),
            category="genres",
            **{f"attribute.{name}": pl.col(name) for name in _TEXTS[1:]},
            **{f"feature.{name}": pl.col(name) for name in _NUMBERS},
        )
    )


MSRD = Reader("msrd", "MSRD: movie judgments and corpus", _claims, _read)
