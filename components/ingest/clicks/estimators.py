"""Estimators of position bias by name: adding one touches one new file and one line here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
from assay.components.core.errors import BadInput
from assay.components.ingest.clicks.cascade import cascade, simplified_dbn
from assay.components.ingest.clicks.coec import click_rates
from assay.components.ingest.clicks.harvesting import harvesting
from assay.components.ingest.clicks.pbm import pbm
from assay.components.ingest.clicks.propensities import (
    ENOUGH_CLICKS,
    ENOUGH_SWAPS,
    MONOTONE_WITHIN,
    Found,
    Propensities,
)
from assay.components.ingest.clicks.shown import Cells, cells_of

Estimator = Callable[[pl.DataFrame, Cells], Found]
"""Table `impressions` with `clicked` in [0, 1], and the same as counts -> what was found of its positions."""
ESTIMATORS: dict[str, Estimator] = {
    "harvesting": lambda _, cells: harvesting(cells),
    "pbm": lambda _, cells: pbm(cells),
    "cascade": lambda impressions, _: cascade(impressions),
    "dbn": lambda impressions, _: simplified_dbn(impressions),
    "coec": lambda _, cells: click_rates(cells),
}
FLOOR = 0.05


def estimate(impressions: pl.DataFrame, method: str = "harvesting", floor: float = FLOOR) -> Propensities:
    """How likely each position is looked at.

    A position of which nothing is known counts as the nearest known one above it, or else below it.

    Args:
        impressions: Table `impressions`, with `clicked` in [0, 1]; rows without a position, an item or a
            known click are left out. The order of rows does not matter.
        method: A name of `ESTIMATORS`.
        floor: Least propensity, in (0, 1].

    Raises:
        BadInput: There is no such method, the floor is none, or the log tells nothing of positions.
    """
    if method not in ESTIMATORS:
        raise BadInput(f"position bias by {method}: no such estimator; known: {', '.join(ESTIMATORS)}")
    if not 0 < floor <= 1:
        raise BadInput(f"position bias: floor {floor}: write a propensity in (0, 1]")
    cells = cells_of(impressions)
    found = ESTIMATORS[method](impressions, cells)
    known = np.flatnonzero(np.isfinite(found.examined))
    if not len(known):
        raise BadInput(f"position bias by {method}: no position has clicks enough; give a longer log")
    place = known[np.maximum(np.searchsorted(known, np.arange(cells.depth), side="right") - 1, 0)]
    relative = found.examined[place] / found.examined[known].max()
    diagnostics = _diagnostics(cells, relative, len(impressions))
    diagnostics |= {"unknown_positions": cells.depth - len(known), "floored": int((relative < floor).sum())}
    return Propensities(
        method,
        np.clip(relative, floor, 1.0),
        cells.by_position(cells.shown),
        cells.by_position(cells.clicks),
        floor,
        found.iterations,
        found.log_likelihood,
        diagnostics,
        (*found.warnings, *_warnings(diagnostics)),
    )


def _diagnostics(cells: Cells, examined: np.ndarray, rows: int) -> dict[str, Any]:
    swapped = np.bincount(cells.pair)[cells.pair] > 1
    shown = cells.by_position(cells.shown)
    return {
        "left_out": rows - int(cells.shown.sum()),
        "pairs": cells.pairs,
        "swapped_pairs": len(np.unique(cells.pair[swapped])),
        "swapped_share": round(float(cells.shown[swapped].sum() / cells.shown.sum()), 6),
        "least_clicks": float(cells.by_position(cells.clicks)[shown > 0].min()),
        "monotone": bool((np.diff(examined) <= MONOTONE_WITHIN).all()),
    }


def _warnings(found: dict[str, Any]) -> list[str]:
    told = []
    if not found["monotone"]:
        told.append(
            "a position is looked at more than one above it: is the page a grid, or the log too short?"
        )
    if found["swapped_pairs"] < ENOUGH_SWAPS:
        told.append(
            f"{found['swapped_pairs']} pairs were seen at several positions (enough: {ENOUGH_SWAPS}): "
            "positions and items can hardly be told apart"
        )
    if found["least_clicks"] < ENOUGH_CLICKS:
        told.append(
            f"a position has {found['least_clicks']:g} clicks (enough: {ENOUGH_CLICKS}): take more of the log"
        )
    return told
