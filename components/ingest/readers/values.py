"""Values as formats write them: texts, numbers, moments, lists."""

from __future__ import annotations

from typing import Any

import polars as pl
from assay.components.ingest.tables import MOMENT

_UNITS = (("s", 1e11), ("ms", 1e14), ("us", 1e17), ("ns", float("inf")))
"""(unit, numbers since 1970 below which it is this one): each covers the years 1973 to 5138."""


def texts(column: pl.Series) -> pl.Series:
    """Ids and other texts, without white space at their ends: what is empty, NaN or infinite is null.

    The number 12.0, as a column with gaps is stored, is the id 12; a list of plain values has commas, an
    object is JSON.
    """
    if column.dtype.is_float():
        whole = column.cast(pl.Int64, strict=False)
        same = (whole == column).fill_null(False)
        text = whole.cast(pl.String).zip_with(same, column.cast(pl.String))
        text = text.set(~column.is_finite().fill_null(False), None)
    elif isinstance(column.dtype, pl.List) and not column.dtype.inner.is_nested():
        text = column.cast(pl.List(pl.String)).list.join(", ")
    elif column.dtype.is_nested():
        # Only a struct can be written as JSON: one of this column alone, which is taken off again.
        wrapped = column.alias("v").to_frame().to_struct().struct.json_encode()
        text = wrapped.str.strip_prefix('{"v":').str.head(-1).replace("null", None)
    else:
        text = column.cast(pl.String).str.strip_chars()
    empty = (text == "").fill_null(False)
    return (text.set(empty, None) if empty.any() else text).alias(column.name)


def joined_text(*names: str) -> pl.Expr:
    """Text columns joined by a space, in this order; null and empty ones leave none; null where all are."""
    parts = [pl.col(name).str.strip_chars().replace("", None) for name in names]
    text = pl.concat_str(parts, separator=" ", ignore_nulls=True)
    return pl.when(text != "").then(text)


def lists(column: pl.Series, dtype: Any) -> pl.Series:
    """Lists as they are; a cell of text is a list in JSON, in Python, or with commas."""
    if column.dtype != pl.String:
        return column.cast(dtype, strict=False)
    parts = column.str.strip_chars("[]() \t").str.split(",")
    cleaned = parts.list.eval(pl.element().str.strip_chars(" \t\"'")).list.eval(
        pl.element().filter(pl.element() != "")
    )
    return cleaned.cast(dtype, strict=False)


def numbers(column: pl.Series) -> pl.Series:
    """Float64; what is no finite number is null."""
    if column.dtype == pl.Boolean:
        return column.cast(pl.Float64)
    text = column.cast(pl.String).str.strip_chars() if column.dtype == pl.String else column
    found = text.cast(pl.Float64, strict=False)
    return found.set(~found.is_finite().fill_null(False), None)


def moments(column: pl.Series) -> pl.Series:
    """Times in UTC, microseconds, null where there is none; what bears no zone is UTC.

    Numbers are since 1970, in the unit that each one's size tells; texts are numbers or ISO 8601, a space for
    the T and a trailing " UTC" allowed.
    """
    if column.dtype.is_temporal():
        return column.dt.cast_time_unit("us").dt.convert_time_zone("UTC") if _zone(column) else _utc(column)
    number = numbers(column)
    out = pl.Series(column.name, [None] * len(column), dtype=MOMENT)
    low = 0.0
    for unit, high in _UNITS:
        inside = (number.abs() >= low) & (number.abs() < high)
        scale = {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3}[unit]
        here = (
            (number * scale)
            .round()
            .cast(pl.Int64, strict=False)
            .cast(pl.Datetime("us"))
            .dt.replace_time_zone("UTC")
        )
        out = pl.select(pl.when(inside).then(here).otherwise(out)).to_series()
        low = high
    if column.dtype == pl.String:
        text = column.str.strip_chars().str.replace(r"\s*UTC$", "Z").str.replace(r"^(\S+) (\d)", "${1}T${2}")
        zoned = text.str.contains(r"(Z|[+-]\d\d:?\d\d)$").fill_null(False)
        text = pl.select(pl.when(zoned).then(text).otherwise(text + "Z")).to_series()
        day = text.str.contains(r"^\d{4}-\d\d-\d\dZ$").fill_null(False)
        text = pl.select(pl.when(day).then(text.str.slice(0, 10) + "T00:00:00Z").otherwise(text)).to_series()
        written = text.str.to_datetime(time_unit="us", time_zone="UTC", strict=False, exact=True, format="%+")
        out = pl.select(pl.coalesce(out, written)).to_series()
    return out.alias(column.name)


def _zone(column: pl.Series) -> bool:
    return isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone is not None


def _utc(column: pl.Series) -> pl.Series:
    return column.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
