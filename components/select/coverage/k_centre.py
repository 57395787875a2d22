"""k-centre: no row is far from a chosen one."""

from __future__ import annotations

import numpy as np
from assay.components.select.coverage.pool import Pool


def k_centre(pool: Pool, count: int, seed: int) -> np.ndarray:
    """Farthest first: each row taken is the one that is farthest from those taken, the most important first.

    Within twice of the smallest radius there is (Gonzalez 1985); for coresets: Sener & Savarese 2018, "Active
    Learning for Convolutional Neural Networks: A Core-Set Approach". Costs count * n * d products.
    """
    vectors = pool.vectors
    assert vectors is not None
    chosen = [int(np.argmax(pool.importance))]
    nearest = vectors @ vectors[chosen[0]]
    for _ in range(count - 1):
        nearest[chosen[-1]] = np.inf
        chosen.append(int(np.argmin(nearest)))
        np.maximum(nearest, vectors @ vectors[chosen[-1]], out=nearest)
    return np.asarray(chosen)
