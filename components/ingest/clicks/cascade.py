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
from assay.components.ingest.clicks.shown import QUERY, pages_of, read_until, usable

TINY = 1e-12
_NO_PAGES = "cascade models read pages: impressions need query_id, the search they were shown for"


def cascade(counts: pl.DataFrame) -> Found:
    """A position is examined unless something above it was clicked.

    Args:
        counts: `statistics` with the stop `first`.

    Raises:
        BadInput: No impression names its search.
    """
    by_pair, examined = _read(counts)
    told = (
        ("pages have several clicks, which a cascade cannot explain: they are left out",)
        if counts["page_clicks"].sum() > counts["read_clicks"].sum()
        else ()
    )
    return Found(examined, 0, _likelihood(by_pair), told)


def simplified_dbn(counts: pl.DataFrame) -> Found:
    """A position is examined unless the last click is above it.

    Args:
        counts: `statistics` with the stop `last`.

    Raises:
        BadInput: No impression names its search.
    """
    by_pair, examined = _read(counts)
    clicks, last = by_pair["clicks"].to_numpy(), by_pair["stops"].to_numpy()
    satisfied = np.divide(last, clicks, out=np.full(len(last), 0.5), where=clicks > 0)
    satisfied = np.clip(satisfied, TINY, 1 - TINY)
    after = float((last * np.log(satisfied) + (clicks - last) * np.log1p(-satisfied)).sum())
    return Found(examined, 0, _likelihood(by_pair) + after)


def dbn_relevance(impressions: pl.DataFrame) -> pl.DataFrame:
    """Attraction, satisfaction and their product, relevance, of each pair under the simplified DBN.

    Args:
        impressions: Table `impressions`, with `clicked` in [0, 1].

    Returns:
        By `asked` and `item_id`: shown (impressions that were read), clicks, last_clicks, attraction (clicks
        a reading), satisfaction (last clicks a click; null without one) and relevance (0 without a click).

    Raises:
        BadInput: As `usable`, or no impression names its search.
    """
    pages = pages_of(usable(impressions), QUERY, pl.col("item_id"))
    if pages.is_empty():
        raise BadInput(_NO_PAGES)
    counted = pages.filter(read_until("last")).group_by("asked", "item_id").agg(
        shown=pl.len(),
        clicks=pl.col("clicked").sum(),
        last_clicks=(pl.col("clicked") & (pl.col("position") == pl.col("last"))).sum(),
    )  # fmt: skip
    attraction = pl.col("clicks") / pl.col("shown")
    satisfaction = pl.when(pl.col("clicks") > 0).then(pl.col("last_clicks") / pl.col("clicks"))
    return counted.with_columns(
        attraction=attraction,
        satisfaction=satisfaction,
        relevance=(attraction * satisfaction).fill_null(0.0),
    ).sort("asked", "item_id")


def _read(counts: pl.DataFrame) -> tuple[pl.DataFrame, np.ndarray]:
    """Readings, clicks and stops of each pair that was read; and the share of each position that was read."""
    shown = counts.filter(pl.col("position") > 0)
    if not shown["on_page"].sum():
        raise BadInput(_NO_PAGES)
    sums = pl.col("on_page", "read", "read_clicks", "stops").sum()
    by_pair = shown.group_by("pair").agg(sums).filter(pl.col("read") > 0).sort("pair")
    by_position = shown.group_by("position").agg(sums).filter(pl.col("on_page") > 0)
    examined = np.full(int(shown["position"].max()), np.nan)  # type: ignore[arg-type]
    read = (by_position["read"] / by_position["on_page"]).to_numpy()
    examined[by_position["position"].to_numpy() - 1] = np.where(read > 0, read, np.nan)
    return by_pair.select("pair", "stops", shown="read", clicks="read_clicks"), examined


def _likelihood(by_pair: pl.DataFrame) -> float:
    shown, clicks = (by_pair[name].to_numpy().astype(np.float64) for name in ("shown", "clicks"))
    rate = np.clip(clicks / shown, TINY, 1 - TINY)
    return float((clicks * np.log(rate) + (shown - clicks) * np.log1p(-rate)).sum())
