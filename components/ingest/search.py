"""Search: judgments or impressions -> rows; and the rows of any task -> samples, those of one pair merged."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
from assay.components.core.errors import BadInput
from assay.components.core.samples import sample_ids
from assay.components.ingest.attributes import behaviour_maps
from assay.components.ingest.building import Built, Policy, missing
from assay.components.ingest.clicks.bias import NONE, Bias, bias_of
from assay.components.ingest.clicks.joining import join
from assay.components.ingest.clicks.labelled import impressions_of, labelled, without_bots
from assay.components.ingest.columns import BEHAVIOUR
from assay.components.ingest.folding import folded
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.split import alike
from assay.components.ingest.tables import Tables

ANY_CLICK = 1e-6
"""Of a click rate, any click at all counts as relevant."""
_KEY = ["group_id", "context", "item_id", "item"]


def build(tables: Tables, ledger: Ledger, policy: Policy) -> Built:
    """One row a judged, or else a shown, item of a query. Queries of the same words lie in one split.

    Where there are both, judgments are what is learnt from, unless the policy names a label of clicks or an
    estimator of position bias. Then the impressions are, and grades are what tells whether a correction of
    position bias does harm.

    Args:
        tables: `judgments`, or `impressions` and where clicks are events of their own `events`; texts of
            queries in them or in `queries`, of items in `items`.
        ledger: Where rows are counted.
        policy: `label`, `min_dwell`, `bias`, `max_grade`, `relevant_at`, `drop_unlabelled`.

    Raises:
        BadInput: There is neither; a grade cannot be used; the log has nothing of what the policy asks for.
    """
    policy.labelled_by("search", "click", "graded")
    clicks = of_clicks(policy)
    judgments, shown = (tables.get(name) for name in ("judgments", "impressions"))
    judged = judgments is not None and bool(len(judgments)) and not clicks
    if not judged and (shown is None or not len(shown)):
        raise missing(
            "search",
            "impressions" if clicks else "judgments or impressions",
            "items shown and clicked" if clicks else "graded pairs, or items shown and clicked",
        )
    counts, grades = None, None
    if judged:
        ledger.drop("judged_instead", sum(len(tables.get(name, ())) for name in ("impressions", "events")))
        rows = _graded(tables["judgments"], ledger, policy)
    else:
        ledger.drop("grades_beside_clicks", len(tables.get("judgments", ())))
        rows, counts = labelled(with_clicks(tables, ledger, policy.drop_unlabelled), ledger, policy)
        grades = _trusted(tables)
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
    said = ("label",) if counts is None else ("label", "propensity", "bought")
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
            else [
                pl.col("clicked").alias("click"),
                pl.col("position").cast(pl.Float64),
                "timestamp",
            ]
        ),
        *(pl.coalesce(who).alias("user_id") for who in [_people(rows)] if who),
        *(pl.col(c) for c in said if c in rows.columns),
        "source",
        *about,
    ).to_pandas()
    frame["unit"] = alike(pl.Series(frame["context"].tolist(), dtype=pl.String)).to_list()
    frame["split"] = frame["split"].astype(object).where(frame["split"].notna(), None)
    for name in set(about) - {"price"}:
        frame[name] = frame[name].fillna("")
    if not judged:
        bias = None if counts is None else bias_of(counts, policy.bias, grades)
        return Built(frame, "click", 1.0, policy.relevant_at or ANY_CLICK, bias=bias)
    top = policy.max_grade or float(frame["grade"].max())
    return Built(frame, "grade", top, policy.relevant_at or top / 2)


def of_clicks(policy: Policy) -> bool:
    """Whether a policy asks for clicks, though there may be grades: by a label, or an estimator of bias."""
    return policy.label in ("click", "graded") or policy.bias != NONE


def plain(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of a flat log without what only `from_flat` looks at."""
    return rows.drop(columns=["event", "session_id", "carted", "bought", "query_id"], errors="ignore")


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
    """Column `context`: the row's own query, else that of its id, else what it was shown for.

    And `_user_id`: who asked, where the query is known.
    """
    own = [pl.col(c) for c in ("query", "_query", "context") if c in rows.columns or c == "_query"]
    asked = pl.DataFrame(schema=dict.fromkeys(("query_id", "query", "user_id", "session_id"), pl.String))
    queries = tables.get("queries", asked)
    known = queries.select(
        "query_id", _query="query", _user_id=pl.coalesce("user_id", "session_id")
    ).drop_nulls("query_id")
    rows = rows.join(known.unique("query_id", keep="first"), on="query_id", how="left", maintain_order="left")
    return rows.with_columns(context=pl.coalesce(own))


def _people(rows: pl.DataFrame) -> list[str]:
    """Columns that say whose a row is, the best first."""
    return [name for name in ("user_id", "session_id", "_user_id") if name in rows.columns]


def _trusted(tables: Tables) -> pd.DataFrame | None:
    """Judged pairs as `Bias` has them: context, item, grade, with texts as samples have them."""
    judged = tables.get("judgments")
    if judged is None or not len(judged):
        return None
    items = tables.get("items", pl.DataFrame(schema={"item_id": pl.String, "text": pl.String}))
    texts = items.select("item_id", item="text").unique("item_id", keep="first", maintain_order=True)
    usable = pl.col("grade").is_finite() & (pl.col("grade") >= 0)
    pairs = (
        _with_queries(judged.filter(usable.fill_null(False)), tables)
        .join(texts, on="item_id", how="left")
        .drop_nulls(["context", "item"])
        .group_by("context", "item")
        .agg(grade=pl.col("grade").sort().mean())
        .sort("context", "item")
        .to_pandas()
    )
    return pairs.assign(context=folded(pairs["context"]), item=folded(pairs["item"]))


def where_shown() -> pl.Expr:
    """What stands for an impression's id where the format has none: its file and row."""
    return pl.format("{}:{}", "source", "row")


def with_clicks(tables: Tables, ledger: Ledger, drop_unlabelled: bool = False) -> pl.DataFrame:
    """Impressions with `clicked` 0 or 1; events of what was done become part of them.

    Which impression an event belongs to is what `join` says, and what it leaves there. Carts and purchases
    count as clicks.

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
        shown = done.with_columns(chosen.alias("clicked"))
    wrong = shown.filter(~pl.col("clicked").is_in([0.0, 1.0]).fill_null(False))
    if len(wrong) and not drop_unlabelled:
        raise BadInput(
            f"{len(wrong)} of {len(shown)} impressions have a click that is not 0 or 1 (e.g. "
            f"{wrong['clicked'][0]}, {wrong['source'][0]}, row {wrong['row'][0]}); give the events of clicks "
            "too, mend them, or drop those rows with --drop-unlabelled"
        )
    ledger.drop("unlabelled", len(wrong), [f"row {row}" for row in wrong["row"].head(20)])
    return shown.filter(pl.col("clicked").is_in([0.0, 1.0]).fill_null(False))


def from_flat(rows: pd.DataFrame, ledger: Ledger, policy: Policy) -> Built:
    """The rows of a flat click log, labelled by the policy; robots are out where positions are told by them.

    Args:
        rows: What `read_search_events` gave of all of the log.
        ledger: Where rows left out are counted.
        policy: `label`, `min_dwell`, `bias`, `relevant_at`.

    Raises:
        BadInput: The log has nothing of what the policy asks for.
    """
    policy.labelled_by("search", "click", "graded")
    bias = None
    if policy.bias != NONE:
        rows = without_bots(rows, ledger).reset_index(drop=True)
    if policy.bias != NONE or policy.label == "graded":
        found, counts = labelled(impressions_of(rows), ledger, policy)
        rows = rows.iloc[found["at"].to_numpy()].reset_index(drop=True)
        rows = rows.assign(**{name: found[name].to_numpy() for name in ("label",) if name in found.columns})
        bias = None if counts is None else bias_of(counts, policy.bias)
    return Built(rows, "click", 1.0, policy.relevant_at or ANY_CLICK, bias=bias)


def samples_from_judgments(
    judgments: pd.DataFrame,
    source: str,
    max_grade: float,
    ledger: Ledger,
    task: str = "search",
    conflicts: bool = True,
) -> pd.DataFrame:
    """One sample a judged (context, item); rows that name the same pair become one of mean grade.

    Args:
        judgments: Columns of `read_pairs`, or of `Built.rows` with `grade`, cleaned and split.
        source: The file's name, where the rows do not say.
        max_grade: Grade of label 1, where the rows do not say their label.
        ledger: Merged rows are counted as dropped, conflicting grades noted.
        task: The task.
        conflicts: Whether to note them; cleaning may have done so.

    Returns:
        The columns of the sample table; and `user_id` where the rows have it: of a sample that is merged of
        the rows of one user alone his id, else None.
    """
    pairs = _in_order(_numbered(judgments)).groupby(_KEY, sort=False, dropna=False)
    merged = pairs.agg(
        grade=("grade", "mean"), segment=("segment", "first"), split=("split", "first"), **_means(judgments)
    ).reset_index()
    merged["features"] = _features(merged)
    if len(merged) < len(judgments):
        ledger.drop("merged_duplicate", len(judgments) - len(merged))
        if conflicts:
            grades = pairs["grade"].nunique()
            torn = grades.index[grades > 1]
            ledger.note("conflicting_grades", len(torn), [key[1] for key in torn[:20]])
    if "label" not in merged:
        merged["label"] = (merged["grade"] / max_grade).clip(0, 1)
    if "weight" not in merged:
        merged["weight"] = 1.0
    return _finish(merged, source, "grade", task)


def samples_from_impressions(
    impressions: pd.DataFrame, source: str, ledger: Ledger, task: str = "search", bias: Bias | None = None
) -> pd.DataFrame:
    """One sample an item shown for a context; its label is what was done to it, per impression or per look.

    Let impression i of a pair have the value v (its click, or its `label`) and stand for s impressions of the
    log (its `weight`, one over the chance that it was kept; 1 if none was left out). Cross-entropy is linear
    in the label, so that the rows of a pair, weighted by s, have the gradient of one sample of

        label = sum s v / sum s        weight proportional to sum s

    and s counts once: in the label against the other impressions of the pair, and in the weight as its mean,
    beside how far n impressions can be relied on, which `relied_on` says once all pairs are known.

    If impression i was looked at with the chance a, and P(v) = a times what a look would give (Craswell et
    al. 2008), then E[sum s v] = rate sum s a, and

        unbiased = sum s v / sum s a      held at 1

    is consistent for the rate per look, whatever the positions, where the naive one tends to the rate times
    the mean of a. Its precision is that of sum a looks, not of n impressions: see `weight_of`. The mean of
    v / a, which is inverse propensity row by row, is unbiased too, but lets one click at the bottom of the
    page, of a look's worth, count for as much as 1 / a looks.

    Args:
        impressions: Columns of `read_search_events`, or of `Built.rows` with `click`, cleaned and split.
        source: The file's name, where the rows do not say.
        ledger: Merged rows are counted as dropped.
        task: The task.
        bias: What was found of positions; None where that was not asked.

    Returns:
        The columns of the sample table, as logged, `shown` (float64: how often), and `user_id` as
        `samples_from_judgments` has it. With
        `bias` also `unbiased`, `looks` (sum a), `sampled` (mean s), `clicks`, and `bought` where it is known:
        what `decide` and `taken` need.
    """
    rows = _numbered(impressions)
    value = rows["label" if "label" in rows else "click"].to_numpy(np.float64)
    sampled = rows["weight"].to_numpy(np.float64) if "weight" in rows else np.ones(len(rows))
    rows = rows.assign(_value=sampled * value, _sampled=sampled)
    sums: dict[str, tuple[str, str]] = {"_value": ("_value", "sum"), "_sampled": ("_sampled", "sum")}
    if bias is not None:
        looks = bias.looks(rows)
        rows = rows.assign(looks=looks, _looks=sampled * looks)
        sums |= {name: (name, "sum") for name in ("looks", "_looks", "bought") if name in rows}
        sums["clicks"] = ("click", "sum")
    shown = _in_order(rows).groupby(_KEY, sort=False, dropna=False)
    means = {name: how for name, how in _means(rows).items() if name not in ("label", "weight")}
    merged = shown.agg(
        shown=("click", "size"),
        position=("position", "min"),
        segment=("segment", "first"),
        split=("split", "first"),
        **(sums | means | {"timestamp": ("timestamp", "max")}),
    ).reset_index()
    ledger.drop("merged_impression", len(impressions) - len(merged))
    value, stand = (merged.pop(name).to_numpy(np.float64) for name in ("_value", "_sampled"))
    times = merged["shown"].to_numpy(np.float64)
    merged["shown"], merged["label"], merged["weight"] = times, value / stand, stand / times
    if bias is not None:
        merged["unbiased"] = np.clip(value / merged.pop("_looks").to_numpy(np.float64), 0.0, 1.0)
        merged["sampled"] = stand / times
    merged["position"] = merged["position"].astype("Int16")
    merged["features"] = _features(merged, {"impressions": times})
    return _finish(merged, source, "click", task)


def relied_on(shown: np.ndarray, mean: float) -> np.ndarray:
    """(n,) weight of rates over so many impressions: root n over its mean, held in [0.1, 10].

    A rate over n has variance 1/n; the root keeps a bestseller from outweighing the tail.

    Args:
        shown: (n,) impressions.
        mean: Of the root, over all pairs of the log.
    """
    return np.clip(np.sqrt(shown) / mean, 0.1, 10.0)


def _in_order(rows: pd.DataFrame) -> pd.DataFrame:
    """In an order of their own, so that no mean, sum or first segment depends on the file's."""
    about = (*_means(rows), "segment", "grade", "_value", "_looks", "source")
    about = tuple(name for name in about if name not in ("user_id", "_first", "_last"))
    return rows.sort_values([*_KEY, *(name for name in dict.fromkeys(about) if name in rows)])


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
