"""People who read from the top: the cascade, and the simplified dynamic Bayesian network.

Cascade (Craswell et al. 2008): they read down to the first click and stop. Simplified DBN (Chapelle and Zhang
2009, "A Dynamic Bayesian Network Click Model for Web Search Ranking", section 6): they read on after a click
that did not satisfy them, so down to the last click; without a click, to the end. Both are closed forms.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from assay.components.core.errors import BadInput
from assay.components.ingest.clicks.propensities import Found
from assay.components.ingest.clicks.shown import QUERY, usable

TINY = 1e-12


def _pages(impressions: pl.DataFrame) -> pl.DataFrame:
    """Usable impressions of searches, an item once a page, with the positions of its first and last click.

    Raises:
        BadInput: As `usable`, or no impression names its search.
    """
    rows = usable(impressions).filter(pl.col("query_id").is_not_null())
    if rows.is_empty():
        raise BadInput("cascade models read pages: impressions need query_id, the search they were shown for")
    page = rows.group_by("query_id", QUERY, "item_id").agg(
        pl.col("position").min(), clicked=pl.col("clicked").max() > 0
    )
    clicks = pl.col("position").filter("clicked")
    return page.with_columns(first=clicks.min().over("query_id"), last=clicks.max().over("query_id")).sort(
        "query_id", "position", "item_id"
    )


def cascade(impressions: pl.DataFrame) -> Found:
    """A position is examined unless something above it was clicked."""
    page = _pages(impressions)
    read = page.filter(pl.col("first").is_null() | (pl.col("position") <= pl.col("first")))
    several = int((page["first"] != page["last"]).fill_null(False).any())
    told = (
        ("pages have several clicks, which a cascade cannot explain: they are left out",) if several else ()
    )
    return Found(_survival(page, "first"), 0, _likelihood(_rates(read)), told)


def simplified_dbn(impressions: pl.DataFrame) -> Found:
    """A position is examined unless the last click is above it."""
    page = _pages(impressions)
    rates = dbn_relevance(impressions)
    satisfied = np.clip(rates["satisfaction"].fill_null(0.5).to_numpy(), TINY, 1 - TINY)
    clicks = rates["clicks"].to_numpy()
    last = rates["last_clicks"].to_numpy()
    after = float((last * np.log(satisfied) + (clicks - last) * np.log1p(-satisfied)).sum())
    return Found(_survival(page, "last"), 0, _likelihood(rates) + after)


def dbn_relevance(impressions: pl.DataFrame) -> pl.DataFrame:
    """Attraction, satisfaction and their product, relevance, of each pair under the simplified DBN.

    Args:
        impressions: Table `impressions`, with `clicked` in [0, 1].

    Returns:
        By `asked` and `item_id`: shown (impressions that were read), clicks, last_clicks, attraction (clicks
        a reading), satisfaction (last clicks a click; null without one) and relevance (0 without a click).
    """
    page = _pages(impressions)
    return _rates(page.filter(pl.col("last").is_null() | (pl.col("position") <= pl.col("last"))))


def _rates(read: pl.DataFrame) -> pl.DataFrame:
    clicks = pl.col("clicked").sum()
    counted = read.group_by("asked", "item_id").agg(
        shown=pl.len(),
        clicks=clicks,
        last_clicks=(pl.col("clicked") & (pl.col("position") == pl.col("last"))).sum(),
    )
    attraction = pl.col("clicks") / pl.col("shown")
    satisfaction = pl.when(pl.col("clicks") > 0).then(pl.col("last_clicks") / pl.col("clicks"))
    return counted.with_columns(
        attraction=attraction,
        satisfaction=satisfaction,
        relevance=(attraction * satisfaction).fill_null(0.0),
    ).sort("asked", "item_id")


def _likelihood(rates: pl.DataFrame) -> float:
    shown, clicks = (rates[name].to_numpy().astype(np.float64) for name in ("shown", "clicks"))
    rate = np.clip(clicks / shown, TINY, 1 - TINY)
    return float((clicks * np.log(rate) + (shown - clicks) * np.log1p(-rate)).sum())


def _survival(page: pl.DataFrame, click: str) -> np.ndarray:
    """Share of a position's impressions that were read: no `click` of their page lies above them."""
    read = (pl.col(click).is_null() | (pl.col("position") <= pl.col(click))).mean()
    by_position = page.group_by("position").agg(read=read).sort("position")
    examined = np.full(int(page["position"].max()), np.nan)  # type: ignore[arg-type]
    examined[by_position["position"].to_numpy() - 1] = by_position["read"].to_numpy()
    return np.where(examined > 0, examined, np.nan)
