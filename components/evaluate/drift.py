"""How far the chosen rows have drifted from all training rows, beside what chance does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from assay.components.core.samples import hash_unit
from assay.components.core.vectors import row_vectors
from scipy.linalg import eigh
from scipy.spatial.distance import pdist

COMPONENTS = 64
"""Principal components that the Gaussians live in."""
ROWS = 10_000
"""Rows that a Gaussian is fitted to at most."""
SUBSETS = 10
"""Random subsets that the chosen rows are held against."""
KERNEL_ROWS, PERMUTATIONS = 2000, 200


def drift(ids: Sequence[str], chosen: np.ndarray, vectors_folder: str, seed: int) -> dict | None:
    """Drift of the rows' vectors, as `row_vectors` gives them, from all rows to the chosen.

    Args:
        ids: (n,) sample ids, ascending.
        chosen: (n,) bool.
        vectors_folder: What `embed` wrote; "" where there is nothing.
        seed: Of the draws.

    Returns:
        frechet (what `frechet_distances` gives) and mmd (what `kernel_test` gives); None where there are no
        vectors, or fewer than two rows were chosen.

    Raises:
        KeyError: There is no vector of a row.
    """
    if not vectors_folder or chosen.sum() < 2:
        return None
    names = np.asarray(ids, dtype=object)
    return {
        "frechet": frechet_distances(names, chosen, vectors_folder, seed),
        "mmd": kernel_test(names, chosen, vectors_folder, seed),
    }


def frechet_distances(names: np.ndarray, chosen: np.ndarray, vectors_folder: str, seed: int) -> dict:
    """Fréchet distance of the Gaussians of all rows and of the chosen, beside random subsets as large.

    |m - m'|^2 + tr(C + C' - 2 (C C')^(1/2)): Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule
    Converge to a Local Nash Equilibrium"; Dowson & Landau 1982, "The Fréchet distance between multivariate
    normal distributions". Not in all dimensions, where few rows leave a covariance singular, but in the
    leading principal components of all rows. The fewer the rows, the larger it is even of a random subset:
    that is why it is read beside some.

    Args:
        names: (n,) sample ids, ascending.
        chosen: (n,) bool.
        vectors_folder: What `embed` wrote.
        seed: Of the subsets, and of the rows where there are more than `ROWS`.

    Returns:
        distance; random (mean over `SUBSETS` random subsets) and random_most (the largest of them), in units
        of vectors squared; variance (trace of the covariance of all rows in those components), components and
        rows (that the chosen's Gaussian was fitted to).
    """
    pool = row_vectors(vectors_folder, _drawn(names, ROWS, f"assay-drift-all-{seed}"))
    mean = pool.mean(axis=0, dtype=np.float64)
    centred = pool - mean.astype(np.float32)
    covariance = (centred.T @ centred).astype(np.float64) / max(1, len(pool) - 1)
    width, keep = len(mean), min(COMPONENTS, len(mean), max(1, len(pool) - 1))
    _, axes = eigh(covariance, subset_by_index=[width - keep, width - 1])

    def gaussian(some: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        seen = (row_vectors(vectors_folder, some).astype(np.float64) - mean) @ axes
        return seen.mean(axis=0), np.atleast_2d(np.cov(seen, rowvar=False))

    every = gaussian(_drawn(names, ROWS, f"assay-drift-all-{seed}"))
    mine = _drawn(names[chosen], ROWS, f"assay-drift-chosen-{seed}")
    random = [
        _frechet(every, gaussian(_drawn(names, len(mine), f"assay-drift-{k}-{seed}"))) for k in range(SUBSETS)
    ]
    return {
        "distance": _rounded(_frechet(every, gaussian(mine))),
        "random": _rounded(float(np.mean(random))),
        "random_most": _rounded(max(random)),
        "variance": _rounded(float(np.trace(every[1]))),
        "components": keep,
        "rows": len(mine),
    }


def kernel_test(names: np.ndarray, chosen: np.ndarray, vectors_folder: str, seed: int) -> dict | None:
    """Kernel MMD^2 between the chosen rows and all rows, and whether a random subset would reach it.

    Gretton et al. 2012, "A Kernel Two-Sample Test": the biased estimate, with a Gaussian kernel whose
    bandwidth is the median distance. The chosen are among all rows, so the two are no independent samples:
    what is permuted is which rows are chosen, and p is exact for that.

    Args:
        names: (n,) sample ids, ascending.
        chosen: (n,) bool.
        vectors_folder: What `embed` wrote.
        seed: Of the rows where there are more than `KERNEL_ROWS`, and of the permutations.

    Returns:
        mmd2, random (its mean over the permutations), p (never below 1 / (`PERMUTATIONS` + 1)), rows and
        chosen (rows that were seen, and how many of them are chosen); None where none of them is.
    """
    some = _drawn(names, KERNEL_ROWS, f"assay-drift-kernel-{seed}")
    mine = np.isin(some, names[chosen])
    if not mine.any():
        return None
    vectors = row_vectors(vectors_folder, some)
    squared = np.maximum(2.0 - 2.0 * (vectors @ vectors.T).astype(np.float64), 0.0)
    bandwidth = float(np.median(pdist(vectors, "sqeuclidean"))) if len(some) > 1 else 0.0
    kernel = np.exp(-squared / (2.0 * bandwidth)) if bandwidth > 0 else np.ones_like(squared)
    rng = np.random.default_rng(seed)
    members = np.column_stack([mine, *(rng.permutation(mine) for _ in range(PERMUTATIONS))])
    apart = members / mine.sum() - 1.0 / len(some)
    found = np.maximum((apart * (kernel @ apart)).sum(axis=0), 0.0).round(12)
    reached = int((found[1:] >= found[0]).sum())
    return {
        "mmd2": _rounded(found[0]),
        "random": _rounded(found[1:].mean()),
        "p": round((1 + reached) / (1 + PERMUTATIONS), 4),
        "rows": len(some),
        "chosen": int(mine.sum()),
    }


def _frechet(one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> float:
    (mean, covariance), (mean2, covariance2) = one, other
    values, axes = eigh(covariance)
    root = (axes * np.sqrt(np.maximum(values, 0.0))) @ axes.T
    # The square root of C C' has the trace of that of C^(1/2) C' C^(1/2), which is symmetric.
    both = np.sqrt(np.maximum(eigh(root @ covariance2 @ root, eigvals_only=True), 0.0)).sum()
    distance = ((mean - mean2) ** 2).sum() + np.trace(covariance) + np.trace(covariance2) - 2.0 * both
    return max(0.0, float(distance))


def _drawn(names: np.ndarray, count: int, salt: str) -> np.ndarray:
    """At most `count` ids drawn by hash, ascending."""
    if count >= len(names):
        return names
    order = np.argsort(hash_unit(names.tolist(), salt), kind="stable")
    return names[np.sort(order[:count])]


def _rounded(value: float) -> float:
    # The last bits are the linear algebra's of the machine.
    return round(float(value), 6)
