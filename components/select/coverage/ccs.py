"""Coverage-centric coresets: as many rows of every degree of importance."""

from __future__ import annotations

import numpy as np
from assay.components.core.samples import hash_unit
from assay.components.select.coverage.pool import Pool

STRATA = 50
"""Ranges of importance of equal width, as many as in the paper."""
HARDEST = 0.1
"""Share of the rows that is cut off, from the lowest importance up."""


def ccs(pool: Pool, count: int, seed: int) -> np.ndarray:
    """Rows drawn from strata of importance, the lowest share cut off.

    Zheng et al. 2023, "Coverage-centric Coreset Selection for High Pruning Rates", algorithm 1: the range of
    scores is cut into strata of equal width, and the budget is shared out evenly among them, from the
    smallest stratum to the largest, what a small one cannot fill going to the others. The paper cuts off the
    hardest rows, which hold the wrong labels; here those of the lowest importance do. The paper tunes that
    share for each budget; here it is `HARDEST`, and less where the budget needs more rows than that leaves.

    Args:
        pool: In `sample_id` order.
        count: Rows to draw.
        seed: Of the draw.

    Returns:
        (count,) int64 row numbers, the most important first.
    """
    n = len(pool)
    best_first = np.argsort(-pool.importance, kind="stable")
    left = best_first[: max(count, n - int(HARDEST * n))]
    scores = pool.importance[left]
    low, width = scores.min(), np.ptp(scores)
    stratum = np.minimum((scores - low) / (width or 1.0) * STRATA, STRATA - 1).astype(np.int64)
    draw = hash_unit([pool.sample_ids[i] for i in left.tolist()], f"assay-ccs-{seed}")
    strata = [
        left[stratum == name][np.argsort(draw[stratum == name], kind="stable")] for name in np.unique(stratum)
    ]
    chosen, missing = [], count
    for number, rows in enumerate(sorted(strata, key=len)):
        take = min(len(rows), missing // (len(strata) - number))
        chosen.append(rows[:take])
        missing -= take
    inside = np.zeros(n, dtype=bool)
    inside[np.concatenate(chosen)] = True
    return best_first[inside[best_first]]
