"""Search: judgments or impressions -> samples, one row a (query, item)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from assay.components.core.samples import sample_ids
from assay.components.ingest.attributes import behaviour_maps
from assay.components.ingest.columns import BEHAVIOUR
from assay.components.ingest.ledger import Ledger

_KEY = ["group_id", "context", "item_id", "item"]


def samples_from_judgments(
    judgments: pd.DataFrame, source: str, max_grade: float, ledger: Ledger
) -> pd.DataFrame:
    """One sample a judged (query, item); rows that name the same pair become one of mean grade.

    Args:
        judgments: Columns of `read_pairs`, cleaned and split.
        source: The file's name.
        max_grade: Grade of label 1.
        ledger: Merged rows are counted as dropped, conflicting grades noted.
    """
    # In an order of their own, so that neither a mean nor the first segment depends on the file's.
    pairs = judgments.sort_values([*_KEY, "segment", "grade"]).groupby(_KEY, sort=False, dropna=False)
    merged = pairs.agg(
        grade=("grade", "mean"), segment=("segment", "first"), split=("split", "first"), **_means(judgments)
    ).reset_index()
    merged["features"] = behaviour_maps(merged)
    if len(merged) < len(judgments):
        conflicts = pairs["grade"].nunique()
        ledger.drop("merged_duplicate", len(judgments) - len(merged))
        ledger.note(
            "conflicting_grades",
            int((conflicts > 1).sum()),
            [k[1] for k in conflicts.index[conflicts > 1][:20]],
        )
    merged["label"] = (merged["grade"] / max_grade).clip(0, 1)
    merged["weight"] = 1.0
    return _finish(merged, source, "grade")


def samples_from_impressions(impressions: pd.DataFrame, source: str, ledger: Ledger) -> pd.DataFrame:
    """One sample an item shown for a query; its label is the click rate, its weight grows with the count.

    The click rate is as logged: position bias is in it until it is corrected for.

    Args:
        impressions: Columns of `read_search_events`, cleaned and split.
        source: The file's name.
        ledger: Merged rows are counted as dropped.
    """
    shown = impressions.sort_values([*_KEY, "segment"]).groupby(_KEY, sort=False, dropna=False)
    merged = shown.agg(
        label=("click", "mean"),
        shown=("click", "size"),
        position=("position", "min"),
        timestamp=("timestamp", "max"),
        segment=("segment", "first"),
        split=("split", "first"),
        **_means(impressions),
    ).reset_index()
    ledger.drop("merged_impression", len(impressions) - len(merged))
    # A rate over n impressions has variance 1/n; the root keeps a bestseller from outweighing the tail.
    weight = np.sqrt(merged["shown"].to_numpy(dtype=np.float64))
    merged["weight"] = np.clip(weight / weight.mean(), 0.1, 10.0)
    merged["position"] = merged["position"].astype("Int16")
    shown_times = merged.pop("shown").to_numpy(np.float64)
    merged["features"] = behaviour_maps(merged, {"impressions": shown_times})
    return _finish(merged, source, "click")


def _means(rows: pd.DataFrame) -> dict[str, tuple[str, str]]:
    return {role: (role, "mean") for role in BEHAVIOUR if role in rows}


def _finish(samples: pd.DataFrame, source: str, label_source: str) -> pd.DataFrame:
    samples["task"] = "search"
    samples["source"] = source
    samples["sample_id"] = sample_ids(
        "search", *(samples[c].tolist() for c in ("group_id", "context", "item_id", "item")), label_source
    )
    return samples.sort_values("sample_id").reset_index(drop=True)
