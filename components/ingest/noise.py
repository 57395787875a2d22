"""Planted label noise: wrong labels whose truth is known, so that finding them can be measured."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from assay.components.core.samples import hash_unit, relevance


def rows_to_flip(ids: Sequence[str], rate: float, seed: int) -> float:
    """How far down the training rows, in the order of their hash, labels are flipped.

    Args:
        ids: `sample_id` of all training rows.
        rate: In [0, 1): exactly floor(rate * n + 0.5) of them lie at or below.
        seed: Chooses the order.

    Returns:
        A place in [0, 1) of `hash_unit`; below 0 where none is flipped.
    """
    count = math.floor(rate * len(ids) + 0.5)
    return float(np.sort(_places(ids, seed))[count - 1]) if count else -1.0


def plant_noise(
    samples: pd.DataFrame, last: float, relevant_at: float, max_grade: float, seed: int
) -> pd.DataFrame:
    """Flip training labels: to 0 if relevant, else to 1. No other split is touched.

    Args:
        samples: Columns sample_id, split, label and, where graded, grade; changed in place.
        last: As `rows_to_flip` gives it.
        relevant_at: Grade from which a row is relevant.
        max_grade: Grade that goes with label 1.
        seed: As it was given to `rows_to_flip`: rows are chosen by hash, so that neither their order nor the
            part they come in says anything.

    Returns:
        The truth of the training rows: sample_id, label and relevance as they were, and whether flipped.
    """
    train = np.flatnonzero((samples["split"] == "train").to_numpy())
    graded = samples["grade"].notna() if "grade" in samples else pd.Series(False, index=samples.index)
    truth = samples.iloc[train][["sample_id", "label"]].reset_index(drop=True)
    truth["relevance"] = relevance(samples)[train]
    truth["flipped"] = _places(truth["sample_id"].tolist(), seed) <= last if last >= 0 else False
    out = truth["flipped"].to_numpy(dtype=bool)
    rows = samples.index[train[out]]
    flipped = pd.Series(np.where(truth["relevance"][out] >= relevant_at, 0.0, 1.0), index=rows)
    samples.loc[rows, "label"] = flipped
    # The grade would give the flip away to whoever reads it.
    with_grade = rows[graded[rows]]
    samples.loc[with_grade, "grade"] = flipped[with_grade] * max_grade
    return truth.sort_values("sample_id").reset_index(drop=True)


def _places(ids: Sequence[str], seed: int) -> np.ndarray:
    return hash_unit(ids, f"assay-noise-{seed}")
