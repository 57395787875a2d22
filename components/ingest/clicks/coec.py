"""Clicks over expected clicks: how much more a pair is clicked than its positions are."""

from __future__ import annotations

import numpy as np
import polars as pl
from assay.components.ingest.clicks.pbm import attraction_of, log_likelihood
from assay.components.ingest.clicks.propensities import Found
from assay.components.ingest.clicks.shown import QUERY, Cells, usable


def coec(impressions: pl.DataFrame) -> pl.DataFrame:
    """Clicks of each pair over those that its positions would have had: at each, the mean rate there.

    The expectation is summed over the pair's impressions, each at the click rate of its own position over all
    pairs (Zhang and Jones 2007, "Comparing click logs and editorial labels for training query rewriting").
    Dividing a rate over all positions by one position's rate, or averaging ratios, is another figure.

    Args:
        impressions: Table `impressions`, with `clicked` in [0, 1].

    Returns:
        By `asked` and `item_id`: shown, clicks, expected, coec (null where nothing was expected).

    Raises:
        BadInput: As `usable`.
    """
    rows = usable(impressions)
    return (
        rows.with_columns(QUERY, __rate=pl.col("clicked").mean().over("position"))
        .group_by("asked", "item_id")
        .agg(shown=pl.len(), clicks=pl.col("clicked").sum(), expected=pl.col("__rate").sort().sum())
        .with_columns(coec=pl.when(pl.col("expected") > 0).then(pl.col("clicks") / pl.col("expected")))
        .sort("asked", "item_id")
    )


def click_rates(cells: Cells) -> Found:
    """Click rates by position, which COEC takes for propensities.

    They are where positions are random. Where a good ranker filled them, the first is clicked for its items
    as well, and the correction goes too far.
    """
    shown = cells.by_position(cells.shown)
    rates = np.divide(
        cells.by_position(cells.clicks), shown, out=np.full(cells.depth, np.nan), where=shown > 0
    )
    examined = np.where(rates > 0, rates, np.nan) / np.nanmax(rates)
    filled = np.nan_to_num(examined, nan=1.0)
    likely = log_likelihood(cells, filled, attraction_of(cells, filled))
    return Found(
        examined, 0, likely, ("holds for random positions alone: it takes all items for equally good",)
    )
