"""What readers make of a chunk of rows, and what the ledger says of what was lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import polars as pl
from assay.components.ingest.ledger import EXAMPLES, Ledger
from assay.components.ingest.readers.sources import Source
from assay.components.ingest.readers.values import moments, numbers


def number(frame: pl.DataFrame, name: str, source: Source, ledger: Ledger) -> pl.Series:
    """A column's numbers; texts that are none become null, counted as repaired by `unreadable_number`."""
    return _read(frame, name, numbers(frame[name]), "unreadable_number", source, ledger)


def moment(frame: pl.DataFrame, name: str, source: Source, ledger: Ledger) -> pl.Series:
    """A column's times; what is none becomes null, counted as repaired by `unreadable_time`."""
    return _read(frame, name, moments(frame[name]), "unreadable_time", source, ledger)


def _read(
    frame: pl.DataFrame, name: str, found: pl.Series, reason: str, source: Source, ledger: Ledger
) -> pl.Series:
    lost = found.is_null() & frame[name].is_not_null()
    if lost.any():
        some = frame.filter(lost).head(EXAMPLES).select("row", name).rows()
        ledger.repair(reason, int(lost.sum()), [f"{source.name}, row {r}: {name} {v!r}" for r, v in some])
    return found


def kept(
    frame: pl.DataFrame, good: pl.Expr, reason: str, shown: str, source: Source, ledger: Ledger
) -> pl.DataFrame:
    """The rows of which an expression is true; the others are counted as dropped.

    Args:
        frame: With `row`.
        good: The expression; null is not true.
        reason: For the ledger.
        shown: The column that its examples quote.
        source: Where the rows are from.
        ledger: Where they are counted.
    """
    bad = frame.filter(~good.fill_null(False))
    some = bad.select("row", shown).head(EXAMPLES).rows()
    ledger.drop(reason, len(bad), [f"{source.name}, row {row}: {value!r}" for row, value in some])
    return frame.filter(good)


def actions(frame: pl.DataFrame, name: str, known: Mapping[str, str]) -> list[pl.Series]:
    """What a column calls an event, as `action`: `other` where the format has no such name.

    The name as it was is `attribute.action_name`, for those alone.
    """
    action = frame[name].replace_strict(known, default="other", return_dtype=pl.String).fill_null("other")
    unknown = frame[name].zip_with(action == "other", pl.Series([None], dtype=pl.String))
    return [action.alias("action"), unknown.alias("attribute.action_name")]


def once(key: str) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """A filter of chunks: rows whose key is not null and came in no row before."""
    seen = pl.Series(key, [], dtype=pl.String)

    def fresh(frame: pl.DataFrame) -> pl.DataFrame:
        nonlocal seen
        new = frame.filter(pl.col(key).is_not_null()).unique(key, keep="first", maintain_order=True)
        new = new.join(seen.to_frame(), on=key, how="anti", maintain_order="left")
        seen = pl.concat([seen, new[key]])
        return new

    return fresh


def placed(name: str, frame: pl.DataFrame, source: Source) -> tuple[str, pl.DataFrame]:
    """A chunk of a table with the file it came from."""
    return name, frame.with_columns(source=pl.lit(source.name))
