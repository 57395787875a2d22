"""Planted label noise: wrong labels whose truth is known, so that finding them can be measured."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from assay.components.core.samples import hash_unit, relevance


def plant_noise(
    samples: pd.DataFrame, rate: float, relevant_at: float, max_grade: float, seed: int
) -> pd.DataFrame:
    """Flip exactly floor(rate * n + 0.5) training rows: label 0 if relevant, else 1.

    No other split is touched.

    Args:
        samples: Columns sample_id, split, label and, where graded, grade; changed in place.
        rate: In [0, 1).
        relevant_at: Grade from which a row is relevant.
        max_grade: Grade that goes with label 1.
        seed: Chooses the rows, by hash, so the choice does not depend on row order.

    Returns:
        The truth of all training rows: sample_id, label and relevance as they were, and whether flipped.
    """
    train = np.flatnonzero((samples["split"] == "train").to_numpy())
    graded = samples["grade"].notna() if "grade" in samples else pd.Series(False, index=samples.index)
    truth = samples.iloc[train][["sample_id", "label"]].reset_index(drop=True)
    truth["relevance"] = relevance(samples)[train]
    count = math.floor(rate * len(train) + 0.5)
    order = np.argsort(hash_unit(truth["sample_id"].tolist(), f"assay-noise-{seed}"), kind="stable")
    truth["flipped"] = False
    truth.loc[order[:count], "flipped"] = True
    rows = samples.index[train[order[:count]]]
    flipped = pd.Series(np.where(truth["relevance"][order[:count]] >= relevant_at, 0.0, 1.0), index=rows)
    samples.loc[rows, "label"] = flipped
    # The grade would give the flip away to whoever reads it.
    with_grade = rows[graded[rows]]
    samples.loc[with_grade, "grade"] = flipped[with_grade] * max_grade
    return truth.sort_values("sample_id").reset_index(drop=True)
