"""The canonical tables: every format is turned into them, every task is made of them.

Any table may also have columns `feature.NAME` (numbers) and `attribute.NAME` (texts). `source` is the name of
the file a row came from, `row` its number in it, from 1: what the ledger's examples name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

MOMENT = pl.Datetime("us", "UTC")
ACTIONS = ("impression", "view", "click", "cart", "purchase", "like", "rating", "dwell", "other")
"""What an event can be, whatever its format calls it."""

_SEEN: dict[str, Any] = {"user_id": pl.String, "session_id": pl.String, "timestamp": MOMENT}
_WHERE: dict[str, Any] = {"source": pl.String, "row": pl.UInt32}
SCHEMAS: dict[str, dict[str, Any]] = {
    # A search, once; its id is that of the list it was answered with.
    "queries": {"query_id": pl.String, "query": pl.String, "locale": pl.String, **_SEEN, **_WHERE},
    "items": {
        "item_id": pl.String,
        "text": pl.String,
        **dict.fromkeys(("category", "brand", "colour", "size", "type"), pl.String),
        "price": pl.Float64,
        **_WHERE,
    },
    # An item shown. `context` is what it was shown for where that is no query: a placement, a page.
    # `clicked` is null where clicks are events of their own.
    "impressions": {
        "impression_id": pl.String,
        "query_id": pl.String,
        "query": pl.String,
        "context": pl.String,
        "item_id": pl.String,
        "position": pl.Int32,
        "clicked": pl.Float64,
        "propensity": pl.Float64,
        "policy": pl.String,
        **_SEEN,
        **_WHERE,
    },
    # Something done, one of `ACTIONS`; `value` is a rating, seconds of dwell, or money, as the action has it.
    "events": {
        "event_id": pl.String,
        "action": pl.String,
        "query_id": pl.String,
        "query": pl.String,
        "item_id": pl.String,
        "position": pl.Int32,
        "value": pl.Float64,
        **_SEEN,
        **_WHERE,
    },
    "judgments": {
        "query_id": pl.String,
        "query": pl.String,
        "item_id": pl.String,
        "grade": pl.Float64,
        "split": pl.String,
        "locale": pl.String,
        **_WHERE,
    },
    "reviews": {
        "review_id": pl.String,
        "item_id": pl.String,
        "title": pl.String,
        "text": pl.String,
        "rating": pl.Float64,
        "helpful": pl.Float64,
        "votes": pl.Float64,
        "verified": pl.Boolean,
        "category": pl.String,
        **_SEEN,
        **_WHERE,
    },
}
"""{table: {column: dtype}}."""
LOGGED = ("impressions", "events", "judgments", "reviews")
"""Tables whose rows the ledger accounts for; the others are looked up in."""

Tables = dict[str, pl.DataFrame]
"""{name of `SCHEMAS`: its rows}; a table without rows may be absent."""


def canonical(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Rows in the columns and dtypes of a table; what the format does not have is null.

    Args:
        name: Of `SCHEMAS`.
        frame: Its columns, as many as there are, and `feature.*`, `attribute.*`.

    Raises:
        ValueError: A column is none of the table's, or cannot be cast, which is a defect of the reader.
    """
    schema = SCHEMAS[name]
    more = {
        column: pl.Float64 if column.startswith("feature.") else pl.String
        for column in frame.columns
        if column.startswith(("feature.", "attribute."))
    }
    unknown = sorted(set(frame.columns) - set(schema) - set(more))
    if unknown:
        raise ValueError(f"table {name} has no column {', '.join(unknown)}")
    missing = [
        pl.lit(None, dtype=dtype).alias(column) for column, dtype in schema.items() if column not in frame
    ]
    try:
        return frame.with_columns(missing).select(
            pl.col(column).cast(dtype) for column, dtype in (schema | more).items()
        )
    except (pl.exceptions.PolarsError, TypeError) as error:
        raise ValueError(f"table {name}: {error}") from error


def joined(chunks: Iterable[tuple[str, pl.DataFrame]]) -> Tables:
    """Chunks of tables, in the order they came, as one table each."""
    parts: dict[str, list[pl.DataFrame]] = {}
    for name, chunk in chunks:
        parts.setdefault(name, []).append(canonical(name, chunk))
    return {name: pl.concat(chunks, how="diagonal") for name, chunks in parts.items()}


def together(parts: Iterable[Tables]) -> Tables:
    """Parts of a log as one; `items` are those of the first, since all parts have the same."""
    found: dict[str, list[pl.DataFrame]] = {}
    for tables in parts:
        for name, frame in tables.items():
            if name != "items" or name not in found:
                found.setdefault(name, []).append(frame)
    return {name: pl.concat(frames, how="diagonal") for name, frames in found.items()}


def logged_rows(tables: Mapping[str, pl.DataFrame]) -> int:
    """Rows that the ledger accounts for."""
    return sum(len(tables[name]) for name in LOGGED if name in tables)
