"""The canary set: a few of the run's test rows, with what the registered ranker scored them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from assay.components.core.full_ranking import read_ranking
from assay.components.core.manifest import publishing, read_manifest, write_json
from assay.components.core.metrics import METRICS
from assay.components.core.samples import hash_unit, read_samples

ROWS, FACTS = "canary.parquet", "canary.json"
GROUPS, ITEMS, LONE = 64, 20, 1000
"""Lists at most, items of a list at most, and rows at most where the task ranks no lists."""
COLUMNS = ("sample_id", "task", "group_id", "context", "item_id", "item", "label", "score")
_SALT = "assay-canary-1"


def write_canary(
    folder: str | Path, samples_folder: str, predictions_folder: str, evidence: Mapping[str, Any], task: str
) -> None:
    """Publish `canary.parquet` and `canary.json`.

    Columns of the rows: sample_id, task, group_id, context, item_id, item (string), label and score
    (float64): the grade that metrics are computed from, and the challenger's logit.

    A service that opens the version scores these rows again: a broken file, another tokenizer or a backend
    that computes something else shows before the first customer does. The rows hold texts of users:
    `sample_id`, `group_id` and `task` are there for `assay erase`, which takes a user's rows out.

    Args:
        folder: Where.
        samples_folder: Sample table.
        predictions_folder: What `evaluate` predicted on its test rows.
        evidence: What `evaluate` found.
        task: The task.
    """
    predicted = pd.read_parquet(Path(predictions_folder) / "predictions.parquet")
    rows = predicted[["sample_id", "group_id"]].copy()
    rows["label"], rows["score"] = predicted["grade"].astype(float), predicted["challenger"].astype(float)
    ranking = evidence.get("full_ranking")
    if ranking:
        rows["item_id"] = predicted["item_id"].astype(str)
        if ranking["reranked"]:
            # What the ranker never saw has been put one below its lowest score.
            rows = rows[rows["score"] > rows["score"].min()]
    rows = _with_texts(rows, samples_folder, bool(ranking))
    rows["task"] = task
    by_list = METRICS[evidence["metric"]].by_list
    kept = _lists(rows, evidence["relevant_at"]) if by_list else _lone(rows)
    facts = read_manifest(samples_folder)
    about = {
        "schema": 1,
        "task": task,
        **{key: evidence[key] for key in ("metric", "gain", "relevant_at")},
        "scale": facts["max_grade"] if evidence["metric"] == "quadratic_kappa" else 0.0,
    }
    with publishing(folder, step="canary") as (beside, _):
        kept[list(COLUMNS)].to_parquet(beside / ROWS, index=False)
        write_json(beside / FACTS, about)


def _with_texts(rows: pd.DataFrame, samples_folder: str, over_catalogue: bool) -> pd.DataFrame:
    shown = ["sample_id", "group_id", "context", "item_id", "item"]
    test = read_samples(samples_folder, ["test"], columns=shown)
    if not over_catalogue:
        return rows.merge(test[["sample_id", "context", "item_id", "item"]], on="sample_id")
    # Rows over a catalogue are no samples; those that are take the sample's id, so that it can be erased.
    catalogue = read_ranking(samples_folder)
    assert catalogue is not None
    texts = catalogue.items.assign(item_id=catalogue.items["item_id"].astype(str))
    contexts = test.drop_duplicates("group_id")[["group_id", "context"]]
    rows = rows.merge(contexts, on="group_id").merge(texts[["item_id", "item"]], on="item_id")
    own = test.drop_duplicates(["group_id", "item_id"])[["group_id", "item_id", "sample_id"]]
    rows = rows.merge(own, on=["group_id", "item_id"], how="left", suffixes=("", "_own"))
    return rows.assign(sample_id=rows["sample_id_own"].fillna(rows["sample_id"]))


def _lists(rows: pd.DataFrame, relevant_at: float) -> pd.DataFrame:
    groups = rows.groupby("group_id")["label"].agg(["nunique", "max"])
    fit = groups.index[(groups["nunique"] > 1) & (groups["max"] >= relevant_at)].to_numpy(dtype=str)
    chosen = fit[np.argsort(hash_unit(fit, _SALT), kind="stable")][:GROUPS]
    rows = rows[rows["group_id"].isin(chosen)].assign(place=lambda r: hash_unit(r["sample_id"], _SALT))
    # One of each label first: a long list must not lose the few that are relevant.
    rows = rows.sort_values(["group_id", "label", "place"], ascending=[True, False, True])
    rows["again"] = rows.groupby(["group_id", "label"]).cumcount() > 0
    rows = rows.sort_values(["group_id", "again", "place"]).groupby("group_id").head(ITEMS)
    return rows.sort_values(["group_id", "sample_id"])


def _lone(rows: pd.DataFrame) -> pd.DataFrame:
    order = np.argsort(hash_unit(rows["sample_id"], _SALT), kind="stable")[:LONE]
    return rows.iloc[order].sort_values(["group_id", "sample_id"])
