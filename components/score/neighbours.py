"""Neighbours: what a row is worth to a nearest-neighbour ranker of trusted rows, and how alone it stands."""

from __future__ import annotations

import numpy as np
from assay.components.core.samples import BLOCK
from assay.components.score.inputs import Inputs

AGREEING = 10
"""Target rows that `target_agreement` asks."""
CROWD = 10
"""Training rows that `density` looks at."""
AT_ONCE = 64
"""Target rows whose similarities to all training rows are held in memory together."""


def shapley_of(values: np.ndarray, k: int) -> np.ndarray:
    """Shapley values of neighbours under the kNN utility, for one target row.

    The utility of a set is the mean value of its k nearest members, over k. Closed form of Jia et al. 2019,
    "Efficient Task-Specific Data Valuation for Nearest Neighbor Algorithms", theorem 1, for any value of
    a neighbour.

    Args:
        values: (n,) value of each neighbour, nearest first.
        k: Neighbours that count.

    Returns:
        (n,) float64, in the same order; they sum to the utility of the whole set.
    """
    n = len(values)
    rank = np.arange(1, n)
    out = np.empty(n)
    out[-1] = values[-1] * min(k, n) / (k * n)
    out[:-1] = (values[:-1] - values[1:]) * (np.minimum(k, rank) / (k * rank))
    return np.cumsum(out[::-1])[::-1]


def nearest_first(alike: np.ndarray) -> np.ndarray:
    """Rows from the most alike to the least; of equals the earlier first. (n,) float32 -> (n,) int64.

    As `argsort(-alike, kind="stable")`, and several times as fast: similarity and row are one integer key.
    """
    bits = (-alike.astype(np.float32, copy=False) + np.float32(0)).view(np.uint32)
    # Floats in the order of integers: all bits of negative ones turned, the sign of the others.
    ordered = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31)).astype(np.uint64)
    keys = (ordered << np.uint64(32)) | np.arange(len(bits), dtype=np.uint64)
    keys.sort()
    return (keys & np.uint64(0xFFFFFFFF)).astype(np.int64)


def knn_shapley(inputs: Inputs) -> np.ndarray:
    """Mean Shapley value over the target rows; a neighbour is worth how near its label is. (n,).

    Relevant and other target rows count the same in sum: where few are relevant, the many others would
    pay every row labelled irrelevant, wrong ones too. sqrt(n) neighbours count. Distances are cosines over
    the features; ties are broken by `sample_id` order.
    """
    train, target = unit(inputs.features), unit(inputs.target_features)
    labels, k = inputs.labels, round(np.sqrt(len(train)))
    target_labels = inputs.target["label"].to_numpy(dtype=np.float64)
    weights, total = _balanced(inputs.target_relevant), np.zeros(len(train))
    for start in range(0, len(target), AT_ONCE):
        alike = target[start : start + AT_ONCE] @ train.T
        for row, similarities in enumerate(alike, start):
            nearest = nearest_first(similarities)
            values = 1.0 - np.abs(labels[nearest] - target_labels[row])
            total[nearest] += weights[row] * shapley_of(values, k)
    return total


def target_agreement(inputs: Inputs) -> np.ndarray:
    """Probability of the label as given by the k nearest target rows, with one prior row. (n,) in (0, 1)."""
    train, target = unit(inputs.features), unit(inputs.target_features)
    relevant = inputs.target_relevant.astype(np.float64)
    k = min(AGREEING, len(target))
    probability = np.empty(len(train))
    for start in range(0, len(train), BLOCK):
        alike = train[start : start + BLOCK] @ target.T
        nearest = np.argsort(-alike, axis=1, kind="stable")[:, :k]
        probability[start : start + BLOCK] = (relevant[nearest].sum(1) + relevant.mean()) / (k + 1)
    return np.where(inputs.relevant, probability, 1 - probability)


def density(inputs: Inputs) -> np.ndarray:
    """Mean cosine to the nearest other training rows: low for a row like no other. (n,) in [-1, 1]."""
    return crowd(inputs).mean(axis=1)


def duplicate_distance(inputs: Inputs) -> np.ndarray:
    """One minus the cosine to the nearest other training row: 0 for a duplicate. (n,) in [0, 2]."""
    return np.maximum(1.0 - crowd(inputs)[:, 0], 0.0)


def crowd(inputs: Inputs) -> np.ndarray:
    """Cosines to the nearest other training rows, the nearest first; computed once. (n, <= CROWD) float64."""
    if "crowd" not in inputs.kept:
        train = unit(inputs.features)
        k = min(CROWD, len(train) - 1)
        found = np.empty((len(train), max(k, 1)))
        for start in range(0, len(train), BLOCK // 4):
            alike = train[start : start + BLOCK // 4] @ train.T
            # A row is no neighbour of its own.
            alike[np.arange(len(alike)), start + np.arange(len(alike))] = -np.inf
            top = np.partition(alike, -max(k, 1), axis=1)[:, -max(k, 1) :]
            found[start : start + len(alike)] = np.sort(top, axis=1)[:, ::-1]
        inputs.kept["crowd"] = np.where(np.isfinite(found), found, 0.0)
    return inputs.kept["crowd"]


def _balanced(relevant: np.ndarray) -> np.ndarray:
    """Weights of rows that sum to one, and to the same in each class there is. (n,) bool -> (n,)."""
    size = np.where(relevant, relevant.sum(), (~relevant).sum())
    return 1.0 / (size * len(np.unique(relevant)))


def unit(matrix: np.ndarray) -> np.ndarray:
    """Rows of length 1, float32; what is zero stays zero."""
    matrix = np.asarray(matrix, dtype=np.float32)
    return matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12)
