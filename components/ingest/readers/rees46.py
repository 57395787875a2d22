"""REES46: behaviour in multi-category and cosmetics shops (Kechinov), a csv a month."""

from __future__ import annotations

import polars as pl
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.readers.chunks import actions, moment, number, once, placed
from assay.components.ingest.readers.reader import Chunks, Reader
from assay.components.ingest.readers.records import records
from assay.components.ingest.readers.sources import Source
from assay.components.ingest.readers.values import joined_text

_NEEDS = ("event_time", "event_type", "product_id", "user_id")
_TEXTS = ("event_type", "product_id", "user_id", "user_session", "category_id", "category_code", "brand")
_FIELDS = {**dict.fromkeys(_TEXTS, pl.String), "event_time": None, "price": None}
# Taking something out of the cart is no sign of liking it: it stays `other`, under its name.
_ACTIONS = {"view": "view", "cart": "cart", "purchase": "purchase"}


def _claims(source: Source) -> str | None:
    return f"columns {', '.join(_NEEDS)}" if source.has(*_NEEDS) else None


def _read(source: Source, ledger: Ledger) -> Chunks:
    """Events, and the products they are of, as the first event shows each.

    A product's text is all that the log says of it: its category in words, and its brand.
    """
    fresh = once("item_id")
    for chunk in records(source, _FIELDS):
        chunk = chunk.with_columns(
            pl.col("product_id").alias("item_id"), number(chunk, "price", source, ledger)
        )
        action, called = actions(chunk, "event_type", _ACTIONS)
        yield placed(
            "events",
            chunk.select(
                "row",
                "item_id",
                action,
                called,
                moment(chunk, "event_time", source, ledger).alias("timestamp"),
                "user_id",
                pl.col("user_session").alias("session_id"),
                pl.col("price").alias("feature.price"),
            ).with_columns(value=pl.when(action == "purchase").then(pl.col("feature.price"))),
            source,
        )
        products = chunk.with_columns(words=pl.col("category_code").str.replace_all(r"[._]", " "))
        yield placed(
            "items",
            fresh(products).select(
                "row",
                "item_id",
                joined_text("words", "brand").alias("text"),
                pl.coalesce("category_code", "category_id").alias("category"),
                "brand",
                "price",
            ),
            source,
        )


EVENTS = Reader("rees46", "REES46: event_time, event_type, product_id, ...", _claims, _read)
