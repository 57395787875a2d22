"""Interactions in the order of each user's history, split, without times: as of DEALRec (Lin et al. 2024)."""

from __future__ import annotations

import polars as pl
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.readers.chunks import number, placed
from assay.components.ingest.readers.reader import Chunks, Reader
from assay.components.ingest.readers.records import records
from assay.components.ingest.readers.sources import Source
from assay.components.ingest.readers.values import joined_text

_NEEDS = ("user_id", "item_id", "split", "pos_in_split", "position")
_FIELDS = {**dict.fromkeys(("user_id", "item_id", "split"), pl.String), "position": None}
_ITEM = ("item_id", "asin", "title", "categories")


def _is_interactions(source: Source) -> str | None:
    return f"columns {', '.join(_NEEDS)}" if source.has(*_NEEDS) else None


def _is_items(source: Source) -> str | None:
    return f"columns {', '.join(_ITEM)}" if source.has(*_ITEM) else None


def _read_interactions(source: Source, ledger: Ledger) -> Chunks:
    """Events of action click: a choice, of which no more is known.

    `feature.order` is the place in the user's history, from 0; `attribute.split` the split as it was given.
    """
    for chunk in records(source, _FIELDS):
        yield placed(
            "events",
            chunk.select(
                "row",
                "user_id",
                "item_id",
                number(chunk, "position", source, ledger).alias("feature.order"),
                pl.col("split").alias("attribute.split"),
                action=pl.lit("click"),
            ),
            source,
        )


def _read_items(source: Source, ledger: Ledger) -> Chunks:
    """Text: the title alone; the categories of a few hold advertisement."""
    for chunk in records(source, _ITEM):
        yield placed(
            "items",
            chunk.select(
                "row",
                "item_id",
                joined_text("title").alias("text"),
                pl.col("categories").alias("category"),
                pl.col("asin").alias("attribute.asin"),
            ),
            source,
        )


INTERACTIONS = Reader(
    "interactions",
    "Interactions in order: user_id, item_id, split, pos_in_split, position",
    _is_interactions,
    _read_interactions,
)
ITEMS = Reader("interactions_items", "Their items: item_id, asin, title, categories", _is_items, _read_items)
