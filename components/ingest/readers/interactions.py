"""Interactions in the order of each user's history, split, without times: as of DEALRec (Lin et al. 2024)."""

from __future__ import annotations

import polars as pl
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.readers.fields import has, ids, joined_text, number, placed, records
from assay.components.ingest.readers.reader import Chunks, Reader
from assay.components.ingest.readers.sources import Source

_NEEDS = ("user_id", "item_id", "split", "pos_in_split", "position")
_ITEM = ("item_id", "asin", "title", "categories")


def _is_interactions(source: Source) -> str | None:
    return f"columns {', '.join(_NEEDS)}" if has(source, *_NEEDS) else None


def _is_items(source: Source) -> str | None:
    return f"columns {', '.join(_ITEM)}" if has(source, *_ITEM) else None


def _read_interactions(source: Source, ledger: Ledger) -> Chunks:
    """Events of action click: a choice, of which no more is known.

    `feature.order` is the place in the user's history, from 0; `attribute.split` the split as it was given.
    """
    for chunk in records(source, _NEEDS):
        yield placed(
            "events",
            chunk.select(
                "row",
                ids(chunk["user_id"]).alias("user_id"),
                ids(chunk["item_id"]).alias("item_id"),
                number(chunk, "position", source, ledger).alias("feature.order"),
                ids(chunk["split"]).alias("attribute.split"),
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
                ids(chunk["item_id"]).alias("item_id"),
                joined_text("title").alias("text"),
                ids(chunk["categories"]).alias("category"),
                ids(chunk["asin"]).alias("attribute.asin"),
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
