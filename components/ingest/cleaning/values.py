"""Values: missing, out of range, too large, and rows that contradict each other."""

from __future__ import annotations

import polars as pl
from assay.components.core.errors import BadInput
from assay.components.ingest.cleaning.account import (
    counted,
    dropped_or_noted,
    marked,
    present,
    without,
)
from assay.components.ingest.cleaning.facts import Facts
from assay.components.ingest.cleaning.policy import FILL, Policy
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.tables import Tables


def ratings(tables: Tables, ledger: Ledger, policy: Policy, facts: Facts) -> Tables:
    """`rating_out_of_range`: no value of the scale, so nothing can be learnt from it; dropped."""
    rated = {
        "events": pl.when(pl.col("action") == "rating").then(pl.col("value")),
        "reviews": pl.col("rating"),
    }
    for name in present(tables, *rated):
        value = tables[name].select(rated[name].alias("value")).to_series()
        low, high = policy.ratings or facts.scale(name)
        rows = ((value < low) | (value > high)).fill_null(False)
        tables = without(tables, name, rows, ledger, "rating_out_of_range")
    return tables


def dwell(tables: Tables, ledger: Ledger, policy: Policy, facts: Facts) -> Tables:
    """`outlier_dwell`: winsorised at a quantile of the log's; `negative_dwell`: taken as missing.

    A tab left open over night is no interest in an item. Quantiles are of the values that are 0 or more.
    """
    for name in present(tables, "impressions", "events"):
        frame = tables[name]
        columns = {"feature.dwell": pl.lit(True)} if "feature.dwell" in frame.columns else {}
        if name == "events":
            columns["value"] = pl.col("action") == "dwell"
        for column, about in columns.items():
            negative = marked(frame, about & (pl.col(column) < 0))
            counted(ledger.repair, "negative_dwell", frame, negative)
            seconds = pl.when(~pl.lit(negative)).then(column).alias(column)
            frame = frame.with_columns(seconds)
            told = "dwell" if column == "value" else column
            cap = facts.quantile(name, told, policy.dwell_quantile, least=0.0)
            limit = max(policy.dwell_seconds, cap or 0.0)
            outlier = marked(frame, about & (pl.col(column) > limit))
            counted(ledger.repair, "outlier_dwell", frame, outlier)
            frame = frame.with_columns(
                pl.when(pl.lit(outlier)).then(pl.lit(limit)).otherwise(column).alias(column)
            )
        tables = tables | {name: frame}
    return tables


def prices(tables: Tables, ledger: Ledger, policy: Policy, facts: Facts) -> Tables:
    """`negative_price`: taken as missing."""
    for name in present(tables, *tables):
        for column in {"price", "feature.price"} & set(tables[name].columns):
            rows = marked(tables[name], pl.col(column) < 0)
            counted(ledger.repair, "negative_price", tables[name], rows)
            price = pl.when(~pl.lit(rows)).then(column).alias(column)
            tables = tables | {name: tables[name].with_columns(price)}
    return tables


def grades(tables: Tables, ledger: Ledger, policy: Policy, facts: Facts) -> Tables:
    """`conflicting_grades`: pairs that were judged more than once, not alike. The builder takes the mean."""
    if present(tables, "judgments"):
        pair = [pl.coalesce("query_id", "query").alias("of"), "locale", "item_id"]
        torn = (
            tables["judgments"]
            .with_columns(pair[0])
            .group_by("of", "locale", "item_id", maintain_order=True)
            .agg(pl.col("grade").drop_nulls().n_unique().alias("grades"), pl.col("source", "row").first())
            .filter(pl.col("grades") > 1)
        )
        counted(ledger.note, "conflicting_grades", torn, pl.Series([True] * len(torn), dtype=pl.Boolean))
    return tables


def clicks(tables: Tables, ledger: Ledger, policy: Policy, facts: Facts) -> Tables:
    """`click_without_impression`: a click on what its own list did not show, where that list is known."""
    if len(present(tables, "impressions", "events")) < 2:
        return tables
    lists = tables["impressions"].select("query_id", "item_id").drop_nulls()
    shown = lists.unique().with_columns(_shown=pl.lit(True))
    known = shown["query_id"].unique().implode()
    events = tables["events"].join(shown, on=["query_id", "item_id"], how="left", maintain_order="left")
    rows = marked(
        events, (pl.col("action") == "click") & pl.col("query_id").is_in(known) & pl.col("_shown").is_null()
    )
    # The events of the log may themselves say that the item was shown.
    also = marked(
        events,
        pl.struct("query_id", "item_id").is_in(
            events.filter(pl.col("action") == "impression")
            .select(pl.struct("query_id", "item_id"))
            .to_series()
            .implode()
        ),
    )
    return dropped_or_noted(
        tables, "events", rows & ~also, ledger, "click_without_impression", policy.click_without_impression
    )


def missing(tables: Tables, ledger: Ledger, policy: Policy, facts: Facts) -> Tables:
    """`missing_COLUMN` (dropped), `filled_COLUMN` (repaired): what the policy says of a column's nulls.

    Raises:
        BadInput: The value to fill with is none of the column's kind.
    """
    for place, how in policy.missing.items():
        name, _, column = place.partition(".")
        if not present(tables, name) or column not in tables[name].columns or how == "keep":
            continue
        rows = marked(tables[name], pl.col(column).is_null())
        if how == "drop":
            tables = without(tables, name, rows, ledger, f"missing_{column.replace('.', '_')}")
            continue
        value = how.removeprefix(FILL)
        dtype = tables[name].schema[column]
        if value == "median" and dtype.is_numeric():
            filler = pl.lit(facts.median(name, column)).cast(dtype)
        else:
            try:
                filler = pl.lit(pl.Series([value]).cast(dtype)[0], dtype=dtype)
            except pl.exceptions.PolarsError as error:
                raise BadInput(f"cleaning: missing: {place}: {value!r} is no {dtype}") from error
        counted(ledger.repair, f"filled_{column.replace('.', '_')}", tables[name], rows)
        tables = tables | {name: tables[name].with_columns(pl.col(column).fill_null(filler))}
    return tables
