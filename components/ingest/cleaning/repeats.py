"""Rows that are there twice, and what bots made."""

from __future__ import annotations

import polars as pl
from assay.components.ingest.cleaning.account import marked, present, without
from assay.components.ingest.cleaning.facts import Facts
from assay.components.ingest.cleaning.policy import Policy
from assay.components.ingest.ledger import EXAMPLES, Ledger
from assay.components.ingest.tables import Tables

_BY_ID = {
    # One id may stand for all items of a list, or of an order.
    "impressions": ("duplicate_event", ["impression_id", "query_id", "item_id"]),
    "events": ("duplicate_event", ["event_id", "action", "item_id"]),
    "reviews": ("duplicate_review", ["review_id", "item_id"]),
}
_DONE_ONCE = {
    "impressions": ["query_id", "query", "context", "item_id", "position", "policy"],
    "events": ["query_id", "action", "item_id", "value"],
}
_TOLD = 20
"""Rows of a source from which its clock is judged."""


def twice_by_id(tables: Tables, ledger: Ledger, policy: Policy, facts: Facts) -> Tables:
    """`duplicate_event`, `duplicate_review`: an id that came before; the first row is kept."""
    for name, (reason, key) in _BY_ID.items():
        if present(tables, name):
            again = marked(tables[name], pl.col(key[0]).is_not_null() & ~pl.struct(key).is_first_distinct())
            tables = without(tables, name, again, ledger, reason)
    return tables


def twice_at_once(tables: Tables, ledger: Ledger, policy: Policy, facts: Facts) -> Tables:
    """`repeated_event`: what one user or session did to one item twice within a second.

    A double click, or an event sent again under a new id. Nobody is told apart where user and session are
    missing; a source that writes whole minutes only (as hourly ad logs do) cannot say what is at once.
    """
    for name, key in _DONE_ONCE.items():
        if not present(tables, name):
            continue
        timed = pl.col("timestamp").is_not_null()
        coarse = pl.col("source").is_in(facts.coarse(name, _TOLD).implode(), nulls_equal=True)
        told = timed & (pl.col("user_id").is_not_null() | pl.col("session_id").is_not_null()) & ~coarse
        second = pl.col("timestamp").dt.truncate("1s").alias("second")
        again = marked(
            tables[name], told & ~pl.struct("user_id", "session_id", *key, second).is_first_distinct()
        )
        tables = without(tables, name, again, ledger, "repeated_event")
    return tables


def bots(tables: Tables, ledger: Ledger, policy: Policy, facts: Facts) -> Tables:
    """`bot_session`: rows of sessions that no person can have made; `Policy` has the four thresholds.

    Where there are no sessions, what a user did in a day is one.
    """
    names = present(tables, "impressions", "events")
    parts = []
    for name in names:
        frame = tables[name]
        lists = name == "impressions"
        seen = pl.lit(True) if lists else pl.col("action") == "impression"
        click = pl.col("clicked").fill_null(0) > 0 if lists else pl.col("action") == "click"
        parts.append(
            frame.select(
                session().alias("session"),
                "timestamp",
                seen.cast(pl.UInt32).alias("shown"),
                click.cast(pl.UInt32).alias("clicks"),
            ).filter(pl.col("session").is_not_null())
        )
    if not parts:
        return tables
    figures = _figures(pl.concat(parts))
    many = pl.col("requests") >= policy.bot_requests
    inhuman = figures.filter(
        (pl.col("rows") > policy.bot_rows)
        | (many & (pl.col("rate") > policy.bot_rate))
        | (many & (pl.col("irregularity") < policy.bot_regularity))
        | ((pl.col("shown") >= policy.bot_shown) & (pl.col("share") > policy.bot_clicks))
    ).sort("session")
    if not len(inhuman):
        return tables
    examples = [
        f"session {one['session']}: {one['rows']} rows, {one['requests']} requests, "
        f"{_shown(one['rate'], '.1f')} a minute, gaps vary by {_shown(one['irregularity'], '.2f')}, "
        f"clicks {_shown(one['share'], '.0%')} of {one['shown']}"
        for one in inhuman.head(EXAMPLES).to_dicts()
    ]
    out, gone = dict(tables), 0
    for name in names:
        rows = marked(tables[name], session().is_in(inhuman["session"].implode()))
        out[name], gone = tables[name].filter(~rows), gone + int(rows.sum())
    ledger.drop("bot_session", gone, examples)
    return out


def session() -> pl.Expr:
    """A name for the visit a row belongs to; null where nobody is named."""
    day = pl.col("user_id") + " on " + pl.col("timestamp").dt.strftime("%Y-%m-%d").fill_null("no day")
    return pl.coalesce("session_id", day)


def _figures(rows: pl.DataFrame) -> pl.DataFrame:
    """One row a session: rows, requests, rate (a minute), irregularity, shown, share (clicked of it)."""
    totals = rows.group_by("session").agg(
        pl.len().alias("rows"), pl.col("shown").sum(), pl.col("clicks").sum()
    )
    moments = rows.select("session", "timestamp").drop_nulls().unique().sort("session", "timestamp")
    gaps = moments.with_columns(gap=pl.col("timestamp").diff().over("session").dt.total_microseconds() / 1e6)
    paced = gaps.group_by("session").agg(
        pl.len().alias("requests"),
        (60 * pl.col("gap").count() / pl.col("gap").sum()).alias("rate"),
        (pl.col("gap").std() / pl.col("gap").mean()).alias("irregularity"),
    )
    share = pl.when(pl.col("shown") > 0).then(pl.col("clicks") / pl.col("shown")).alias("share")
    return totals.join(paced, on="session", how="left").with_columns(share, pl.col("requests").fill_null(0))


def _shown(value: float | None, how: str) -> str:
    return "?" if value is None or value != value else format(value, how)
