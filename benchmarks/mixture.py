"""Vectors of no texts: clusters of clusters, with near-duplicates planted among them."""

from __future__ import annotations

import numpy as np


def unit(matrix: np.ndarray) -> np.ndarray:
    """Rows of length 1, float32."""
    return (matrix / np.linalg.norm(matrix, axis=1, keepdims=True)).astype(np.float32)


def mixture(n: int, d: int = 384, copies: float = 0.2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows like those of a shop: departments, in them kinds of items, of which few have many rows.

    Two rows of a kind have a cosine of about 0.6. The last rows are copies, each of a row before them, at
    a cosine drawn from 0.90 to 1: on either side of the 0.95 at which near-duplicates begin.

    Args:
        n: Rows.
        d: Their length.
        copies: Share of rows that are copies.
        seed: Of everything.

    Returns:
        (n, d) float32, unit length; (n,) int64, the row that each is a copy of, or itself.
    """
    rng = np.random.default_rng(seed)
    kinds = max(1, n // 100)
    departments = unit(rng.standard_normal((40, d), dtype=np.float32))
    middle = unit(
        departments[rng.integers(40, size=kinds)] + unit(rng.standard_normal((kinds, d), np.float32))
    )
    share = 1 / np.arange(1, kinds + 1) ** 0.7
    first = n - int(copies * n)
    original = np.arange(n)
    original[first:] = rng.integers(first, size=n - first)
    vectors = np.empty((n, d), dtype=np.float32)
    kind = rng.choice(kinds, first, p=share / share.sum())
    cosine = rng.uniform(0.90, 1.0, n).astype(np.float32)[:, None]
    for start in range(0, n, 1 << 14):
        rows = np.arange(start, min(start + (1 << 14), n))
        noise = unit(rng.standard_normal((len(rows), d), dtype=np.float32))
        new = rows < first
        vectors[rows[new]] = unit(middle[kind[rows[new]]] + 0.8 * noise[new])
        of = vectors[original[rows[~new]]]
        away = unit(noise[~new] - np.einsum("ij,ij->i", noise[~new], of)[:, None] * of)
        c = cosine[rows[~new]]
        vectors[rows[~new]] = unit(c * of + np.sqrt(1 - c**2) * away)
    return vectors, original
