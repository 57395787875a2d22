"""RetailRocket (2015): events, properties of items over time, and the tree of categories.

All values but categories and availability are hashed by the publisher, so an item's text is made of hashes.
"""

from __future__ import annotations

import polars as pl
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.readers.chunks import actions, moment, placed
from assay.components.ingest.readers.reader import Chunks, Reader
from assay.components.ingest.readers.records import records
from assay.components.ingest.readers.sources import ROWS, Source

_EVENT = ("timestamp", "visitorid", "event", "itemid")
_PROPERTY = ("timestamp", "itemid", "property", "value")
_TREE = ("categoryid", "parentid")
_EVENT_FIELDS = {**dict.fromkeys((*_EVENT, "transactionid"), pl.String), "timestamp": None}
_PROPERTY_FIELDS = {**dict.fromkeys(_PROPERTY, pl.String), "timestamp": None}
_PLAIN = ("categoryid", "available")
"""Properties that are not hashed."""
_NUMBER = r"^n-?[0-9.]+$"
"""A value that is a number: of what, the hash of its property does not say."""
_ACTIONS = {"view": "view", "addtocart": "cart", "transaction": "purchase"}


def _claim(names: tuple[str, ...]):
    return lambda source: f"columns {', '.join(names)}" if source.has(*names) else None


def _read_events(source: Source, ledger: Ledger) -> Chunks:
    for chunk in records(source, _EVENT_FIELDS):
        yield placed(
            "events",
            chunk.select(
                "row",
                moment(chunk, "timestamp", source, ledger).alias("timestamp"),
                pl.col("visitorid").alias("user_id"),
                pl.col("itemid").alias("item_id"),
                pl.col("transactionid").alias("attribute.transaction_id"),
                *actions(chunk, "event", _ACTIONS),
            ),
            source,
        )


def _read_properties(source: Source, ledger: Ledger) -> Chunks:
    """The last value in the file of each property of an item; text: these, by the names of the properties.

    Numbers are left out. The file has 20 million rows, most of them a value once more; one row an item and
    property is held.
    """
    parts: list[pl.DataFrame] = []
    for chunk in records(source, _PROPERTY_FIELDS):
        found = chunk.select(
            pl.col("row").cast(pl.UInt32),
            moment(chunk, "timestamp", source, ledger).alias("timestamp"),
            pl.col("itemid").alias("item_id"),
            pl.col("property").cast(pl.Categorical),
            "value",
        )
        plain = pl.col("property").cast(pl.String).is_in(_PLAIN)
        parts.append(found.filter(plain | ~pl.col("value").str.contains(_NUMBER)))
        # As seldom as holds what is held to twice what is kept.
        if sum(map(len, parts[1:])) > max(len(parts[0]), ROWS):
            parts = [_latest(parts)]
    one = _latest(parts).with_columns(pl.col("property").cast(pl.String)).sort("item_id", "property")
    words = pl.col("value").filter(~pl.col("property").is_in(_PLAIN))
    items = one.group_by("item_id", maintain_order=True).agg(
        pl.col("row").min(),
        words.str.join(" ").alias("text"),
        pl.col("value").filter(pl.col("property") == "categoryid").first().alias("category"),
        pl.col("value").filter(pl.col("property") == "available").first().alias("attribute.available"),
    )
    yield placed("items", items.with_columns(pl.col("text").replace("", None)), source)


def _latest(parts: list[pl.DataFrame]) -> pl.DataFrame:
    rows = pl.concat(parts).sort("timestamp", "row", nulls_last=False)
    return rows.unique(["item_id", "property"], keep="last")


def _read_tree(source: Source, ledger: Ledger) -> Chunks:
    """No rows: an item's category is its own; that categories have parents, no canonical table says.

    Read to its end all the same, so that a file that was cut is refused.
    """
    rows = sum(len(chunk) for chunk in records(source, _TREE))
    ledger.note("category_tree_not_used", rows)
    yield from ()


EVENTS = Reader(
    "retailrocket", "RetailRocket events: views, carts, transactions", _claim(_EVENT), _read_events
)
PROPERTIES = Reader("retailrocket_items", "RetailRocket item_properties", _claim(_PROPERTY), _read_properties)
TREE = Reader("retailrocket_tree", "RetailRocket category_tree: no rows of it", _claim(_TREE), _read_tree)
