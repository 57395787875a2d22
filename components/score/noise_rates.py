"""How much of the labels is wrong, in which direction, and where."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from assay.components.score.confusion import confusion
from assay.components.score.grades import Grades
from scipy.stats import binomtest

RESAMPLES = 200
TELLING = 0.2
"""Difference of the share predicted relevant between the classes, below which nothing can be solved for."""
FEWEST = 30
"""Rows from which a slice is reported."""


def noise_rates(
    relevant: np.ndarray,
    probability: np.ndarray,
    target_relevant: np.ndarray,
    target_probability: np.ndarray,
    seed: int = 0,
) -> dict | None:
    """Share of wrong labels and its class-conditional matrix, from how classifiers fare on trusted rows.

    Predictions of training rows and of target rows come from the same classifiers, which saw the label of
    neither. On the target, they show how often a prediction is wrong; what training rows disagree beyond that
    is the labels' doing: P(label, prediction) = sum over truths of P(truth, label) P(prediction | truth),
    which is solved for P(truth, label). After Hendrycks et al. 2018, "Using Trusted Data to Train Deep
    Networks on Labels Corrupted by Severe Noise"; counting confident disagreements alone would blame the
    labels for the classifiers' own errors.

    Args:
        relevant: (n,) bool, as labelled.
        probability: (n,) of being relevant.
        target_relevant: (t,) bool, the truth.
        target_probability: (t,) of being relevant.
        seed: Of the bootstrap over rows of both.

    Returns:
        `rate`, with the 95 % interval `low`, `high`; `relevant_when_not` and `not_when_relevant`: the share
        of truly irrelevant rows labelled relevant, and the other way round. None where a class is missing or
        the classifiers cannot tell the classes apart.
    """
    labels, told = relevant.astype(int), (probability > 0.5).astype(int)
    truths, told_of_target = target_relevant.astype(int), (target_probability > 0.5).astype(int)
    found = _joint(labels, told, truths, told_of_target)
    if found is None:
        return None
    rng = np.random.default_rng(seed)
    rates = []
    for _ in range(RESAMPLES):
        rows, rows_of_target = (rng.integers(0, len(x), len(x)) for x in (labels, truths))
        drawn = _joint(labels[rows], told[rows], truths[rows_of_target], told_of_target[rows_of_target])
        if drawn is not None:
            rates.append(drawn[0, 1] + drawn[1, 0])
    low, high = np.quantile(rates, [0.025, 0.975]) if rates else (0.0, 1.0)
    truly = np.maximum(found.sum(axis=1), 1e-12)
    return {
        "rate": float(found[0, 1] + found[1, 0]),
        "low": float(low),
        "high": float(high),
        "relevant_when_not": float(found[0, 1] / truly[0]),
        "not_when_relevant": float(found[1, 0] / truly[1]),
    }


def noise_matrix(
    grades: Grades, probability: np.ndarray, target_probability: np.ndarray, seed: int = 0
) -> dict | None:
    """The same for more than two classes: which grade is taken for which.

    Args:
        grades: Classes of rows, as labelled, and of the target, the truth.
        probability: (n, K) of each class, by classifiers that did not see the label.
        target_probability: (t, K).
        seed: Of the bootstrap over rows of both.

    Returns:
        `labels`, K values; `rate`, with the 95 % interval `low`, `high`; `matrix`, K lists of K: of the rows
        truly of a grade, the share labelled as each; `matrix_low`, `matrix_high`, its intervals. None where
        the target lacks a grade.
    """
    if len(np.unique(grades.target)) < len(grades.labels):
        return None
    told = confusion(grades, probability, target_probability)
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(RESAMPLES):
        rows, rows_of_target = (rng.integers(0, len(x), len(x)) for x in (grades.rows, grades.target))
        part = replace(grades, rows=grades.rows[rows], target=grades.target[rows_of_target])
        drawn.append(confusion(part, probability[rows], target_probability[rows_of_target], told).joint)
    found, joints = told.joint, np.array(drawn)
    rate = 1 - np.trace(found)
    low, high = _interval(rate, 1 - np.trace(joints, axis1=1, axis2=2))
    matrix_low, matrix_high = _interval(_by_truth(found), _by_truth(joints))
    return {
        "labels": grades.labels.tolist(),
        "rate": float(rate),
        "low": float(low),
        "high": float(high),
        "matrix": _by_truth(found).tolist(),
        "matrix_low": matrix_low.tolist(),
        "matrix_high": matrix_high.tolist(),
    }


def _interval(found: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """95 % interval of shares: where either the percentile or the "basic" bootstrap has it. (2, ...).

    Shares cut at 0 are estimated too high near it, and those drawn from the estimate as much again; what is
    expected of labels draws the estimate the other way. Each of the two intervals forgets one of them.
    """
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    return np.clip([np.minimum(low, 2 * found - high), np.maximum(high, 2 * found - low)], 0.0, 1.0)


def _by_truth(joint: np.ndarray) -> np.ndarray:
    return joint / np.maximum(joint.sum(axis=-1, keepdims=True), 1e-12)


def noise_by(values: pd.Series, flagged: np.ndarray) -> list[dict]:
    """Share of rows whose label looks wrong, for each value of a column; the worst first.

    Args:
        values: (n,) segment or source of each row.
        flagged: (n,) bool.

    Returns:
        `value`, `rows`, `share` with its 95 % interval `low`, `high` (Wilson); values of few rows left out.
    """
    found = []
    for value, rows in pd.Series(flagged).groupby(values.astype(str).to_numpy()):
        if len(rows) >= FEWEST:
            interval = binomtest(int(rows.sum()), len(rows)).proportion_ci(method="wilson")
            found.append(
                {
                    "value": str(value),
                    "rows": len(rows),
                    "share": float(rows.mean()),
                    "low": float(interval.low),
                    "high": float(interval.high),
                }
            )
    return sorted(found, key=lambda line: (-line["share"], line["value"]))


def _joint(
    labels: np.ndarray, told: np.ndarray, truths: np.ndarray, told_of_target: np.ndarray
) -> np.ndarray | None:
    """P(truth, label), (2, 2), adding up to 1; None where it is not to be had."""
    if len(np.unique(labels)) < 2 or len(np.unique(truths)) < 2:
        return None
    # (truth, prediction), rows adding up to 1.
    fare = np.array([np.bincount(told_of_target[truths == t], minlength=2) for t in (0, 1)], dtype=float)
    fare /= fare.sum(axis=1, keepdims=True)
    if abs(np.linalg.det(fare)) < TELLING:
        return None
    seen = np.array([np.bincount(told[labels == y], minlength=2) for y in (0, 1)]) / len(labels)
    solved = np.clip(np.linalg.solve(fare.T, seen.T), 0, None)
    return solved / solved.sum()
