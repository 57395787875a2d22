"""Rows drawn so that they repel each other: a determinantal point process of a fixed size."""

from __future__ import annotations

import numpy as np
from assay.components.select.coverage.pool import Pool

AT_MOST = 2000
"""Rows: the eigenvectors of a matrix of rows by rows are needed."""
RIDGE = 1e-3
"""Added to a row's likeness to itself, so that any number of rows can be drawn, also beyond d."""
LEAST = 0.01
"""Importance of a row of none, so that it can be drawn at all."""


def kernel(pool: Pool) -> np.ndarray:
    """L of the process: w_i w_j (cosine_ij + ridge where i is j), w the importance. (n, n) float64."""
    assert pool.vectors is not None
    vectors = pool.vectors.astype(np.float64)
    worth = np.maximum(pool.importance, LEAST)
    return (vectors @ vectors.T + RIDGE * np.eye(len(pool))) * np.outer(worth, worth)


def dpp(pool: Pool, count: int, seed: int) -> np.ndarray:
    """An exact draw of `count` rows S with probability proportional to det(L_S).

    Kulesza & Taskar 2011, "k-DPPs: Fixed-Size Determinantal Point Processes", algorithms 1 and 2:
    eigenvectors are drawn by elementary symmetric polynomials of the eigenvalues, here in logarithms; then
    rows, one after the other, each by how much of it lies outside the span of those before. Costs
    n^3 + n count^2 operations.

    Args:
        pool: In `sample_id` order, with vectors; at most `AT_MOST` rows.
        count: Rows to draw.
        seed: Of the draw.

    Returns:
        (count,) int64 row numbers, in the order of the draw.
    """
    rng = np.random.default_rng(seed)
    values, vectors = np.linalg.eigh(kernel(pool))
    basis = vectors[:, _eigenvectors(values, count, rng)]
    left = np.einsum("ij,ij->i", basis, basis)
    spanned = np.zeros((len(pool), count))
    chosen = np.empty(count, dtype=np.int64)
    for step in range(count):
        chances = np.maximum(left, 0.0)
        chances[chosen[:step]] = 0.0
        chosen[step] = row = int(rng.choice(len(pool), p=chances / chances.sum()))
        along = basis @ basis[row] - spanned[:, :step] @ spanned[row, :step]
        spanned[:, step] = along / np.sqrt(left[row])
        left = left - spanned[:, step] ** 2
    return chosen


def _eigenvectors(values: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` of the eigenvectors, a set with probability proportional to the product of its eigenvalues."""
    logs = np.log(np.maximum(values, np.finfo(np.float64).tiny))
    # sums[i, k]: log of the k-th elementary symmetric polynomial of the first i eigenvalues.
    sums = np.full((len(values) + 1, count + 1), -np.inf)
    sums[:, 0] = 0.0
    for i, log in enumerate(logs, 1):
        sums[i, 1:] = np.logaddexp(sums[i - 1, 1:], log + sums[i - 1, :-1])
    drawn, missing = [], count
    for i in range(len(values), 0, -1):
        if missing and np.log(rng.random()) < logs[i - 1] + sums[i - 1, missing - 1] - sums[i, missing]:
            drawn.append(i - 1)
            missing -= 1
    return np.array(drawn, dtype=np.int64)
