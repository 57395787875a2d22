"""Ids that are missing, or name what nobody knows, and texts that are not there."""

from __future__ import annotations

import polars as pl
from assay.components.ingest.cleaning.account import (
    counted,
    dropped_or_noted,
    marked,
    present,
    without,
)
from assay.components.ingest.cleaning.facts import Facts
from assay.components.ingest.cleaning.policy import Policy
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.tables import Tables, canonical

_ASKED = ("impressions", "events", "judgments")
"""Tables whose rows belong to a query."""
_DESCRIBED = ("text", "category", "brand", "colour", "size", "type")
"""Columns of an item that can be its text."""


def stripped(tables: Tables, ledger: Ledger, policy: Policy, facts: Facts) -> Tables:
    """Ids without white space around them; an empty one is none: rows are compared and joined by them."""
    out = dict(tables)
    for name in present(tables, *tables):
        ids = [column for column in tables[name].columns if column.endswith("_id")]
        bare = [pl.col(column).str.strip_chars().replace("", None) for column in ids]
        out[name] = tables[name].with_columns(bare)
    return out


def known_once(tables: Tables, ledger: Ledger, policy: Policy, facts: Facts) -> Tables:
    """One row a query and an item: the first that has a text. Two would double every row that is joined.

    Judgments in several languages name one query in each, so what differs in `locale` is not the same.
    """
    for name, key, text, reason in (
        ("queries", "query_id", "query", "duplicate_query"),
        ("items", "item_id", "text", "duplicate_item"),
    ):
        if present(tables, name):
            frame = tables[name].sort(pl.col(text).is_null(), maintain_order=True)
            same = [key, "locale"] if "locale" in frame.columns else [key]
            twice = marked(frame, ~pl.struct(same).is_first_distinct() & pl.col(key).is_not_null())
            if twice.any():
                tables = without(tables | {name: frame}, name, twice, ledger, reason)
    return tables


def queries_named(tables: Tables, ledger: Ledger, policy: Policy, facts: Facts) -> Tables:
    """`missing_query_id`, `orphan_query_id`, `empty_query`: rows whose query's text nobody knows.

    Only where the log has queries: one that has none is about something else. A row with a text of its own
    needs no query; that its id is missing or an orphan is noted. A file of which no row names a query has
    none missing: its rows are told apart by session and time.
    """
    if "queries" not in facts.tables:
        return tables
    queries = tables.get("queries", canonical("queries", pl.DataFrame()))
    worded = queries.filter(pl.col("query").is_not_null())["query_id"].implode()
    for name in present(tables, *_ASKED):
        own = pl.col("query").is_not_null()
        if "context" in tables[name].columns:
            own = own | pl.col("context").is_not_null()
        null = pl.col("query_id").is_null()
        unnamed = null & pl.col("source").is_in(facts.naming(name, "queries").implode(), nulls_equal=True)
        orphan = ~pl.col("query_id").is_in(queries["query_id"].implode()) & ~null
        mute = ~null & ~orphan & ~pl.col("query_id").is_in(worded) & ~own
        frame = tables[name]
        # Grades are often of queries that no log has seen.
        logged = name != "judgments"
        for reason, broken in (("missing_query_id", unnamed), ("orphan_query_id", orphan)) if logged else ():
            counted(ledger.note, reason, frame, marked(frame, broken & own))
        for reason, condition, choice in (
            ("missing_query_id", unnamed & ~own, policy.missing_query_id),
            ("orphan_query_id", orphan & ~own, policy.orphan_query_id),
            ("empty_query", mute, "drop"),
        ):
            rows = marked(tables[name], condition)
            tables = dropped_or_noted(tables, name, rows, ledger, reason, choice)
    return tables


def items_named(tables: Tables, ledger: Ledger, policy: Policy, facts: Facts) -> Tables:
    """`missing_item_id`, `not_about_an_item`: what cannot be about an item. The latter is no fault of a row.

    Logs hold searches, page views and filters among their events; a click, a grade or a review needs an item.
    A file of which no row names one has no items: some reviews and ads come without.
    """
    for name in present(tables, "impressions", "events", "judgments", "reviews"):
        missing = pl.col("item_id").is_null() & pl.col("source").is_in(
            facts.naming(name, "items").implode(), nulls_equal=True
        )
        if name == "events":
            other = marked(tables[name], missing & (pl.col("action") == "other"))
            tables = without(tables, name, other, ledger, "not_about_an_item")
        tables = without(tables, name, marked(tables[name], missing), ledger, "missing_item_id")
    return tables


def items_known(tables: Tables, ledger: Ledger, policy: Policy, facts: Facts) -> Tables:
    """`unknown_item`: rows whose item has no text anywhere, where the log has items."""
    if not present(tables, "items"):
        return tables
    items = tables["items"]
    words = [
        c for c in items.columns if c in _DESCRIBED or (c.startswith("attribute.") and c != "attribute.image")
    ]
    known = items.filter(pl.any_horizontal(pl.col(words).is_not_null()))["item_id"].implode()
    for name in present(tables, *_ASKED):
        rows = marked(tables[name], ~pl.col("item_id").is_in(known))
        tables = dropped_or_noted(tables, name, rows, ledger, "unknown_item", policy.unknown_item)
    return tables


def reviews_worded(tables: Tables, ledger: Ledger, policy: Policy, facts: Facts) -> Tables:
    """`empty_text`: reviews that say nothing."""
    if not present(tables, "reviews"):
        return tables
    rows = marked(tables["reviews"], pl.col("title").is_null() & pl.col("text").is_null())
    return dropped_or_noted(tables, "reviews", rows, ledger, "empty_text", policy.empty_text)
