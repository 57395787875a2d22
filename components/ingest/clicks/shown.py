"""Impressions as click models see them: who was shown what, where, and whether it was clicked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from assay.components.core.errors import BadInput

DEEPEST = 50
"""Positions below it are left out of estimates: few people come there, and models grow with the depth."""
QUERY = pl.coalesce("query", "context", "query_id").alias("asked")
"""What an item is relevant to: the text of the query, else what it was shown for, else the search's id."""


@dataclass(frozen=True)
class Cells:
    """All that a position-based model needs of a log: counts by pair and position, in an order of its own.

    Attributes:
        pair: (n,) int64 number of the (query, item).
        position: (n,) int64, from 0.
        shown: (n,) float64 impressions.
        clicks: (n,) float64, at most `shown`.
    """

    pair: np.ndarray
    position: np.ndarray
    shown: np.ndarray
    clicks: np.ndarray

    @property
    def depth(self) -> int:
        """Positions."""
        return int(self.position.max()) + 1

    @property
    def pairs(self) -> int:
        """Pairs of query and item."""
        return int(self.pair[-1]) + 1

    def by_position(self, of: np.ndarray) -> np.ndarray:
        """Sums of a column of the cells. (depth,) float64."""
        return np.bincount(self.position, of, minlength=self.depth)

    def by_pair(self, of: np.ndarray) -> np.ndarray:
        """Sums of a column of the cells. (pairs,) float64."""
        return np.bincount(self.pair, of, minlength=self.pairs)


def usable(impressions: pl.DataFrame) -> pl.DataFrame:
    """Impressions that tell something of positions: those with an item, a position and a known click.

    Args:
        impressions: Table `impressions`, with `clicked` in [0, 1].

    Raises:
        BadInput: There are none; or nothing, or everything, was clicked.
    """
    rows = impressions.filter(
        pl.col("position").is_between(1, DEEPEST)
        & pl.col("clicked").is_between(0, 1)
        & pl.col("item_id").is_not_null()
        & QUERY.is_not_null()
    )
    if rows.is_empty():
        raise BadInput(
            f"no impression of {len(impressions)} has an item, a position from 1 to {DEEPEST} and a click of "
            "0 or 1: nothing can be said of positions; map those columns, or leave position bias uncorrected"
        )
    rate = float(rows["clicked"].mean())  # type: ignore[arg-type]
    if rate in (0.0, 1.0):
        raise BadInput(
            f"{'every' if rate else 'no'} impression of {len(rows)} was clicked: nothing can be said of "
            "positions; are the events there, and joined to their impressions?"
        )
    return rows


def cells_of(impressions: pl.DataFrame) -> Cells:
    """Counts by pair and position of usable impressions.

    Raises:
        BadInput: As `usable`.
    """
    counted = (
        usable(impressions)
        .group_by(QUERY, "item_id", pl.col("position").cast(pl.Int64))
        .agg(shown=pl.len().cast(pl.Float64), clicks=pl.col("clicked").sum())
        .sort("asked", "item_id", "position")
    )
    new = counted.select(
        (pl.col("asked") != pl.col("asked").shift()) | (pl.col("item_id") != pl.col("item_id").shift())
    ).to_series()
    return Cells(
        new.fill_null(True).cum_sum().to_numpy().astype(np.int64) - 1,
        counted["position"].to_numpy() - 1,
        counted["shown"].to_numpy(),
        counted["clicks"].to_numpy(),
    )
