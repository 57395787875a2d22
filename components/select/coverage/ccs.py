"""Coverage-centric selection: the hardest rows are left, all other importances are represented alike."""

from __future__ import annotations

import numpy as np
from assay.components.core.samples import hash_unit
from assay.components.select.coverage.pool import Pool

HARDEST = 0.1
"""Share of the rows, the least important ones, that are left before anything is drawn."""
BINS = 50


def ccs(pool: Pool, count: int, seed: int) -> np.ndarray:
    """Rows drawn at random from bins of equal width of importance, as many from each as it can give.

    Zheng et al. 2023, "Coverage-centric Coreset Selection for High Pruning Rates". The paper tunes the share
    of hardest rows to each rate; here it is fixed, since wrong labels were cut before.
    """
    n = len(pool.importance)
    left = min(int(HARDEST * n), n - count)
    rows = np.argsort(pool.importance, kind="stable")[left:]
    value = pool.importance[rows]
    edges = np.linspace(value.min(), value.max(), BINS + 1)
    bin_of = np.clip(np.searchsorted(edges, value, side="right") - 1, 0, BINS - 1)
    luck = hash_unit(pool.ids[rows].tolist(), f"assay-ccs-{seed}")
    sizes = np.bincount(bin_of, minlength=BINS)
    chosen, budget = [], count
    # From the smallest bin on: what it cannot give is shared among those that are left.
    order = [number for number in np.argsort(sizes, kind="stable") if sizes[number]]
    for place, number in enumerate(order):
        quota = min(int(sizes[number]), budget // (len(order) - place))
        inside = np.flatnonzero(bin_of == number)
        chosen.append(inside[np.argsort(luck[inside], kind="stable")[:quota]])
        budget -= quota
    return rows[np.concatenate(chosen)]
