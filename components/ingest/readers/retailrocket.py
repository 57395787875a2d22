"""RetailRocket (2015): events, properties of items over time, and the tree of categories.

All values but categories and availability are hashed by the publisher, so an item's text is made of hashes.
"""

from __future__ import annotations

import polars as pl
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.readers.fields import actions, has, ids, moment, placed, records
from assay.components.ingest.readers.reader import Chunks, Reader
from assay.components.ingest.readers.sources import Source

_EVENT = ("timestamp", "visitorid", "event", "itemid")
_PROPERTY = ("timestamp", "itemid", "property", "value")
_TREE = ("categoryid", "parentid")
_ACTIONS = {"view": "view", "addtocart": "cart", "transaction": "purchase"}


def _claim(names: tuple[str, ...]):
    return lambda source: f"columns {', '.join(names)}" if has(source, *names) else None


def _read_events(source: Source, ledger: Ledger) -> Chunks:
    for chunk in records(source, (*_EVENT, "transactionid")):
        yield placed(
            "events",
            chunk.select(
                "row",
                moment(chunk, "timestamp", source, ledger).alias("timestamp"),
                ids(chunk["visitorid"]).alias("user_id"),
                ids(chunk["itemid"]).alias("item_id"),
                ids(chunk["transactionid"]).alias("attribute.transaction_id"),
                *actions(chunk, "event", _ACTIONS),
            ),
            source,
        )


def _read_properties(source: Source, ledger: Ledger) -> Chunks:
    """The last value of each property of an item; text: those values in the order of the properties' names.

    The file has 20 million rows, most of them a value once more; one row an item and property is held.
    """
    latest: pl.DataFrame | None = None
    for chunk in records(source, _PROPERTY):
        found = chunk.select(
            pl.col("row").cast(pl.UInt32),
            moment(chunk, "timestamp", source, ledger).alias("timestamp"),
            ids(chunk["itemid"]).alias("item_id"),
            ids(chunk["property"]).cast(pl.Categorical).alias("property"),
            ids(chunk["value"]).alias("value"),
        )
        both = found if latest is None else pl.concat([latest, found])
        latest = both.sort("timestamp", "row").unique(["item_id", "property"], keep="last")
    if latest is None:
        return
    one = latest.with_columns(pl.col("property").cast(pl.String)).sort("item_id", "property")
    words = pl.col("value").filter(~pl.col("property").is_in(["categoryid", "available"]))
    items = one.group_by("item_id", maintain_order=True).agg(
        pl.col("row").min(),
        words.str.join(" ").alias("text"),
        pl.col("value").filter(pl.col("property") == "categoryid").first().alias("category"),
        pl.col("value").filter(pl.col("property") == "available").first().alias("attribute.available"),
    )
    yield placed("items", items.with_columns(pl.col("text").replace("", None)), source)


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
