"""BEIR and MS MARCO: corpus, queries and qrels, each in a file of its own.

BEIR (Thakur et al. 2021, https://github.com/beir-cellar/beir): corpus.jsonl, queries.jsonl, and
qrels/SPLIT.tsv with a header. MS MARCO: collection.tsv and queries.SPLIT.tsv without one, where a quotation
mark is a character like any other; its qrels are those of TREC, in a tsv.
"""

from __future__ import annotations

import re

import polars as pl
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.readers import trec
from assay.components.ingest.readers.chunks import kept, placed
from assay.components.ingest.readers.lines import rows_of_cells
from assay.components.ingest.readers.reader import Chunks, Reader
from assay.components.ingest.readers.records import records
from assay.components.ingest.readers.sources import Source
from assay.components.ingest.readers.values import joined_text

_QRELS = {"query-id": pl.String, "corpus-id": pl.String, "score": pl.Float64}
_TEXTS = dict.fromkeys(("_id", "title", "text"), pl.String)
_KEYS = {"_id", "title", "text", "metadata", "url"}
_PAIR = re.compile(r"[^\s\t]+\t[^\t]*")
_TREC = re.compile(r"\S+\s+(0|Q0)\s+\S+\s+-?\d+\s*")
_SPLITS = {"train": "train", "dev": "validation", "valid": "validation", "test": "test"}


def _claims(source: Source) -> str | None:
    if source.has(*_QRELS):
        return "columns query-id, corpus-id, score"
    if source.has("_id", "text") and source.kind in ("jsonl", "parquet"):
        # Exports of databases have `_id` and `text` too, among others.
        if set(source.columns) <= _KEYS or source.stem.startswith(("corpus", "queries")):
            return f"columns _id, text: the {_table(source)}"
        return None
    if source.kind != "csv":
        return None
    if all(_TREC.fullmatch(line) for line in source.head):
        return "TREC qrels in a tsv"
    if _stem(source) and all(_PAIR.fullmatch(line) for line in source.head):
        return f"an id, a tab, a text, in a file called {_stem(source)}"
    return None


def _stem(source: Source) -> str:
    return next((stem for stem in ("queries", "collection") if source.stem.startswith(stem)), "")


def _table(source: Source) -> str:
    """Items have titles, even if empty ones, or are called so; the rest are queries."""
    if source.has("title") or source.stem.startswith(("corpus", "collection", "documents")):
        return "items"
    return "queries"


def _read(source: Source, ledger: Ledger) -> Chunks:
    split = pl.lit(_split_of(source), dtype=pl.String).alias("split")
    if source.has(*_QRELS):
        for frame in records(source, _QRELS):
            frame = kept(frame, pl.col("score").is_not_null(), "unlabelled", "corpus-id", source, ledger)
            named = frame.rename({"query-id": "query_id", "corpus-id": "item_id", "score": "grade"})
            yield placed("judgments", named.with_columns(split), source)
    elif source.kind == "csv" and _TREC.fullmatch(source.head[0]):
        for table, frame in trec.QRELS.read(source, ledger):
            yield table, frame.with_columns(split)
    else:
        table = "items" if _stem(source) == "collection" else _table(source)
        key, text = ("item_id", "text") if table == "items" else ("query_id", "query")
        plain = source.kind == "csv"
        for frame in rows_of_cells(source, "\t", ("_id", "text")) if plain else records(source, _TEXTS):
            words = joined_text("text") if plain else joined_text("title", "text")
            yield placed(table, frame.select("row", words.alias(text), pl.col("_id").alias(key)), source)


def _split_of(source: Source) -> str | None:
    """`dev.tsv` and `qrels.dev.small.tsv` say it in their names."""
    parts = source.stem.split(".")
    return next((split for name, split in _SPLITS.items() if name in parts), None)


BEIR = Reader("beir", "BEIR / MS MARCO: corpus, queries, qrels", _claims, _read)
