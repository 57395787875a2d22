"""The budget `auto`: the smallest at which cheap rankers are about as good as at the best."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import repeat

import numpy as np
import pandas as pd
from assay.components.core.errors import BadInput
from assay.components.core.manifest import read_manifest
from assay.components.core.metrics import Lists
from assay.components.core.samples import hash_unit, read_samples, relevance
from assay.components.select.baselines.given import row_features
from assay.components.select.cheap_rankers import Exam, Rows, learnt

LADDER = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
"""Budgets tried, of the plausible rows."""
MOST = 30_000
"""Rows at most that a cheap ranker is given: so small a ranker learns no more from more."""
LISTS = 300
"""Validation lists at most that they are judged on."""
RESAMPLES = 8
"""Rankers a budget, each of a resample of its rows."""

Choose = Callable[[int], pd.DataFrame]
"""Rows to take -> the challenger's: sample_id, label (trained on), weight (times the row's own)."""


@dataclass(frozen=True)
class AutoBudget:
    """What was found.

    Attributes:
        rows: Training rows to take.
        facts: For the manifest and the report: `chosen` rows, `metric`, its `gain`, `epsilon`, `least`, how
            many `rankers` a budget and on how many `lists` they were judged; and `curve`, one entry a budget,
            the smallest first: `budget` (of all training rows), `rows`, `metric`, `low`, `high` (95 %),
            `control`, `control_low`, `control_high`, and `chosen_in`, the share of resamples that would have
            chosen it.
    """

    rows: int
    facts: dict


def smallest_within(curve: np.ndarray, epsilon: float) -> np.ndarray:
    """Number of the first budget that is within epsilon, relative, of the best.

    Args:
        curve: (budgets, m) metric, the smallest budget first.
        epsilon: In [0, 1).

    Returns:
        (m,) int64.
    """
    return (curve >= curve.max(axis=0) * (1 - epsilon)).argmax(axis=0)


def auto_budget(
    samples_folder: str,
    vectors_folder: str,
    choose: Choose,
    plausible: int,
    seed: int,
    epsilon: float = 0.005,
    gain: str = "exponential",
    least: int = 2,
) -> AutoBudget:
    """Choose a budget on a curve of cheap rankers, judged on the validation split.

    At each budget logistic regressions on the features learn from resamples of the challenger's rows, and
    others from as many drawn at random from all training rows, each from a draw of its own. The budget chosen
    is the smallest whose mean metric is within epsilon of the best. Intervals are over resamples of rows and
    of validation lists together.

    The rows that a cheap ranker needs are about those of a ranker that starts from what its encoder knows. A
    new head needs steps beside that, which the curve does not see. On 2,519 rows of MSRD, 30 % of labels
    flipped, one seed, 60 test lists: the curve chose 94 rows; a LoRA bi-encoder reached nDCG@10 0.831 with 94
    and 0.820 with 377, a cross-encoder 0.374, 0.724, and 0.801 with 943. `least` is for such.

    Args:
        samples_folder: A sample table.
        vectors_folder: What `embed` wrote.
        choose: Gives the challenger's rows at a number of rows.
        plausible: Rows that it may choose from without reaching for those it cuts.
        seed: Of the resamples and of the control's draws.
        epsilon: How much worse than the best may be, relative, in [0, 1).
        gain: Of nDCG.
        least: Rows below which no budget is tried.

    Raises:
        BadInput: Nothing was left to choose from, or no validation list can be judged.
        ValueError: A row was chosen that is no training row.
    """
    if not 0 <= epsilon < 1:
        raise BadInput(f"--budget auto: epsilon {epsilon} is not in [0, 1)")
    train = read_samples(samples_folder, ["train"], ["sample_id", "label", "weight"]).set_index("sample_id")
    if plausible < 2:
        raise BadInput(
            f"--budget auto: {plausible} of {len(train)} rows look rightly labelled; name a budget"
        )
    largest = min(plausible, MOST)
    counts = sorted({min(largest, max(2, least, round(share * largest))) for share in LADDER})
    chosen = {count: choose(count).set_index("sample_id").sort_index() for count in counts}
    order = np.argsort(hash_unit(train.index.tolist(), f"assay-control-{seed}"), kind="stable")
    pool = train.index[order[:MOST]]
    ids = pool.union(pd.Index(np.unique(np.concatenate([rows.index for rows in chosen.values()]))))
    if not ids.isin(train.index).all():
        raise ValueError(f"{int((~ids.isin(train.index)).sum())} of the chosen rows are no training rows")
    features, own_weight = row_features(vectors_folder, ids), train["weight"]
    exam = _exam(samples_folder, vectors_folder, gain, seed)

    def lesson(rows: pd.DataFrame) -> Rows:
        weights = rows["weight"].to_numpy(np.float64) * own_weight[rows.index].to_numpy(np.float64)
        mine = features[ids.get_indexer(rows.index)]
        return Rows(rows.index.tolist(), mine, rows["label"].to_numpy(np.float64), weights)

    def marks(lessons: list[Rows]) -> np.ndarray:
        """(1 + DRAWS,) of one budget."""
        salts = (f"assay-auto-{seed}-{resample}" for resample in range(RESAMPLES))
        return exam.marks(np.stack([learnt(*one) for one in zip(lessons, repeat(exam.features), salts)]))

    places = [hash_unit(pool.tolist(), f"assay-auto-control-{seed}-{r}") for r in range(RESAMPLES)]
    draws = [
        train.loc[pool[np.argsort(place, kind="stable")], ["label"]].assign(weight=1.0) for place in places
    ]
    mine = np.stack([marks([lesson(chosen[count])] * RESAMPLES) for count in counts])
    control = np.stack([marks([lesson(draw[:count].sort_index()) for draw in draws]) for count in counts])
    picked = smallest_within(mine, epsilon)
    (low, high), (control_low, control_high) = (
        np.quantile(curve[:, 1:], [0.025, 0.975], axis=1) for curve in (mine, control)
    )
    columns = {
        "budget": np.array(counts) / len(train),
        "rows": np.array(counts),
        "metric": mine[:, 0],
        "low": low,
        "high": high,
        "control": control[:, 0],
        "control_low": control_low,
        "control_high": control_high,
        "chosen_in": np.bincount(picked[1:], minlength=len(counts)) / (len(picked) - 1),
    }
    about = {
        "chosen": counts[picked[0]],
        "metric": exam.metric,
        "gain": gain,
        "epsilon": epsilon,
        "least": least,
        "rankers": RESAMPLES,
        "lists": exam.counts.shape[1],
        "curve": pd.DataFrame(columns).to_dict("records"),
    }
    return AutoBudget(counts[picked[0]], about)


def _exam(samples_folder: str, vectors_folder: str, gain: str, seed: int) -> Exam:
    """Whole lists of the validation split, `LISTS` at most, by the hash of their names."""
    facts = read_manifest(samples_folder)
    rows = read_samples(samples_folder, ["validation"], ["sample_id", "group_id", "label", "grade"])
    groups = np.unique(rows["group_id"].to_numpy(dtype=str))
    kept = groups[np.argsort(hash_unit(groups.tolist(), "assay-auto-lists"), kind="stable")[:LISTS]]
    rows = rows[rows["group_id"].isin(kept)].reset_index(drop=True)
    lists = Lists(
        rows["group_id"].to_numpy(dtype=str),
        relevance(rows),
        rows["sample_id"].to_numpy(dtype=str),
        facts["relevant_at"],
        gain,
    )
    # What a cheap ranker is worth is told by its order, whatever the rankers are compared by.
    metric = facts["metric"] if facts["metric"] == "ndcg@10" else "auc"
    return Exam.of(row_features(vectors_folder, rows["sample_id"].tolist()), lists, metric, seed)
