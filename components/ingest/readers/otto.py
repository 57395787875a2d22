"""OTTO (2022): sessions of a shop, one a line, with their events."""

from __future__ import annotations

import polars as pl
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.readers.chunks import actions, moment, placed
from assay.components.ingest.readers.reader import Chunks, Reader
from assay.components.ingest.readers.records import records
from assay.components.ingest.readers.sources import Source

_EVENT = pl.Struct(dict.fromkeys(("aid", "ts", "type"), pl.String))
_ACTIONS = {"clicks": "click", "carts": "cart", "orders": "purchase"}


def _claims(source: Source) -> str | None:
    if source.kind in ("jsonl", "parquet", "json") and source.has("session", "events"):
        return "keys session, events"
    return None


def _read(source: Source, ledger: Ledger) -> Chunks:
    """Times are in milliseconds in the published files, in seconds in the competition's: each says itself."""
    for chunk in records(source, {"session": pl.String, "events": pl.List(_EVENT)}):
        empty = chunk.filter(pl.col("events").list.len().fill_null(0) == 0)
        ledger.drop("empty_list", len(empty), [f"{source.name}, row {row}" for row in empty["row"][:20]])
        events = chunk.explode("events", empty_as_null=False, keep_nulls=False).unnest("events")
        yield placed(
            "events",
            events.select(
                "row",
                pl.col("session").alias("session_id"),
                pl.col("aid").alias("item_id"),
                moment(events, "ts", source, ledger).alias("timestamp"),
                *actions(events, "type", _ACTIONS),
            ),
            source,
        )


EVENTS = Reader("otto", "OTTO jsonl: session, events of aid, ts, type", _claims, _read)
