"""The position-based model, fitted by expectation maximisation.

A click needs that the position is examined and that the item attracts, independently: P(click) = examined of
the position times attraction of the pair (Craswell et al. 2008, "An experimental comparison of click
position-bias models"; Wang et al. 2018, "Position Bias Estimation for Unbiased Learning to Rank in Personal
Search", whose regression of attraction on features is left out here: each pair has an attraction of its own).
"""

from __future__ import annotations

import numpy as np
from assay.components.ingest.clicks.propensities import Found
from assay.components.ingest.clicks.shown import Cells

MOST = 1000
TOLERANCE = 1e-5
"""Change of a propensity in one iteration below which it has converged."""
SELDOM = 10.0
"""Impressions of its pair, of a mean impression, below which propensities come out wrong by 0.02 or more."""
TINY = 1e-12


def pbm(cells: Cells, most: int = MOST, tolerance: float = TOLERANCE) -> Found:
    """Propensities of most likelihood.

    What pairs there are at several positions tells positions and items apart. A pair that was seen only a
    few times has an attraction fitted to chance, and propensities of a log of such pairs are biased towards
    the click rates by position: harvesting does better there.

    Args:
        cells: The log.
        most: Iterations at most.
        tolerance: See `TOLERANCE`.
    """
    # Below 1 everywhere: a position that is always examined stays so, whatever the clicks say.
    examined = 0.9 / np.sqrt(np.arange(1, cells.depth + 1))
    attraction = np.full(cells.pairs, 0.5)
    missed = cells.shown - cells.clicks
    clicks = cells.by_pair(cells.clicks), cells.by_position(cells.clicks)
    shown = cells.by_pair(cells.shown), np.maximum(cells.by_position(cells.shown), TINY)
    done = 0
    for iteration in range(1, most + 1):
        look, like = examined[cells.position], attraction[cells.pair]
        # Of impressions without a click: looked at though not liked, liked though not looked at.
        odds = missed / np.maximum(1 - look * like, TINY)
        after = (clicks[1] + cells.by_position(odds * look * (1 - like))) / shown[1]
        attraction = (clicks[0] + cells.by_pair(odds * like * (1 - look))) / shown[0]
        # Relative, as the scale is shared with attraction: both drift together, and nothing hangs on it.
        moved = np.abs(after / after.max() - examined / examined.max()).max()
        examined, done = after, iteration
        if moved < tolerance:
            break
    told: tuple[str, ...] = () if moved < tolerance else (f"not converged after {most} iterations",)
    often = float(np.average(shown[0], weights=shown[0]))
    if often < SELDOM:
        told += (f"an impression's pair was seen {often:.0f} times, too few to fit each: take harvesting",)
    return Found(examined, done, log_likelihood(cells, examined, attraction), told)


def attraction_of(cells: Cells, examined: np.ndarray, iterations: int = 50) -> np.ndarray:
    """Attraction of each pair of most likelihood, where propensities are known.

    Args:
        cells: The log.
        examined: (depth,) in (0, 1].
        iterations: Of expectation maximisation.

    Returns:
        (pairs,) float64 in [0, 1].
    """
    clicks, shown, missed = (
        cells.by_pair(cells.clicks),
        cells.by_pair(cells.shown),
        cells.shown - cells.clicks,
    )
    look = examined[cells.position]
    attraction = np.clip(clicks / cells.by_pair(cells.shown * look), 0.0, 1.0)
    for _ in range(iterations):
        like = attraction[cells.pair]
        found = missed * like * (1 - look) / np.maximum(1 - look * like, TINY)
        attraction = (clicks + cells.by_pair(found)) / shown
    return attraction


def log_likelihood(cells: Cells, examined: np.ndarray, attraction: np.ndarray) -> float:
    """Of the clicks under a position-based model, natural logarithm."""
    chance = np.clip(examined[cells.position] * attraction[cells.pair], TINY, 1 - TINY)
    each = cells.clicks * np.log(chance) + (cells.shown - cells.clicks) * np.log1p(-chance)
    return float(each.sum())
