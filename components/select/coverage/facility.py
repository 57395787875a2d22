"""Facility location: each row is served by the chosen row that is most like it."""

from __future__ import annotations

import numpy as np
from assay.components.core.samples import hash_unit
from assay.components.select.cells import ALL_PAIRS, near_blocks
from assay.components.select.coverage.pool import Pool
from scipy.sparse import csc_array, csr_array

MISSED = 1e-8
"""Chance that a step looks at none of the rows that the best choice holds. At 0.01 the sum stayed
2 % below the greedy one's; at 1e-8, which makes a step 4 times as dear, 1 %."""
LEAST_NEIGHBOURS, SPAN = 32, 4
"""Rows that may serve a row: its nearest, at least 32, and 4 times as many as a chosen row stands for."""
CROWD = 200
"""Rows of the pool for each one wanted, at most, where that leaves as many as are compared pair by pair."""
LINKS = 1 << 25
"""Of rows to rows that may serve them, at most: 12 bytes each."""
_DRAWS = 1 << 20
"""Random numbers drawn together."""


def facility(pool: Pool, count: int, seed: int) -> np.ndarray:
    """Rows S that nearly maximise sum_i w_i max_{j in S} w_j max(0, cosine_ij), w being importance.

    An important row asks more to be near a chosen one, and an unimportant row serves others less. With equal
    importance it is plain facility location. The sum is monotone and submodular whatever the weights, so that
    the greedy choice has at least 1 - 1/e of the best sum (Nemhauser et al. 1978). The greedy step looks at a
    random n / count ln(1 / MISSED) of the rows: 1 - 1/e - MISSED in expectation, at a cost that does not grow
    with count (Mirzasoleiman et al. 2015, "Lazier Than Lazy Greedy"); where that is all rows, it is the plain
    greedy. Only the rows nearest to a row may serve it, found by `near_blocks`; a chosen row has to serve all
    that it stands for, so from a pool of more than `CROWD` rows for each one wanted, a random share is drawn
    first.

    Args:
        pool: In `sample_id` order, with vectors.
        count: Rows to choose.
        seed: Of the cells and of the rows looked at.

    Returns:
        (count,) int64 row numbers, in the order of choice.
    """
    assert pool.vectors is not None
    n, share = max(ALL_PAIRS, CROWD * count), np.arange(len(pool))
    if len(pool) > n:
        share = np.sort(np.argsort(hash_unit(pool.sample_ids, f"assay-facility-{seed}"), kind="stable")[:n])
    n = len(share)
    wanted = max(LEAST_NEIGHBOURS, -(-SPAN * n // count))
    neighbours = max(1, min(n, wanted, LINKS // n))
    vectors = pool.vectors if len(pool) == n else pool.vectors[share]
    served = serves(vectors, pool.importance[share], neighbours, seed)
    return share[greedy(served, count, int(np.ceil(n / count * np.log(1 / MISSED))), seed)]


def serves(vectors: np.ndarray, importance: np.ndarray, neighbours: int, seed: int) -> csc_array:
    """How well each row would be served by each of the rows that serve it best.

    Args:
        vectors: (n, d) float32, unit length.
        importance: (n,) in [0, 1].
        neighbours: Rows that may serve a row.
        seed: Of the cells.

    Returns:
        (n, n) sparse float32: row i, column j is w_i w_j max(0, cosine_ij).
    """
    n, worth = len(vectors), importance.astype(np.float32)
    best = np.zeros((n, neighbours), dtype=np.uint64)
    for rows, columns, alike in near_blocks(vectors, seed):
        value = np.maximum(alike * worth[columns], np.float32(0))
        # A value and its row are one integer, as floats above 0 are in the order of their bits. Of equal
        # values the earlier row is the larger.
        keys = (value.view(np.uint32).astype(np.uint64) << np.uint64(32)) | (n - 1 - columns).astype(
            np.uint64
        )
        both = np.concatenate([best[rows], keys], axis=1)
        best[rows] = np.partition(both, both.shape[1] - neighbours, axis=1)[:, -neighbours:]
    value = (best >> np.uint64(32)).astype(np.uint32).view(np.float32) * worth[:, None]
    column = (n - 1 - (best & np.uint64(0xFFFFFFFF)).astype(np.int64)).astype(np.int32)
    del best
    there = value > 0
    starts = np.concatenate([[0], there.sum(axis=1).cumsum()])
    return csr_array((value[there], column[there], starts), shape=(n, n)).tocsc()


def greedy(served: csc_array, count: int, looked_at: int, seed: int) -> np.ndarray:
    """Columns chosen one by one, each the one of a random few that adds most to sum_i max_{j chosen} a_ij.

    Args:
        served: (n, n) a, not negative.
        count: Columns to choose.
        looked_at: Columns looked at in a step, drawn with replacement; all, once there are no more than that.
        seed: Of the draws.

    Returns:
        (count,) int64, in the order of choice. Of equal ones the earlier.
    """
    n = served.shape[1]
    rng, draws, used = np.random.default_rng(seed), np.empty((0, 0)), 0
    starts, rows, values = served.indptr.astype(np.int64), served.indices, served.data
    served_by = np.zeros(n, dtype=np.float32)
    # Those left are the first ones of `left`, in any order; `place` is where each is.
    left, place = np.arange(n), np.arange(n)
    chosen = np.empty(count, dtype=np.int64)
    for step in range(count):
        remain = n - step
        if looked_at >= remain:
            some = np.sort(left[:remain])
        else:
            if used == len(draws):
                draws, used = rng.random((max(1, min(count, _DRAWS // looked_at)), looked_at)), 0
            some = np.sort(left[(draws[used] * remain).astype(np.int64)])
            used += 1
        best = int(some[_gains(starts, rows, values, some, served_by).argmax()])
        chosen[step] = best
        inside = slice(starts[best], starts[best + 1])
        served_by[rows[inside]] = np.maximum(served_by[rows[inside]], values[inside])
        last, hole = left[remain - 1], place[best]
        left[hole], place[last] = last, hole
    return chosen


def _gains(
    starts: np.ndarray, rows: np.ndarray, values: np.ndarray, some: np.ndarray, served_by: np.ndarray
) -> np.ndarray:
    """What each of some columns would add. (m,) float64."""
    length = starts[some + 1] - starts[some]
    ends = length.cumsum()
    entry = np.arange(ends[-1]) + np.repeat(starts[some] - ends + length, length)
    more = np.maximum(values[entry] - served_by[rows[entry]], np.float32(0))
    total = np.concatenate([[0.0], more.cumsum(dtype=np.float64)])
    return total[ends] - total[ends - length]


def sum_served(vectors: np.ndarray, importance: np.ndarray, chosen: np.ndarray) -> float:
    """The sum that `facility` maximises, over all pairs of rows: n len(chosen) d operations."""
    there, worth = vectors[chosen], importance[chosen].astype(np.float32)
    step, total = max(1, (1 << 22) // len(chosen)), 0.0
    for start in range(0, len(vectors), step):
        best = np.maximum(vectors[start : start + step] @ there.T * worth, 0).max(axis=1)
        total += float(best.astype(np.float64) @ importance[start : start + step])
    return total
