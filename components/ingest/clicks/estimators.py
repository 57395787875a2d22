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
from assay.components.ingest.clicks.shown import Cells, cells_of, statistics

Estimator = Callable[[pl.DataFrame, Cells], Found]
"""Counts of a log as `statistics` gives them, and the same as cells -> what was found of its positions."""
ESTIMATORS: dict[str, Estimator] = {
    "harvesting": lambda _, cells: harvesting(cells),
    "pbm": lambda _, cells: pbm(cells),
    "cascade": lambda counts, _: cascade(counts),
    "dbn": lambda counts, _: simplified_dbn(counts),
    "coec": lambda _, cells: click_rates(cells),
}
STOPS = {"cascade": "first", "dbn": "last"}
"""{estimator that looks at whole pages: the click below which nothing was read}."""
AUTO = "auto"
"""Harvesting, where the log has swaps enough to tell positions and items apart; else a refusal."""
FLOOR = 0.05


def counted(impressions: pl.DataFrame, method: str) -> pl.DataFrame:
    """The counts that an estimator needs of a part of a log: `merged` adds up those of its parts."""
    return statistics(impressions, STOPS.get(method, ""))


def estimate(impressions: pl.DataFrame, method: str = "harvesting", floor: float = FLOOR) -> Propensities:
    """How likely each position is looked at, from all of a log: see `estimated`.

    Args:
        impressions: Table `impressions`, with `clicked` in [0, 1]; rows without a position, an item or a
            known click are left out. The order of rows does not matter.
        method: A name of `ESTIMATORS`, or `auto`.
        floor: Least propensity, in (0, 1].
    """
    return estimated(counted(impressions, method), method, floor)


def estimated(counts: pl.DataFrame, method: str = "harvesting", floor: float = FLOOR) -> Propensities:
    """How likely each position is looked at, from the counts of a log.

    A position of which nothing is known counts as the nearest known one above it, or else below it.

    Args:
        counts: What `counted` gave of the log for this method, or `merged` of its parts.
        method: A name of `ESTIMATORS`, or `auto`.
        floor: Least propensity, in (0, 1].

    Raises:
        BadInput: There is no such method, the floor is none, or the log tells nothing of positions.
    """
    if method not in (*ESTIMATORS, AUTO):
        raise BadInput(
            f"position bias by {method}: no such estimator; known: {', '.join(ESTIMATORS)}, {AUTO}"
        )
    if not 0 < floor <= 1:
        raise BadInput(f"position bias: floor {floor}: write a propensity in (0, 1]")
    cells = cells_of(counts)
    if method == AUTO:
        swapped = int((np.bincount(cells.pair) > 1).sum())
        if swapped < ENOUGH_SWAPS:
            raise BadInput(
                f"position bias by {AUTO}: {swapped} pairs were seen at several positions (enough: "
                f"{ENOUGH_SWAPS}): positions and items cannot be told apart; take more of the log"
            )
        method = "harvesting"
    found = ESTIMATORS[method](counts, cells)
    known = np.flatnonzero(np.isfinite(found.examined))
    if not len(known):
        raise BadInput(f"position bias by {method}: no position has clicks enough; give a longer log")
    place = known[np.maximum(np.searchsorted(known, np.arange(cells.depth), side="right") - 1, 0)]
    relative = found.examined[place] / found.examined[known].max()
    diagnostics = _diagnostics(cells, relative, int(counts["shown"].sum()))
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
