"""Claim: exact kNN-Shapley of 100,000 rows against 2,000 target rows takes under a minute of CPU.

Work: 100,000 x 384 random unit vectors, 2,000 target rows, sqrt(n) neighbours. The floor beside it is the
matrix product and a plain stable argsort of each target row's similarities, which any exact method pays for.
On 500 rows the values are held against the definition: a row's mean gain in utility over all orders in which
the rows may come.
"""

from __future__ import annotations

import os
import time

import numpy as np
import pandas as pd
from assay.components.core.progress import say
from assay.components.score.inputs import Inputs
from assay.components.score.neighbours import knn_shapley, unit
from record import record
from scipy.stats import binom


def inputs_of(n: int, t: int, d: int) -> Inputs:
    """Random rows of no meaning."""
    rng = np.random.default_rng(0)
    samples, target = (
        pd.DataFrame({"label": labels, "grade": labels})
        for labels in (rng.integers(0, 2, size).astype(float) for size in (n, t))
    )
    features, target_features = (rng.normal(size=(size, d)).astype(np.float32) for size in (n, t))
    return Inputs(samples, target, features, target_features, [], 0.5, 0)


def floor(inputs: Inputs) -> None:
    """Similarities and their order, nothing else."""
    train, target = inputs.features, inputs.target_features
    for start in range(0, len(target), 64):
        for row in target[start : start + 64] @ train.T:
            np.argsort(-row, kind="stable")


def by_definition(inputs: Inputs) -> np.ndarray:
    """The values without the closed form. (n,) float64.

    Before a row comes, each other row is there with probability t, and t is uniform (Owen 1972, "Multilinear
    Extensions of Games"). The row then adds its value to the k nearest, and pushes out the k-th of those that
    are there, if so many are. The integral is of a polynomial of degree n - 1, so quadrature is exact.
    """
    n, k = len(inputs.features), round(np.sqrt(len(inputs.features)))
    nodes, weights = np.polynomial.legendre.leggauss(n // 2 + 1)
    t, weights = ((nodes + 1) / 2)[:, None], weights / 2
    free = weights @ binom.cdf(k - 1, n - 1, t)[:, 0]
    # The row at rank j is the k-th there: k - 1 of the j - 1 others before it are, and it is.
    pushed = weights @ (t * binom.pmf(k - 1, np.maximum(np.arange(n) - 1, 0), t))
    pushed[0] = 0.0
    train, target = unit(inputs.features), unit(inputs.target_features)
    relevant, total = inputs.target_relevant, np.zeros(n)
    for row, similarities in enumerate(target @ train.T):
        order = np.argsort(-similarities, kind="stable")
        v = 1.0 - np.abs(inputs.labels[order] - float(inputs.target["label"].iloc[row]))
        later = np.array([(pushed[i + 1 :] * (v[i] - v[i + 1 :])).sum() for i in range(n)])
        total[order] += (free * v + later) / k / (2 * (relevant == relevant[row]).sum())
    return total


def main() -> None:
    """Measure, print, write."""
    n, t = (10_000, 200) if os.environ.get("QUICK") else (100_000, 2_000)
    inputs = inputs_of(n, t, 384)
    seconds = {}
    for name, work in {"ours": knn_shapley, "floor": floor}.items():
        started = time.process_time()
        work(inputs)
        seconds[name] = time.process_time() - started
        say("neighbours", f"{name}: {seconds[name]:.1f} CPU s")
    few = inputs_of(500, 40, 384)
    expected = by_definition(few)
    error = float(np.abs(knn_shapley(few) - expected).max() / np.abs(expected).max())
    figures = {
        "rows": n,
        "target_rows": t,
        "cpu_seconds": seconds,
        "in_floors": seconds["ours"] / seconds["floor"],
        "relative_error_on_500_rows": error,
    }
    budget = {
        "CPU seconds": (seconds["ours"], "<=", 60.0),
        "relative error to the definition, 500 rows": (error, "<=", 1e-9),
    }
    record("neighbours", figures, budget)


if __name__ == "__main__":
    main()
