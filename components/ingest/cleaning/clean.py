"""Cleaning of the canonical tables: the rules, in their order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl
from assay.components.ingest.cleaning import ids, positions, repeats, texts, times, values
from assay.components.ingest.cleaning.facts import Facts
from assay.components.ingest.cleaning.policy import Policy
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.tables import Tables


@dataclass(frozen=True)
class Rule:
    """One idea of what is wrong with a log.

    Attributes:
        apply: (tables, ledger, policy, facts) -> tables; leaves what it is given as it is.
        reasons: What it may count in the ledger.
        items: Whether it looks items up, for rows of other tables.
    """

    apply: Callable[[Tables, Ledger, Policy, Facts], Tables]
    reasons: tuple[str, ...]
    items: bool = False


RULES = (
    # Texts first: whether one is there at all is asked by the rules that follow.
    Rule(texts.repaired, (*texts.STEPS, "replacement_character")),
    Rule(ids.stripped, ()),
    Rule(ids.known_once, ("duplicate_query", "duplicate_item")),
    Rule(ids.queries_named, ("missing_query_id", "orphan_query_id", "empty_query")),
    Rule(ids.items_named, ("not_about_an_item", "missing_item_id")),
    Rule(repeats.twice_by_id, ("duplicate_event", "duplicate_review")),
    # Order, pace and seconds mean nothing before the times are mended.
    Rule(times.possible, ("impossible_timestamp",)),
    Rule(times.skew, ("clock_skew",)),
    Rule(times.order, ("out_of_order",)),
    Rule(repeats.twice_at_once, ("repeated_event",)),
    Rule(repeats.bots, ("bot_session",)),
    Rule(positions.from_one, ("zero_based_position", "mixed_positions")),
    Rule(positions.possible, ("impossible_position",)),
    Rule(values.clicks, ("click_without_impression",)),
    Rule(ids.items_known, ("unknown_item",), items=True),
    Rule(ids.reviews_worded, ("empty_text",)),
    # Quantiles are those of what people did.
    Rule(values.ratings, ("rating_out_of_range",)),
    Rule(values.dwell, ("negative_dwell", "outlier_dwell")),
    Rule(values.prices, ("negative_price",)),
    Rule(values.grades, ("conflicting_grades",)),
    Rule(values.missing, ("missing_COLUMN", "filled_COLUMN")),
)
"""In the order they are applied: a row that several speak against is counted by the first that drops it."""


_FIRST = 3
"""Rules that need to know no more than the rows that they are given."""


def clean(tables: Tables, ledger: Ledger, policy: Policy | None = None) -> Tables:
    """The tables of a whole log after all rules.

    Args:
        tables: Canonical tables, as readers gather them; not changed.
        ledger: Gets every row that is dropped, repaired or noted, with up to 20 examples a reason: the file
            and the row in it. Of the tables `LOGGED`, rows in = rows out + dropped.
        policy: What to do where there is a choice; the defaults if None.
    """
    policy = policy or Policy()
    tables, facts = told(tables, ledger, policy)
    return judged(tables, ledger, policy, facts)


def told(tables: Tables, ledger: Ledger, policy: Policy) -> tuple[Tables, Facts]:
    """A log, or a part of it, after the first rules, and what the others must know of all parts."""
    nothing = Facts.of({}, policy)
    for rule in RULES[:_FIRST]:
        tables = rule.apply(tables, ledger, policy, nothing)
    return tables, Facts.of(tables, policy)


def judged(
    tables: Tables, ledger: Ledger, policy: Policy, facts: Facts, items: pl.DataFrame | None = None
) -> Tables:
    """A log, or a part of it, after the other rules.

    Args:
        tables: As `told` leaves them.
        ledger: Gets every row.
        policy: As `told` was given it.
        facts: Of all parts, together.
        items: Of the log, where they are a part of their own: looked up in, not judged again.
    """
    for rule in RULES[_FIRST:]:
        given = tables if items is None or not rule.items else {**tables, "items": items}
        found = rule.apply(given, ledger, policy, facts)
        tables = found if given is tables else {name: found[name] for name in tables}
    return tables
