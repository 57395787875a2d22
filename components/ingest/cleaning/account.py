"""Taking rows out of tables and changing them, so that each is in the ledger with where it came from."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import polars as pl
from assay.components.ingest.ledger import EXAMPLES, Ledger
from assay.components.ingest.tables import LOGGED, Tables

Count = Callable[[str, int, Sequence[str]], None]
"""One of the ledger's `drop`, `repair`, `note`."""


def present(tables: Tables, *names: str) -> list[str]:
    """Those of some tables that have rows."""
    return [name for name in names if name in tables and len(tables[name])]


def places(frame: pl.DataFrame, rows: pl.Series) -> list[str]:
    """Where the first few of some rows came from: "events.csv 17"."""
    first = frame.filter(rows).head(EXAMPLES).select("source", "row")
    return [f"{source or '?'} {'?' if row is None else row}" for source, row in first.rows()]


def marked(frame: pl.DataFrame, condition: pl.Expr) -> pl.Series:
    """(n,) bool of a condition; where it cannot be told, False."""
    return frame.select(condition.fill_null(False).alias("marked")).to_series()


def counted(count: Count, reason: str, frame: pl.DataFrame, rows: pl.Series) -> None:
    """Count some rows under a reason, with where they are."""
    found = int(rows.sum())
    if found:
        count(reason, found, places(frame, rows))


def without(
    tables: Tables, name: str, rows: pl.Series, ledger: Ledger, reason: str, examples: Sequence[str] = ()
) -> Tables:
    """The tables, less some rows of one of them.

    Args:
        tables: Of which one loses rows.
        name: The one.
        rows: (n,) bool: which to leave out.
        ledger: Rows of `LOGGED` tables are counted as dropped; the others are only looked up in, so a row
            less there is noted.
        reason: Why.
        examples: In place of where the rows are.
    """
    if not rows.any():
        return tables
    frame = tables[name]
    count = ledger.drop if name in LOGGED else ledger.note
    count(reason, int(rows.sum()), examples or places(frame, rows))
    return tables | {name: frame.filter(~rows)}


def dropped_or_noted(
    tables: Tables, name: str, rows: pl.Series, ledger: Ledger, reason: str, choice: str
) -> Tables:
    """The rows dropped where the policy says `drop`, else noted."""
    if choice == "drop":
        return without(tables, name, rows, ledger, reason)
    counted(ledger.note, reason, tables[name], rows)
    return tables
