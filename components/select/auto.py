"""The budget `auto`: the smallest at which cheap rankers are about as good as at the best."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from assay.components.core.errors import BadInput
from assay.components.core.manifest import read_manifest
from assay.components.core.metrics import Lists
from assay.components.core.samples import hash_unit, read_samples, relevance
from assay.components.select.baselines.given import row_features
from assay.components.select.cheap_rankers import Exam, Pupils

LADDER = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
"""Budgets tried, of the rows that are not cut as mislabelled."""
MOST = 30_000
"""Rows at most that a cheap ranker is given: so small a ranker learns no more from more."""
LISTS = 300
"""Validation lists at most that they are judged on."""
RESAMPLES = 8
"""Rankers a budget, each of a resample of its rows."""

Choose = Callable[[int], Sequence[str]]
"""Rows to take -> sample ids of the challenger's."""


@dataclass(frozen=True)
class AutoBudget:
    """What was found.

    Attributes:
        rows: Training rows to take.
        facts: For the manifest and the report: `chosen` rows, `metric`, its `gain`, `epsilon`, `rankers` and
            `lists` they were judged on, and `curve`, one entry a budget, the smallest first: `budget` (of all
            training rows), `rows`, `metric`, `low`, `high` (95 %), `control`, `control_low`, `control_high`,
            and `chosen_in`, the share of resamples that would have chosen it.
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
    scores_folder: str,
    vectors_folder: str,
    choose: Choose,
    seed: int,
    epsilon: float = 0.005,
    gain: str = "exponential",
) -> AutoBudget:
    """Choose a budget on a curve of cheap rankers, judged on the validation split.

    At each budget logistic regressions on the features learn from resamples of the challenger's rows, and
    others from as many drawn at random from all training rows, each from a draw of its own. The budget chosen
    is the smallest whose mean metric is within epsilon of the best. Intervals are over resamples of rows and
    of validation lists together.

    Args:
        samples_folder: A sample table.
        scores_folder: What `score` wrote: how many rows are not cut.
        vectors_folder: What `embed` wrote.
        choose: Gives the challenger's rows at a number of rows.
        seed: Of the resamples and of the control's draws.
        epsilon: How much worse than the best may be, relative, in [0, 1).
        gain: Of nDCG.

    Raises:
        BadInput: Nothing was left to choose from, or no validation list can be judged.
        ValueError: A row was chosen that is no training row.
    """
    if not 0 <= epsilon < 1:
        raise BadInput(f"--budget auto: epsilon {epsilon} is not in [0, 1)")
    facts = read_manifest(samples_folder)
    train = read_samples(samples_folder, ["train"], ["sample_id", "label", "weight"]).set_index("sample_id")
    decisions = pd.read_parquet(Path(scores_folder) / "scores.parquet", columns=["decision"])["decision"]
    plausible = int((decisions == "keep").sum())
    if plausible < 2:
        raise BadInput(
            f"--budget auto: {plausible} of {len(train)} rows look rightly labelled; name a budget"
        )
    largest = min(plausible, MOST)
    counts = sorted({max(2, round(share * largest)) for share in LADDER})
    chosen = {count: list(choose(count)) for count in counts}
    order = np.argsort(hash_unit(train.index.tolist(), f"assay-control-{seed}"), kind="stable")
    pool = train.index[order[:MOST]]

    ids = pool.union(pd.Index(np.unique(np.concatenate([chosen[count] for count in counts]))))
    if not ids.isin(train.index).all():
        raise ValueError(f"{int((~ids.isin(train.index)).sum())} of the chosen rows are no training rows")
    known = train.loc[ids]
    pupils = Pupils(
        ids,
        row_features(vectors_folder, ids),
        known["label"].to_numpy(dtype=np.float64),
        known["weight"].to_numpy(dtype=np.float64),
        seed,
    )
    exam = _exam(samples_folder, vectors_folder, facts, gain, seed)
    places = [hash_unit(pool.tolist(), f"assay-auto-control-{seed}-{r}") for r in range(RESAMPLES)]
    controls = [pool[np.argsort(place, kind="stable")] for place in places]

    def curve(rows_of: Callable[[int, int], Sequence[str]]) -> np.ndarray:
        return np.stack(
            [
                exam.marks(np.stack([pupils.scores(rows_of(n, r), r, exam) for r in range(RESAMPLES)]))
                for n in counts
            ]
        )

    mine, control = curve(lambda n, r: chosen[n]), curve(lambda n, r: controls[r][:n].tolist())
    picked = smallest_within(mine, epsilon)
    bounds = [np.quantile(marks[:, 1:], [0.025, 0.975], axis=1) for marks in (mine, control)]
    about = {
        "chosen": counts[picked[0]],
        "metric": exam.metric,
        "gain": gain,
        "epsilon": epsilon,
        "rankers": RESAMPLES,
        "lists": exam.counts.shape[1],
        "curve": [
            {
                "budget": count / len(train),
                "rows": count,
                "metric": float(mine[number, 0]),
                "low": float(bounds[0][0, number]),
                "high": float(bounds[0][1, number]),
                "control": float(control[number, 0]),
                "control_low": float(bounds[1][0, number]),
                "control_high": float(bounds[1][1, number]),
                "chosen_in": float((picked[1:] == number).mean()),
            }
            for number, count in enumerate(counts)
        ],
    }
    return AutoBudget(counts[picked[0]], about)


def _exam(samples_folder: str, vectors_folder: str, facts: dict, gain: str, seed: int) -> Exam:
    """Whole lists of the validation split, `LISTS` at most, by the hash of their names."""
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
    return Exam.of(row_features(vectors_folder, rows["sample_id"].tolist()), lists, facts["metric"], seed)
