"""Times that cannot be, clocks that differ, and rows that came late."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
from assay.components.ingest.cleaning.account import counted, marked, present, without
from assay.components.ingest.cleaning.facts import Facts
from assay.components.ingest.cleaning.policy import FIRST_MOMENT, Policy
from assay.components.ingest.cleaning.repeats import session
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.tables import MOMENT, Tables, canonical

_TIMED = ("queries", "impressions", "events", "reviews")
_NONE = pl.lit(None, dtype=MOMENT)


def possible(tables: Tables, ledger: Ledger, policy: Policy, facts: Facts) -> Tables:
    """`impossible_timestamp`: before 1995, or after the moment of ingest. Such a time becomes null."""
    for name in present(tables, *_TIMED):
        moment = pl.col("timestamp")
        rows = marked(tables[name], (moment < FIRST_MOMENT) | (moment > policy.latest()))
        tables = _mended(
            tables, name, rows, _NONE, ledger, "impossible_timestamp", policy.impossible_timestamp
        )
    return tables


def skew(tables: Tables, ledger: Ledger, policy: Policy, facts: Facts) -> Tables:
    """`clock_skew`: rows before the query that they answer, or after the end of the log.

    The log ends `lag_hours` after its last query. Where queries have no times there is nothing to tell by.
    """
    if facts.last_query is None:
        return tables
    asked = (
        tables.get("queries", canonical("queries", pl.DataFrame()))
        .select("query_id", asked="timestamp")
        .drop_nulls()
        .unique("query_id", keep="first", maintain_order=True)
    )
    end = facts.last_query + timedelta(hours=policy.lag_hours)
    for name in present(tables, "impressions", "events"):
        tables = tables | {name: tables[name].join(asked, on="query_id", how="left", maintain_order="left")}
        early = pl.col("timestamp") < pl.col("asked") - timedelta(seconds=policy.skew_seconds)
        late = pl.col("timestamp") > end
        rows = marked(tables[name], early.fill_null(False) | late)
        tables = _mended(tables, name, rows, pl.col("asked"), ledger, "clock_skew", policy.clock_skew)
        tables = tables | {name: tables[name].drop("asked")}
    return tables


def order(tables: Tables, ledger: Ledger, policy: Policy, facts: Facts) -> Tables:
    """`out_of_order`: rows that stand after a later one of their session; noted, and all sorted by time.

    Rows of one time stay in the order of their files; what has no time comes last.
    """
    out = dict(tables)
    for name in present(tables, "impressions", "events"):
        frame = tables[name].sort("source", "row", nulls_last=True, maintain_order=True)
        latest = pl.col("timestamp").cum_max().over("source", session().fill_null(""))
        named = pl.col("session_id").is_not_null() | pl.col("user_id").is_not_null()
        counted(ledger.note, "out_of_order", frame, marked(frame, named & (pl.col("timestamp") < latest)))
        out[name] = frame.sort("timestamp", nulls_last=True, maintain_order=True)
    return out


def _mended(
    tables: Tables, name: str, rows: pl.Series, to: pl.Expr, ledger: Ledger, reason: str, choice: str
) -> Tables:
    # A query is only looked up in: its time is mended, whatever the policy says of rows.
    if choice == "drop" and name != "queries":
        return without(tables, name, rows, ledger, reason)
    counted(ledger.repair, reason, tables[name], rows)
    mended = pl.when(pl.lit(rows)).then(to).otherwise("timestamp").alias("timestamp")
    return tables | {name: tables[name].with_columns(mended)} if rows.any() else tables
