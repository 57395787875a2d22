"""Facility location: every row, by its importance, wants a chosen row that is like it."""

from __future__ import annotations

import heapq

import numpy as np
from assay.components.select.cells import neighbours
from assay.components.select.coverage.pool import Pool
from scipy.sparse import csc_array

NEIGHBOURS = 64
"""Rows that each row may be served by; any other serves it not at all."""


def facility(pool: Pool, count: int, seed: int) -> np.ndarray:
    """Greedy maximum of f(S) = sum_i importance_i max_(j in S) cosine(i, j)^+, over nearest neighbours.

    f is submodular, so that greedy reaches 1 - 1/e of the best (Nemhauser et al. 1978), and a gain that was
    computed earlier bounds today's (lazy greedy, Minoux 1978): with sparse neighbours few are computed anew,
    and the stochastic greedy of Mirzasoleiman et al. 2015 is not needed. Wei et al. 2015, "Submodularity in
    Data Subset Selection and Active Learning".
    """
    vectors = pool.vectors
    assert vectors is not None
    n = len(vectors)
    found, cosine = neighbours(vectors, min(n, NEIGHBOURS), seed)
    rows = np.repeat(np.arange(n, dtype=np.int32), found.shape[1])
    there = (found.ravel() >= 0) & (cosine.ravel() > 0)
    served = csc_array(
        (cosine.ravel()[there].astype(np.float64), (rows[there], found.ravel()[there])), shape=(n, n)
    )
    return greedy(served, pool.importance, count)


def greedy(served: csc_array, worth: np.ndarray, count: int) -> np.ndarray:
    """Lazy greedy facility location.

    Args:
        served: (n, m) column j: how well j serves each row, 0 or more.
        worth: (n,) weight of each row.
        count: Columns to choose, at most m.

    Returns:
        (count,) int64 columns in the order they were taken; of equal gains the first column is taken.
    """
    start, rows, value = served.indptr, served.indices, served.data
    best = np.zeros(served.shape[0])
    gains = np.add.reduceat(np.r_[value * worth[rows], 0.0], start[:-1]) * (np.diff(start) > 0)
    heap = [(-gain, column) for column, gain in enumerate(gains.tolist())]
    heapq.heapify(heap)
    chosen: list[int] = []
    while len(chosen) < count:
        _, column = heapq.heappop(heap)
        mine = slice(start[column], start[column + 1])
        more = np.maximum(value[mine] - best[rows[mine]], 0.0)
        gain = float(more @ worth[rows[mine]])
        if heap and (-gain, column) > heap[0]:
            heapq.heappush(heap, (-gain, column))
            continue
        chosen.append(column)
        best[rows[mine]] = np.maximum(best[rows[mine]], value[mine])
    return np.asarray(chosen)
