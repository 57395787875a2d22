"""Labels as classes, from the worst to the best: what confident learning can reason about."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MOST = 10
"""Distinct values up to which each is a class of its own."""
BINS = 3
"""Classes that more values are put into, on either side of the bound of relevance."""


@dataclass(frozen=True)
class Grades:
    """The classes of rows and target.

    Attributes:
        rows: (n,) int64 class of each training row, as labelled; 0 is the worst.
        target: (t,) int64 class of each target row.
        labels: (K,) float64 label in [0, 1] that each class stands for, rising.
        first_relevant: The lowest class that is relevant; K where none is.
    """

    rows: np.ndarray
    target: np.ndarray
    labels: np.ndarray
    first_relevant: int


def grades_of(
    values: np.ndarray,
    target_values: np.ndarray,
    labels: np.ndarray,
    target_labels: np.ndarray,
    relevant_at: float,
) -> Grades:
    """Classes of graded labels.

    Up to `MOST` distinct values in rows and target together, each is a class. More of them, click rates
    say, are put into bins: `relevant_at` is always a bound, and each side of it is cut into at most `BINS`
    bins of about as many rows.

    Args:
        values: (n,) how relevant each row is labelled, on the scale of `relevant_at`.
        target_values: (t,) the same of the target.
        labels: (n,) in [0, 1], rising with the values.
        target_labels: (t,).
        relevant_at: Value from which a row is relevant.
    """
    together = np.concatenate([values, target_values])
    distinct = np.unique(together)
    if len(distinct) <= MOST:
        starts = distinct
    else:
        sides = [together[together < relevant_at], together[together >= relevant_at]]
        starts = np.unique(np.concatenate([_starts(side) for side in sides]))
    place = np.searchsorted(starts, together, side="right") - 1
    given = np.concatenate([labels, target_labels])
    stands_for = np.array([np.median(given[place == k]) for k in range(len(starts))])
    first = int(np.searchsorted(starts, relevant_at, side="left"))
    return Grades(place[: len(values)], place[len(values) :], stands_for, first)


def _starts(side: np.ndarray) -> np.ndarray:
    """Lowest value of each bin of one side."""
    if not len(side):
        return side
    return np.quantile(side, np.arange(BINS) / BINS, method="inverted_cdf")
