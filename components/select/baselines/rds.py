"""RDS+: each row of the target picks its likes in turn."""

from __future__ import annotations

import numpy as np
from assay.components.select.baselines.given import Given

AT_ONCE = 64
"""Target rows whose similarities to all training rows are held in memory together."""


def rds(given: Given, count: int, seed: int) -> np.ndarray:
    """Ids of rows picked by the target's rows in turn, each taking the most similar not yet taken. (count,).

    Ivison et al. 2025, "Large-Scale Data Selection for Instruction Tuning", algorithm 1. They embed a row by
    the position-weighted mean of a language model's hidden states; here it is the encoder's vectors of
    context and item. They have no label strata, and so there are none here; labels are not looked at.
    """
    assert given.vectors is not None, "`pick` checks what a baseline needs"
    rows, target = given.vectors(given.ids), given.vectors(given.target_ids)
    return given.ids[in_turn(rows, target, count)]


def in_turn(rows: np.ndarray, target: np.ndarray, count: int) -> np.ndarray:
    """Numbers of the rows taken, in the order they are.

    Memory grows with what is taken, not with rows times target: each target row keeps a list of its likes,
    and where that is used up, looks again among what is left.

    Args:
        rows: (n, d) unit vectors.
        target: (t, d) unit vectors.
        count: At most n.

    Returns:
        (count,) int64, distinct.
    """
    deep = min(len(rows), 2 * -(-count // len(target)) + 16)
    free = np.ones(len(rows), dtype=bool)
    likes: list[list[int]] = []
    for start in range(0, len(target), AT_ONCE):
        likes += [_nearest(alike, free, deep) for alike in target[start : start + AT_ONCE] @ rows.T]
    taken: list[int] = []
    while True:
        for number in range(len(target)):
            if len(taken) == count:
                return np.asarray(taken, dtype=np.int64)
            mine = likes[number]
            while mine and not free[mine[-1]]:
                mine.pop()
            if not mine:
                mine = likes[number] = _nearest(rows @ target[number], free, deep)
            taken.append(mine.pop())
            free[taken[-1]] = False


def _nearest(alike: np.ndarray, free: np.ndarray, deep: int) -> list[int]:
    """Numbers of the `deep` free rows of the highest (n,) `alike`, the highest last, of equals the first."""
    left = np.flatnonzero(free)
    found = alike[left]
    if deep < len(left):
        # All that are as alike as the last of them, so that equals are told apart by their numbers alone.
        enough = found >= np.partition(found, len(left) - deep)[len(left) - deep]
        left, found = left[enough], found[enough]
    return left[np.argsort(-found, kind="stable")][::-1].tolist()
