"""Whole lists: groups are taken or left with all their rows."""

from __future__ import annotations

import numpy as np


def whole_lists(sizes: np.ndarray, order: np.ndarray, count: int) -> np.ndarray:
    """Which lists to take so that their rows are as near to a number as can be without exceeding it.

    They are taken in order as long as they fit. Then so few of the last are given back that the others can
    fill what is left as well as any lists could; among those that fill it, the choice is of the most worth.

    Args:
        sizes: (g,) int64 rows of each list, 1 or more.
        order: (g,) numbers of the lists, the best first.
        count: Rows that may be taken.

    Returns:
        (g,) bool.
    """
    best = _nearest(sizes, count)
    sums = np.cumsum(sizes[order])
    prefix = int(np.searchsorted(sums, count, side="right"))
    while True:
        left = best - (int(sums[prefix - 1]) if prefix else 0)
        rest = order[prefix:]
        filled = _fill(sizes[rest], left) if left >= 0 else None
        if filled is not None:
            taken = np.zeros(len(sizes), dtype=bool)
            taken[order[:prefix]], taken[rest[filled]] = True, True
            return taken
        prefix -= 1


def _nearest(sizes: np.ndarray, count: int) -> int:
    """The largest sum of some of the sizes that is at most `count`."""
    if sizes.sum() <= count:
        return int(sizes.sum())
    # Bit s of `sums` says whether some lists have s rows together; as many lists of a size go in by halves.
    sums, mask = 1, (1 << (count + 1)) - 1
    for size, many in zip(*np.unique(sizes, return_counts=True), strict=True):
        left, step = min(int(many), count // int(size)), 1
        while left > 0:
            sums |= (sums << (int(size) * min(step, left))) & mask
            left, step = left - step, 2 * step
    return sums.bit_length() - 1


def _fill(sizes: np.ndarray, left: int) -> np.ndarray | None:
    """Numbers of lists, given the best first, of `left` rows together, preferring the first; None if none.

    Of all ways, the one of the greatest sum of (len - number) x rows.
    """
    if left == 0:
        return np.empty(0, dtype=np.int64)
    # Of a size, no more than fit can be of use, and they are the first of them.
    used: dict[int, int] = {}
    items = []
    for number, size in enumerate(sizes.tolist()):
        if size <= left and used.get(size, 0) < left // size:
            used[size] = used.get(size, 0) + 1
            items.append(number)
    worth = np.full(left + 1, -1, dtype=np.int64)
    worth[0] = 0
    taken = np.zeros((len(items), left + 1), dtype=bool)
    for at, number in enumerate(items):
        size = int(sizes[number])
        better = np.where(worth[:-size] >= 0, worth[:-size] + (len(sizes) - number) * size, -1)
        taken[at, size:] = better > worth[size:]
        worth[size:] = np.where(taken[at, size:], better, worth[size:])
    if worth[left] < 0:
        return None
    found = []
    for at in range(len(items) - 1, -1, -1):
        if taken[at, left]:
            found.append(items[at])
            left -= int(sizes[items[at]])
    return np.asarray(found[::-1], dtype=np.int64)
