"""Ads: impressions -> rows, one an ad shown, labelled by the click."""

from __future__ import annotations

import pandas as pd
import polars as pl
from assay.components.core.samples import hash_unit
from assay.components.ingest.building import Built, Policy, missing
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.search import where_shown, with_clicks
from assay.components.ingest.split import alike, assign_splits, splits_by_time
from assay.components.ingest.tables import Tables

_OURS = ("attribute.segment", "attribute.split")
"""Attributes that say what becomes of a row, and nothing of whom it was shown to."""


def build(tables: Tables, ledger: Ledger, policy: Policy) -> Built:
    """One row an ad shown.

    The context is what it was shown for, with what is known of the user, written out; the item is the ad's
    text, or its attributes. Numbers are features. A list is one impression, so that a figure is over
    impressions; a split never tears a user, or where there are none, contexts of the same words.

    Unclicked training rows may be thinned out; what is kept of them then weighs one over the share that is
    kept, so that a ranker trained on them still predicts the rate of clicks (King and Zeng 2001, "Logistic
    Regression in Rare Events Data": weighting, which unlike a corrected intercept asks nothing of the head).

    Args:
        tables: `impressions`; `items` and `events`, where there.
        ledger: Where rows are counted.
        policy: `holdout` (`time` or by hash), `keep_unclicked`, `drop_unlabelled`.

    Raises:
        BadInput: There are no impressions; a click is not 0 or 1; a time that is needed is missing.
    """
    if not len(tables.get("impressions", ())):
        raise missing("ads", "impressions", "ads shown, clicked or not")
    shown = with_clicks(tables, ledger, policy.drop_unlabelled)
    items = tables.get("items", pl.DataFrame(schema={"item_id": pl.String, "text": pl.String}))
    about = items.select(
        "item_id",
        _written(items, [pl.col("text")]).alias("item"),
        *(pl.col(c).alias(f"item.{c}") for c in items.columns if c.startswith("feature.") or c == "price"),
    ).unique("item_id", keep="first", maintain_order=True)
    shown = shown.join(about, on="item_id", how="left", maintain_order="left")
    context = shown.select(_written(shown, [pl.col("context"), pl.col("query")]).fill_null("")).to_series()
    unit = pl.coalesce("user_id", "session_id") if policy.holdout == "time" or _users(shown) else None
    fallback = pl.coalesce(pl.format("item {}", "item_id"), pl.lit("ad"))
    rows = shown.select(
        context.alias("context"),
        pl.coalesce("item", fallback).alias("item"),
        pl.coalesce("item_id", "item", fallback).alias("item_id"),
        pl.coalesce("impression_id", where_shown()).alias("group_id"),
        (alike(context) if unit is None else pl.coalesce(unit, where_shown())).alias("unit"),
        pl.coalesce(pl.col(c) for c in ("attribute.segment", "policy") if c in shown.columns)
        .fill_null("all")
        .alias("segment"),
        pl.col("attribute.split" if "attribute.split" in shown.columns else "policy").alias("split"),
        pl.col("clicked").alias("click"),
        pl.col("position").cast(pl.Float64),
        "timestamp",
        "source",
        pl.coalesce("user_id", "session_id").alias("user_id"),
        *(pl.col(c) for c in shown.columns if c.startswith("feature.")),
        *(
            pl.col(c).alias(_feature(c))
            for c in shown.columns
            if c.startswith("item.") and _feature(c) not in shown.columns
        ),
    ).to_pandas()
    if "attribute.split" not in shown.columns:
        rows["split"] = None
    rows["split"] = rows["split"].astype(object).where(rows["split"].notna(), None)
    clock = ""
    if policy.holdout == "time":
        rows["split"], clock = splits_by_time(rows["timestamp"]), "all"
        rows["happened"] = rows["timestamp"].astype("datetime64[us, UTC]").astype("int64")
    rows["split"] = assign_splits(rows)
    rows = _thinned(rows, policy.keep_unclicked, ledger)
    return Built(rows.reset_index(drop=True), "click", 1.0, 0.5, "log_loss", clock)


def _users(shown: pl.DataFrame) -> bool:
    """Whether whom each ad was shown to is known."""
    return bool(shown.select(pl.coalesce("user_id", "session_id").is_not_null().all()).item())


def _feature(column: str) -> str:
    """`item.feature.x` -> `feature.x`, `item.price` -> `feature.price`."""
    return f"feature.{column.removeprefix('item.').removeprefix('feature.')}"


def _written(frame: pl.DataFrame, texts: list[pl.Expr]) -> pl.Expr:
    """Texts, then each attribute as "name value"; null where there is nothing."""
    named = [
        pl.format(f"{name.removeprefix('attribute.')} {{}}", pl.col(name))
        for name in frame.columns
        if name.startswith("attribute.") and name not in _OURS
    ]
    said = pl.concat_str([*texts, *named], separator=", ", ignore_nulls=True)
    return pl.when(said != "").then(said)


def _thinned(rows: pd.DataFrame, share: float, ledger: Ledger) -> pd.DataFrame:
    """Training rows without some of the unclicked ones, the others of them weighing more."""
    rows = rows.assign(weight=1.0)
    if share == 1:
        return rows
    thin = (rows["click"] == 0) & (rows["split"] == "train")
    out = thin & (hash_unit(rows["group_id"].tolist(), "assay-unclicked-1") >= share)
    rows.loc[thin, "weight"] = 1 / share
    ledger.drop("unclicked_not_kept", int(out.sum()))
    return rows[~out]
