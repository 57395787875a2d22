"""Search: judgments or impressions -> rows; and the rows of any task -> samples, those of one pair merged."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
from assay.components.core.errors import BadInput
from assay.components.core.samples import sample_ids
from assay.components.ingest.attributes import behaviour_maps
from assay.components.ingest.building import Built, Policy, missing
from assay.components.ingest.clicks.joining import join
from assay.components.ingest.columns import BEHAVIOUR
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.split import alike
from assay.components.ingest.tables import Tables

ANY_CLICK = 1e-6
"""Of a click rate, any click at all counts as relevant."""
_KEY = ["group_id", "context", "item_id", "item"]


def build(tables: Tables, ledger: Ledger, policy: Policy) -> Built:
    """One row a judged, or else a shown, item of a query. Queries of the same words lie in one split.

    Args:
        tables: `judgments`, or `impressions` and where clicks are events of their own `events`; texts of
            queries in them or in `queries`, of items in `items`.
        ledger: Where rows are counted.
        policy: `max_grade`, `relevant_at`, `drop_unlabelled`.

    Raises:
        BadInput: There is neither; a grade cannot be used.
    """
    judged = bool(len(tables.get("judgments", ())))
    if not judged and not len(tables.get("impressions", ())):
        raise missing("search", "judgments or impressions", "graded pairs, or items shown and clicked")
    rows = tables["judgments"] if judged else with_clicks(tables, ledger, policy.drop_unlabelled)
    if judged:
        rows = _graded(rows, ledger, policy)
    rows = _with_queries(rows, tables)
    empty = pl.DataFrame(schema={"item_id": pl.String, "text": pl.String})
    items = tables.get("items", empty).unique("item_id", keep="first", maintain_order=True)
    about = [c for c in ("category", "brand", "colour", "size", "type", "price") if c in items.columns]
    items = items.select("item_id", pl.col("text").alias("item"), *about)
    rows = rows.join(items, on="item_id", how="left", maintain_order="left")
    no_query = rows["context"].is_null()
    ledger.drop(
        "missing_query", int(no_query.sum()), [f"row {row}" for row in rows.filter(no_query)["row"].head(20)]
    )
    rows = rows.filter(~no_query)
    first = ("attribute.segment", "locale") if judged else ("attribute.segment",)
    segment = [pl.col(c) for c in first if c in rows.columns]
    split = (
        pl.col("split")
        if judged
        else pl.col("attribute.split")
        if "attribute.split" in rows.columns
        else None
    )
    frame = rows.select(
        "context",
        pl.col("item").fill_null(""),
        pl.coalesce("item_id", "item").fill_null("").alias("item_id"),
        pl.col("context").alias("group_id"),
        pl.coalesce([*segment, pl.lit("all")]).alias("segment"),
        (pl.lit(None, pl.String) if split is None else split).alias("split"),
        *(
            [pl.col("grade")]
            if judged
            else [pl.col("clicked").alias("click"), pl.col("position").cast(pl.Float64), "timestamp"]
        ),
        "source",
        *about,
    ).to_pandas()
    frame["unit"] = alike(pl.Series(frame["context"].tolist(), dtype=pl.String)).to_list()
    frame["split"] = frame["split"].astype(object).where(frame["split"].notna(), None)
    for name in set(about) - {"price"}:
        frame[name] = frame[name].fillna("")
    if not judged:
        return Built(frame, "click", 1.0, policy.relevant_at or ANY_CLICK)
    top = policy.max_grade or float(frame["grade"].max())
    return Built(frame, "grade", top, policy.relevant_at or top / 2)


def _graded(judgments: pl.DataFrame, ledger: Ledger, policy: Policy) -> pl.DataFrame:
    usable = (pl.col("grade").is_finite() & (pl.col("grade") >= 0)).fill_null(False)
    bad = judgments.filter(~usable)
    if len(bad) and not policy.drop_unlabelled:
        raise BadInput(
            f"{len(bad)} of {len(judgments)} grades are negative, missing or not numbers; mend them, or drop "
            "those rows with --drop-unlabelled"
        )
    ledger.drop("unlabelled", len(bad), [f"row {row}" for row in bad["row"].head(20)])
    good = judgments.filter(usable)
    largest = max(good["grade"].to_list(), default=0.0)
    if not largest:
        raise BadInput("all grades are 0, or none can be used: there is nothing to rank by")
    if policy.max_grade and largest > policy.max_grade:
        raise BadInput(f"grades up to {largest:g} are above --max-grade {policy.max_grade:g}")
    return good


def _with_queries(rows: pl.DataFrame, tables: Tables) -> pl.DataFrame:
    """Column `context`: the row's own query, else that of its id, else what it was shown for."""
    own = [pl.col(c) for c in ("query", "_query", "context") if c in rows.columns or c == "_query"]
    queries = tables.get("queries", pl.DataFrame(schema={"query_id": pl.String, "query": pl.String}))
    known = queries.select("query_id", pl.col("query").alias("_query")).drop_nulls("query_id")
    rows = rows.join(known.unique("query_id", keep="first"), on="query_id", how="left", maintain_order="left")
    return rows.with_columns(context=pl.coalesce(own))


def where_shown() -> pl.Expr:
    """What stands for an impression's id where the format has none: its file and row."""
    return pl.format("{}:{}", "source", "row")


def with_clicks(tables: Tables, ledger: Ledger, drop_unlabelled: bool = False) -> pl.DataFrame:
    """Impressions with `clicked` 0 or 1; clicks that are events of their own become part of them.

    Which impression an event belongs to is what `join` says. Carts and purchases count as clicks.

    Args:
        tables: `impressions`; `events`, where there.
        ledger: Where events that became part of an impression, and rows that cannot be used, are counted.
        drop_unlabelled: Drop impressions whose click is not 0 or 1 rather than refuse them.

    Raises:
        BadInput: A click is not 0 or 1, or nothing says what was clicked.
    """
    shown, events = tables["impressions"], tables.get("events")
    again = pl.col("impression_id").is_not_null() & ~pl.struct("impression_id", "item_id").is_first_distinct()
    twice = shown.filter(again)
    ledger.drop("duplicate_event", len(twice), twice["impression_id"].head(20).to_list())
    shown = shown.filter(~again)
    if events is not None and len(events):
        done = join(shown, events, ledger)
        chosen = pl.max_horizontal("clicked", "carted", "purchased").fill_null(0.0)
        shown = done.with_columns(chosen.alias("clicked")).drop("carted", "purchased", "dwell", "rating")
    wrong = shown.filter(~pl.col("clicked").is_in([0.0, 1.0]).fill_null(False))
    if len(wrong) and not drop_unlabelled:
        raise BadInput(
            f"{len(wrong)} of {len(shown)} impressions have a click that is not 0 or 1 (e.g. "
            f"{wrong['clicked'][0]}, {wrong['source'][0]}, row {wrong['row'][0]}); give the events of clicks "
            "too, mend them, or drop those rows with --drop-unlabelled"
        )
    ledger.drop("unlabelled", len(wrong), [f"row {row}" for row in wrong["row"].head(20)])
    return shown.filter(pl.col("clicked").is_in([0.0, 1.0]).fill_null(False))


def samples_from_judgments(
    judgments: pd.DataFrame, source: str, max_grade: float, ledger: Ledger, task: str = "search"
) -> pd.DataFrame:
    """One sample a judged (context, item); rows that name the same pair become one of mean grade.

    Args:
        judgments: Columns of `read_pairs`, or of `Built.rows` with `grade`, cleaned and split.
        source: The file's name, where the rows do not say.
        max_grade: Grade of label 1, where the rows do not say their label.
        ledger: Merged rows are counted as dropped, conflicting grades noted.
        task: The task.
    """
    # In an order of their own, so that neither a mean nor the first segment depends on the file's.
    pairs = _numbered(judgments).sort_values([*_KEY, "segment", "grade"])
    pairs = pairs.groupby(_KEY, sort=False, dropna=False)
    merged = pairs.agg(
        grade=("grade", "mean"), segment=("segment", "first"), split=("split", "first"), **_means(judgments)
    ).reset_index()
    merged["features"] = _features(merged)
    if len(merged) < len(judgments):
        conflicts = pairs["grade"].nunique()
        ledger.drop("merged_duplicate", len(judgments) - len(merged))
        # Cleaning counted them by their ids, where there are any.
        if "conflicting_grades" not in ledger.noted:
            ledger.note(
                "conflicting_grades",
                int((conflicts > 1).sum()),
                [k[1] for k in conflicts.index[conflicts > 1][:20]],
            )
    if "label" not in merged:
        merged["label"] = (merged["grade"] / max_grade).clip(0, 1)
    if "weight" not in merged:
        merged["weight"] = 1.0
    return _finish(merged, source, "grade", task)


def samples_from_impressions(
    impressions: pd.DataFrame, source: str, ledger: Ledger, task: str = "search"
) -> pd.DataFrame:
    """One sample an item shown for a context; its label is the click rate, its weight grows with the count.

    The click rate is as logged: position bias is in it until it is corrected for.

    Args:
        impressions: Columns of `read_search_events`, or of `Built.rows` with `click`, cleaned and split.
        source: The file's name, where the rows do not say.
        ledger: Merged rows are counted as dropped.
        task: The task.
    """
    shown = _numbered(impressions).sort_values([*_KEY, "segment"]).groupby(_KEY, sort=False, dropna=False)
    merged = shown.agg(
        shown=("click", "size"),
        position=("position", "min"),
        segment=("segment", "first"),
        split=("split", "first"),
        **({"label": ("click", "mean")} | _means(impressions) | {"timestamp": ("timestamp", "max")}),
    ).reset_index()
    ledger.drop("merged_impression", len(impressions) - len(merged))
    # A rate over n impressions has variance 1/n; the root keeps a bestseller from outweighing the tail.
    weight = np.sqrt(merged["shown"].to_numpy(dtype=np.float64))
    weight = np.clip(weight / weight.mean(), 0.1, 10.0)
    merged["weight"] = weight * merged["weight"] if "weight" in merged else weight
    merged["position"] = merged["position"].astype("Int16")
    shown_times = merged.pop("shown").to_numpy(np.float64)
    merged["features"] = _features(merged, {"impressions": shown_times})
    return _finish(merged, source, "click", task)


def _features(merged: pd.DataFrame, more: dict[str, np.ndarray] | None = None) -> list | None:
    """Behaviour, and `feature.NAME` columns, which are taken out of the frame."""
    named = [c for c in merged if c.startswith("feature.")]
    found = {c.removeprefix("feature."): merged.pop(c).to_numpy(np.float64) for c in named}
    return behaviour_maps(merged, (more or {}) | found or None)


def _numbered(rows: pd.DataFrame) -> pd.DataFrame:
    """`_user`: a number for each user, -1 where none is known; numbers are compared faster than texts."""
    return rows.assign(_user=pd.factorize(rows["user_id"])[0]) if "user_id" in rows else rows


def _means(rows: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """How the columns that may be there are merged."""
    means = [c for c in rows if c in (*BEHAVIOUR, "weight", "label") or c.startswith("feature.")]
    out = {name: (name, "mean") for name in means}
    if "user_id" in rows:
        out |= {"user_id": ("user_id", "first"), "_first": ("_user", "min"), "_last": ("_user", "max")}
    out |= {name: (name, how) for name, how in (("timestamp", "max"), ("source", "first")) if name in rows}
    return out


def _finish(samples: pd.DataFrame, source: str, label_source: str, task: str) -> pd.DataFrame:
    samples["task"] = task
    if "user_id" in samples:
        # Of several users, or of some who are not known, it is nobody's.
        first, last = samples.pop("_first"), samples.pop("_last")
        samples["user_id"] = samples["user_id"].where((first == last) & (first >= 0), None)
    if "source" not in samples:
        samples["source"] = source
    samples["sample_id"] = sample_ids(
        task, *(samples[c].tolist() for c in ("group_id", "context", "item_id", "item")), label_source
    )
    return samples.sort_values("sample_id").reset_index(drop=True)
