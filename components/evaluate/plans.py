"""Plans side by side: what each costs, and which rows it finds, from the scores of one run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

RUN = "this run"
"""The plan that the challenger was chosen by."""


def side_by_side(
    scores: pd.DataFrame,
    plans: pd.DataFrame,
    labels: pd.DataFrame,
    chosen: np.ndarray,
    flipped: pd.Series | None,
    scored: Mapping[str, Any],
    parts: Mapping[str, float],
) -> dict[str, dict[str, Any]]:
    """The run's own plan and every smaller one, which the run has paid for too.

    A plan's rows are its most important ones that do not look mislabelled, in each (task, label) as many as
    the challenger has there.

    Args:
        scores: `scores.parquet`.
        plans: `plans.parquet` of the same folder.
        labels: sample_id, task, label of the training rows.
        chosen: sample_id of the challenger's rows.
        flipped: Whether each row's label was planted wrong, by sample_id; None where none was.
        scored: Manifest of the scores.
        parts: Seconds of the selection path, as `costs` has them.

    Returns:
        {plan, the run's own first: `methods`; `seconds` of the selection path; `spearman` of its importance
        to the run's; `shared`, the share of its rows that the challenger has; `wrong`, the share of its rows
        whose label was planted wrong, None where none was}.
    """
    rows = scores.merge(plans, on="sample_id").merge(labels, on="sample_id")
    taken = rows["sample_id"].isin(set(chosen)).to_numpy()
    planted = None if flipped is None else flipped.reindex(rows["sample_id"]).to_numpy(bool)
    own = {"methods": list(scored["method_seconds"]), "spares": {}}
    out: dict[str, dict[str, Any]] = {}
    for name, about in {RUN: own, **scored["plans"]}.items():
        importance = rows["importance"] if name == RUN else rows[name]
        mine = taken if name == RUN else _most_important(rows, importance, taken)
        out[name] = {
            "methods": list(about["methods"]),
            "seconds": round(sum(parts.values()) - sum(about["spares"].values()), 1),
            "spearman": float(importance.corr(rows["importance"], method="spearman")),
            "shared": float(taken[mine].mean()),
            "wrong": None if planted is None else float(planted[mine].mean()),
        }
    return out


def _most_important(rows: pd.DataFrame, importance: pd.Series, taken: np.ndarray) -> np.ndarray:
    """(n,) bool: a plan's rows."""
    stratum = rows["task"].astype(str) + "/" + rows["label"].round(2).astype(str)
    quota = pd.Series(taken).groupby(stratum).transform("sum")
    order = pd.DataFrame({"last": -importance, "sample_id": rows["sample_id"]})
    order = order[rows["decision"] == "keep"].sort_values(["last", "sample_id"])
    place = order.groupby(stratum.loc[order.index]).cumcount().reindex(rows.index)
    return (place < quota).to_numpy()
