"""Farthest first: no row is far from all that are chosen."""

from __future__ import annotations

import numpy as np
from assay.components.select.coverage.pool import Pool

SAME = 1e-6
"""One minus a cosine below which rows are at one place, in float32."""


def k_centre(pool: Pool, count: int, seed: int) -> np.ndarray:
    """Greedy k-centre: the most important row, then again and again the row farthest from all chosen.

    Gonzalez 1985, "Clustering to minimize the maximum intercluster distance": the largest distance of a row
    to its nearest chosen one is at most twice the least that any choice of as many rows has. As an active
    learner: Sener & Savarese 2018, "Active Learning for Convolutional Neural Networks: A Core-Set Approach".
    Distance is Euclidean, which orders unit vectors as their cosine does. Of rows equally far, the more
    important comes first, then ties by `sample_id`. Costs count n d operations.

    Args:
        pool: In `sample_id` order, with vectors.
        count: Rows to choose.
        seed: Not used: nothing is drawn.

    Returns:
        (count,) int64 row numbers, in the order of choice.
    """
    assert pool.vectors is not None
    order = np.argsort(-pool.importance, kind="stable")
    vectors = pool.vectors[order]
    gap = np.full(len(order), np.inf, dtype=np.float32)
    chosen = np.empty(count, dtype=np.int64)
    farthest = 0
    for step in range(count):
        chosen[step] = farthest
        away = 1 - vectors @ vectors[farthest]
        gap = np.minimum(gap, np.where(away < SAME, 0, away))
        # Chosen once is enough, also where all rows left are at the place of a chosen one.
        gap[farthest] = -1
        farthest = int(gap.argmax())
    return order[chosen]
