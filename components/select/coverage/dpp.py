"""A draw from a determinantal point process: rows alike rarely meet in it."""

from __future__ import annotations

import numpy as np
from assay.components.select.coverage.pool import Pool

RIDGE = 1e-3
"""Added to each row's likeness to itself, so that more rows can be drawn than vectors have dimensions."""


def dpp(pool: Pool, count: int, seed: int) -> np.ndarray:
    """An exact sample of a k-DPP with L = diag(q) (V V^T + ridge) diag(q), q = exp(importance).

    P(S) is proportional to det L_S: the squared volume that the rows' vectors span, times their importance.
    Kulesza & Taskar 2011, "k-DPPs: Fixed-Size Determinantal Point Processes". n^3, so for small pools.
    """
    vectors = pool.vectors
    assert vectors is not None
    quality = np.exp(pool.importance)
    scaled = vectors.astype(np.float64) * quality[:, None]
    kernel = scaled @ scaled.T + RIDGE * np.diag(quality**2)
    values, basis = np.linalg.eigh(kernel)
    rng = np.random.default_rng([seed, len(vectors)])
    kept = eigenvectors(np.log(np.maximum(values, 1e-12)), count, rng)
    return _projection(basis[:, kept], rng)


def eigenvectors(logs: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """(count,) numbers of eigenvectors, drawn with odds proportional to the products of their eigenvalues.

    Args:
        logs: (n,) logarithms of the eigenvalues.
        count: How many.
        rng: Of the draws.
    """
    n = len(logs)
    # log e[m, l]: elementary symmetric polynomial of degree l of the first m eigenvalues.
    e = np.full((n + 1, count + 1), -np.inf)
    e[:, 0] = 0.0
    for m in range(1, n + 1):
        e[m, 1:] = np.logaddexp(e[m - 1, 1:], logs[m - 1] + e[m - 1, :-1])
    kept, left = [], count
    for m in range(n, 0, -1):
        if not left:
            break
        if np.log(rng.random()) < logs[m - 1] + e[m - 1, left - 1] - e[m, left]:
            kept.append(m - 1)
            left -= 1
    return np.asarray(kept)


def _projection(basis: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A sample of the DPP whose kernel projects on some orthonormal vectors, (n, k): k rows."""
    n, k = basis.shape
    odds = (basis**2).sum(1)
    spanned = np.zeros((n, k))
    chosen: list[int] = []
    for step in range(k):
        row = int(np.searchsorted(np.cumsum(odds), rng.random() * odds.sum(), side="right"))
        row = min(row, n - 1)
        chosen.append(row)
        # Gram-Schmidt: what of every row lies along the part of the chosen one that is new.
        along = basis @ basis[row] - spanned[:, :step] @ spanned[row, :step]
        spanned[:, step] = along / np.sqrt(max(odds[row], 1e-30))
        odds = np.maximum(odds - spanned[:, step] ** 2, 0.0)
        odds[chosen] = 0.0
    return np.asarray(chosen)
