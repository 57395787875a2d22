"""Scores -> selection: which training rows each arm trains on."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from assay.components.core.manifest import publishing, read_manifest
from assay.components.core.samples import hash_unit, read_samples
from assay.components.select.budget import parse_budget, rows_of_budget
from assay.components.select.strata import best_of_strata

SELECTION = "selection.parquet"
_COLUMNS = ["sample_id", "group_id", "item_id", "arm", "label", "weight", "importance", "decision", "reason"]
"""Of a selection: `label` is what the row is trained on, `weight` what its own weight is multiplied by."""
_READ = ["sample_id", "group_id", "item_id", "label"]


def random_rows(samples: pd.DataFrame, count: int, salt: str) -> pd.DataFrame:
    """`count` rows drawn uniformly, a function of each row's id and the salt, in draw order."""
    order = np.argsort(hash_unit(samples["sample_id"].tolist(), salt), kind="stable")
    return samples.iloc[order[:count]]


def warm_up_shares(
    samples_folder: str, selection_folder: str, share: float, seed: int, arms: Sequence[str] = ("a", "b")
) -> int:
    """Two disjoint random shares of the training rows, as arms `a` and `b`; and the target, where asked for.

    Args:
        samples_folder: A sample table.
        selection_folder: Gets `selection.parquet`.
        share: Of the training rows, each.
        seed: Of the draw.
        arms: With `target` among them, all rows of the target are an arm of that name.

    Returns:
        Rows a share.
    """
    samples = read_samples(samples_folder, ["train"], _READ)
    count = max(1, min(len(samples) // 2, math.floor(share * len(samples) + 0.5)))
    drawn = random_rows(samples, 2 * count, f"assay-warm-up-{seed}")
    table = drawn.assign(
        arm=["a"] * count + ["b"] * count, importance=np.nan, decision="keep", reason="random"
    )
    if "target" in arms:
        target = read_samples(samples_folder, ["target"], _READ)
        table = pd.concat(
            [table, target.assign(arm="target", importance=np.nan, decision="keep", reason="target")]
        )
    _publish(
        table,
        selection_folder,
        read_manifest(samples_folder),
        {"share": share, "seed": seed, "selected": count},
    )
    return count


def challenger_rows(scores: pd.DataFrame, count: int) -> tuple[pd.Index, pd.Series]:
    """The rows to train on, and for each row why it is in or out.

    Rows that look mislabelled are cut, then the most important are taken from each stratum in proportion to
    what the cut left. Only a larger budget reaches for the cut rows again, the least suspicious first.

    Args:
        scores: Columns sample_id, stratum, importance, noise, decision, reason; index unique.
        count: Rows to take.

    Returns:
        Index of the rows taken, and a reason code for every row.
    """
    plausible = scores[scores["decision"] == "keep"]
    taken = best_of_strata(plausible, min(count, len(plausible)))
    reason = scores["reason"].where(scores["decision"] != "keep", "over_budget")
    reason[taken] = "important"
    if count > len(plausible):
        cut = scores[scores["decision"] != "keep"].sort_values(["noise", "sample_id"])
        refill = cut.index[: count - len(plausible)]
        reason[refill] = "budget_exceeds_plausible_rows"
        taken = taken.append(refill)
    return taken, reason


def select(
    samples_folder: str, scores_folder: str, selection_folder: str, arms: list[str], budget: str, seed: int
) -> dict:
    """Publish the rows of each arm, and under arm `none` those the challenger leaves out.

    Every arm but `full` has exactly as many rows; `control` is drawn uniformly from all training rows, before
    any cut.

    Args:
        samples_folder: A sample table.
        scores_folder: What `score` wrote.
        selection_folder: Gets the selection.
        arms: Of challenger, control, full.
        budget: As `parse_budget` reads it.
        seed: Of the control's draw.

    Returns:
        {"selected": rows an arm}.
    """
    samples = read_samples(samples_folder, ["train"], ["sample_id", "task", "label"])
    scores = pd.read_parquet(f"{scores_folder}/scores.parquet")
    if not scores["sample_id"].equals(samples["sample_id"].astype(scores["sample_id"].dtype)):
        raise ValueError(f"{scores_folder} scores other rows than {samples_folder}: score again")
    count = rows_of_budget(parse_budget(budget), len(scores))
    scores["label"] = samples["label"]
    scores["stratum"] = samples["task"].astype(str) + "/" + samples["label"].round(2).astype(str)
    taken, reason = challenger_rows(scores, count)
    scores["reason"] = reason
    inside = scores.index.isin(taken)
    tables = {"challenger": scores[inside], "none": scores[~inside]}
    tables["control"] = random_rows(scores, count, f"assay-control-{seed}").assign(
        decision="keep", reason="random"
    )
    tables["full"] = scores.assign(decision="keep", reason="all_rows")
    table = pd.concat([tables[arm].assign(arm=arm) for arm in [*arms, "none"]])
    about = {
        "budget": parse_budget(budget),
        "selected": count,
        "seed": seed,
        "arms": arms,
        "scores_sha256": read_manifest(scores_folder)["sha256"],
    }
    _publish(table, selection_folder, read_manifest(samples_folder), about)
    return {"selected": count}


def _publish(table: pd.DataFrame, folder: str, samples_manifest: dict, about: dict) -> None:
    table = table.assign(weight=np.float32(1)) if "weight" not in table else table
    table = table[_COLUMNS].sort_values(["arm", "sample_id"]).reset_index(drop=True)
    with publishing(folder, samples_sha256=samples_manifest["sha256"], **about) as (beside, _):
        table.to_parquet(beside / SELECTION, index=False)
