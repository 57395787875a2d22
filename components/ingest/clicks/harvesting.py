"""Intervention harvesting: the same item for the same query at two positions is an experiment.

Its attraction is the same at both, so the ratio of its click rates is that of the propensities; it takes no
model of attraction, and pairs seen twice tell as well as pairs seen a thousand times (Agarwal et al. 2019,
"Estimating Position Bias without Intrusive Interventions"). The logs need not be randomised: rankers that
changed, stock and freshness swap items. Swaps made on purpose (FairPairs, random pages) are the same to it.
"""

from __future__ import annotations

import numpy as np
from assay.components.core.errors import BadInput
from assay.components.ingest.clicks.pbm import attraction_of, log_likelihood
from assay.components.ingest.clicks.propensities import Found
from assay.components.ingest.clicks.shown import Cells


def harvesting(cells: Cells) -> Found:
    """Propensities from all pairs of positions.

    Of two positions, the ratio is the Mantel-Haenszel one over the query-item pairs that were seen at both,
    which is consistent however few impressions each has (Greenland and Robins 1985). All ratios are then made
    to agree: least squares of log ratios, weighted by one over their variance.

    Args:
        cells: The log.

    Raises:
        BadInput: No pair was seen, and clicked, at two positions.
    """
    depth = cells.depth
    # Pairs that were seen at one position alone tell nothing, and are most of a long tail.
    swapped = np.bincount(cells.pair) > 1
    inside, number = swapped[cells.pair], np.cumsum(swapped) - 1
    where = cells.position[inside], number[cells.pair[inside]]
    shown, clicks = np.zeros((2, depth, swapped.sum()))
    shown[where], clicks[where] = cells.shown[inside], cells.clicks[inside]
    rows, ratios, weights = [], [], []
    for high in range(depth):
        for low in range(high + 1, depth):
            both = np.flatnonzero((shown[high] > 0) & (shown[low] > 0))
            found = _ratio(shown[:, both][[high, low]], clicks[:, both][[high, low]])
            if found is not None:
                row = np.zeros(depth)
                row[high], row[low] = 1, -1
                rows.append(row)
                ratios.append(found[0])
                weights.append(1 / found[1])
    if not rows:
        raise BadInput(
            "position bias by harvesting: no item was seen and clicked at two positions for one query; "
            "take another estimator, or a log in which positions change"
        )
    design, root = np.array(rows), np.sqrt(weights)
    joined = _joined(design)
    solved = np.linalg.lstsq(design[:, joined] * root[:, None], np.array(ratios) * root, rcond=None)[0]
    examined = np.full(depth, np.nan)
    examined[joined] = np.exp(solved)
    examined /= np.nanmax(examined)
    lost = np.flatnonzero(~joined) + 1
    told = (f"no swaps lead to positions {', '.join(map(str, lost))}",) if len(lost) else ()
    filled = np.where(joined, examined, 1.0)
    likely = log_likelihood(cells, filled, attraction_of(cells, filled))
    return Found(examined, 0, likely, told)


def _ratio(shown: np.ndarray, clicks: np.ndarray) -> tuple[float, float] | None:
    """Log of the ratio of two positions' propensities, and its variance; None where a side has no click.

    Args:
        shown: (2, k) impressions of the pairs seen at both.
        clicks: (2, k).
    """
    total = shown.sum(axis=0)
    high, low = clicks[0] * shown[1] / total, clicks[1] * shown[0] / total
    above, below = high.sum(), low.sum()
    if not (above > 0 and below > 0):
        return None
    # Greenland and Robins 1985, equation 4; never 0, or a few clicks at every impression are certain.
    spread = (shown[0] * shown[1] * clicks.sum(axis=0) - clicks[0] * clicks[1] * total) / total**2
    return float(np.log(above / below)), float(max(spread.sum() / (above * below), 1 / clicks.sum() ** 2))


def _joined(design: np.ndarray) -> np.ndarray:
    """(depth,) bool: the positions that swaps join to the one that most of them touch."""
    touched = np.abs(design).sum(axis=0)
    joined = np.arange(design.shape[1]) == touched.argmax()
    while True:
        near = np.abs(design[(np.abs(design)[:, joined] > 0).any(axis=1)]).any(axis=0) | joined
        if (near == joined).all():
            return joined
        joined = near
