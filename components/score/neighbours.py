"""Neighbours in the target: what a row is worth to a nearest-neighbour ranker of trusted rows."""

from __future__ import annotations

import numpy as np
from assay.components.core.samples import BLOCK
from assay.components.score.inputs import Inputs

AGREEING = 10
"""Target rows that `target_agreement` asks."""


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
    steps = (values[:-1] - values[1:]) / k * np.minimum(k, rank) / rank
    last = values[-1] * min(k, n) / (k * n)
    return last + np.concatenate([np.cumsum(steps[::-1])[::-1], [0.0]])


def knn_shapley(inputs: Inputs) -> np.ndarray:
    """Mean Shapley value over the target rows; a neighbour is worth how near its label is. (n,).

    Relevant and other target rows count the same in sum: where few are relevant, the many others would
    pay every row labelled irrelevant, wrong ones too. sqrt(n) neighbours count. Distances are cosines over
    the features; ties are broken by `sample_id` order.
    """
    train, target = _unit(inputs.features), _unit(inputs.target_features)
    labels, k = inputs.labels, round(np.sqrt(len(train)))
    target_labels = inputs.target["label"].to_numpy(dtype=np.float64)
    total = np.zeros(len(train))
    for row, label, weight in zip(target, target_labels, _balanced(inputs.target_relevant), strict=True):
        nearest = np.argsort(-(train @ row), kind="stable")
        total[nearest] += weight * shapley_of(1.0 - np.abs(labels[nearest] - label), k)
    return total


def target_agreement(inputs: Inputs) -> np.ndarray:
    """Probability of the label as given by the k nearest target rows, with one prior row. (n,) in (0, 1)."""
    train, target = _unit(inputs.features), _unit(inputs.target_features)
    relevant = inputs.target_relevant.astype(np.float64)
    k = min(AGREEING, len(target))
    probability = np.empty(len(train))
    for start in range(0, len(train), BLOCK):
        alike = train[start : start + BLOCK] @ target.T
        nearest = np.argsort(-alike, axis=1, kind="stable")[:, :k]
        probability[start : start + BLOCK] = (relevant[nearest].sum(1) + relevant.mean()) / (k + 1)
    return np.where(inputs.relevant, probability, 1 - probability)


def _balanced(relevant: np.ndarray) -> np.ndarray:
    """Weights of rows that sum to one, and to the same in each class there is. (n,) bool -> (n,)."""
    size = np.where(relevant, relevant.sum(), (~relevant).sum())
    return 1.0 / (size * len(np.unique(relevant)))


def _unit(matrix: np.ndarray) -> np.ndarray:
    matrix = np.asarray(matrix, dtype=np.float32)
    return matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12)
