"""Values as formats write them: texts, numbers, moments, lists."""

from __future__ import annotations

from typing import Any

import pandas as pd
import polars as pl
from assay.components.ingest.tables import MOMENT

_UNITS = ((1e11, 1e6), (1e14, 1e3), (1e17, 1.0), (float("inf"), 1e-3))
"""(numbers since 1970 below which it is this unit: s, ms, us, ns; microseconds in it).

Each covers the years 1973 to 5138.
"""


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
    found = column.cast(pl.Float64, strict=False)
    if column.dtype == pl.String and found.null_count() > column.null_count():
        found = column.str.strip_chars().cast(pl.Float64, strict=False)
    finite = found.is_finite().fill_null(True)
    return found if finite.all() else found.set(~finite, None)


def moments(column: pl.Series) -> pl.Series:
    """Times in UTC, microseconds, null where there is none; what bears no zone is UTC.

    Numbers are since 1970, in the unit that each one's size tells; texts are numbers or ISO 8601, a space for
    the T and a trailing " UTC" allowed.
    """
    if column.dtype.is_temporal():
        return column.dt.cast_time_unit("us").dt.convert_time_zone("UTC") if _zone(column) else _utc(column)
    number = numbers(column)
    out = pl.repeat(None, len(column), dtype=MOMENT, eager=True)
    if number.null_count() < len(number):
        out = _since_1970(number)
    if column.dtype == pl.String and out.null_count():
        # Of words, pandas knows what day today is.
        dated = column.set(~column.str.contains(r"^\s*\d{4}").fill_null(False), None)
        text = dated.str.strip_chars().str.replace(r"\s*UTC$", "Z").to_pandas()
        written = pd.to_datetime(text, utc=True, errors="coerce", format="ISO8601")
        out = pl.select(pl.coalesce(out, pl.Series(pl.from_pandas(written)).cast(MOMENT))).to_series()
    return out.alias(column.name)


def _since_1970(number: pl.Series) -> pl.Series:
    size, value = pl.col("n").abs(), pl.lit(None, pl.Float64)
    for below, factor in reversed(_UNITS):
        value = pl.when(size < below).then(pl.col("n") * factor).otherwise(value)
    since = value.round().cast(pl.Int64, strict=False).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return pl.DataFrame({"n": number}).select(since).to_series()


def _zone(column: pl.Series) -> bool:
    return isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone is not None


def _utc(column: pl.Series) -> pl.Series:
    return column.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
