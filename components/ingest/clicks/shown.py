"""Impressions as click models see them: counts of a log, which add up over its parts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl
from assay.components.core.errors import BadInput

DEEPEST = 50
"""Positions below it are left out of estimates: few people come there, and models grow with the depth."""
QUERY = pl.coalesce("query", "context", "query_id").alias("asked")
"""What an item is relevant to: the text of the query, else what it was shown for, else the search's id."""
PAIR = pl.concat_str([QUERY, pl.col("item_id")], separator="\x1f").hash().alias("pair")
"""A number for a query and an item: a third of the memory of their texts, and nobody's words in a file.

Of three million pairs two share a number once in four million logs. The same on every machine, as long as
the version of polars is: counts are merged within one run.
"""
_USABLE = (
    pl.col("position").is_between(1, DEEPEST)
    & pl.col("clicked").is_between(0, 1)
    & pl.col("item_id").is_not_null()
    & QUERY.is_not_null()
).fill_null(False)
_KEY = ["pair", "position"]
_SUMS = ["shown", "clicks", "on_page", "page_clicks", "read", "read_clicks", "stops"]


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
    rows = impressions.filter(_USABLE)
    _telling(len(rows), float(rows["clicked"].sum()), len(impressions))
    return rows


def _telling(rows: int, clicks: float, of: int) -> None:
    if not rows:
        raise BadInput(
            f"no impression of {of} has an item, a position from 1 to {DEEPEST} and a click of "
            "0 or 1: nothing can be said of positions; map those columns, or leave position bias uncorrected"
        )
    if clicks in (0, rows):
        raise BadInput(
            f"{'every' if clicks else 'no'} impression of {rows} was clicked: nothing can be said of "
            "positions; are the events there, and joined to their impressions?"
        )


def statistics(impressions: pl.DataFrame, stop: str = "") -> pl.DataFrame:
    """Counts of a part of a log, which `merged` adds up to those of all of it.

    Args:
        impressions: Table `impressions`, with `clicked` in [0, 1]. A page of results, which is what shares a
            `query_id`, lies in one part where `stop` is given; else parts may be cut anywhere.
        stop: "first" or "last": the click of a page below which nothing was read, for models of people who
            read from the top; "" for models of positions alone.

    Returns:
        By `pair` (uint64) and `position` (int64; 0 is what tells nothing of positions): `shown`, int64, and
        `clicks`, float64; with a stop also, each item once a page at its first position, `on_page`,
        `page_clicks`, `read` (not below the stop), `read_clicks`, `stops` (int64: it was the stop).
    """
    tells = pl.when(_USABLE)
    counted = (
        impressions.group_by(
            tells.then(PAIR).otherwise(0).alias("pair"),
            tells.then(pl.col("position").cast(pl.Int64)).otherwise(0).alias("position"),
        )
        # Sorted, so that sums do not depend on the order of rows.
        .agg(shown=pl.len().cast(pl.Int64), clicks=tells.then("clicked").otherwise(0.0).sort().sum())
        .sort(_KEY)
    )
    if not stop:
        return counted
    pages = pages_of(impressions.filter(_USABLE), PAIR)
    clicked, read = pl.col("clicked"), read_until(stop)
    of_pages = pages.group_by("pair", pl.col("position").cast(pl.Int64)).agg(
        on_page=pl.len().cast(pl.Int64),
        page_clicks=clicked.sum().cast(pl.Int64),
        read=read.sum().cast(pl.Int64),
        read_clicks=(read & clicked).sum().cast(pl.Int64),
        stops=(clicked & (pl.col("position") == pl.col(stop))).sum().cast(pl.Int64),
    )
    return counted.join(of_pages, on=_KEY, how="left").with_columns(pl.col(_SUMS[2:]).fill_null(0)).sort(_KEY)


def merged(parts: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Counts of several parts of a log as those of all of it, in an order of their own."""
    every = pl.concat(parts)
    return every.group_by(_KEY).agg(pl.col(c).sort().sum() for c in _SUMS if c in every.columns).sort(_KEY)


def pages_of(usable_rows: pl.DataFrame, *pair: pl.Expr) -> pl.DataFrame:
    """An item once a page, at its first position, `clicked` or not, and the page's `first` and `last` click.

    Args:
        usable_rows: As `usable` gives them; those without `query_id` are on no page.
        pair: What names a query and an item.
    """
    pages = (
        usable_rows.filter(pl.col("query_id").is_not_null())
        .group_by("query_id", *pair)
        .agg(pl.col("position").min(), clicked=pl.col("clicked").max() > 0)
    )
    clicks = pl.col("position").filter("clicked")
    return pages.with_columns(first=clicks.min().over("query_id"), last=clicks.max().over("query_id"))


def read_until(stop: str) -> pl.Expr:
    """Whether a row of `pages_of` was read: its page has no `first` (or `last`) click above it."""
    return pl.col(stop).is_null() | (pl.col("position") <= pl.col(stop))


def cells_of(counts: pl.DataFrame) -> Cells:
    """Counts by pair and position, of rows that tell something of positions.

    Args:
        counts: As `statistics` or `merged` gives them.

    Raises:
        BadInput: There are none; or nothing, or everything, was clicked.
    """
    found = counts.filter(pl.col("position") > 0).sort(_KEY)
    _telling(int(found["shown"].sum()), float(found["clicks"].sum()), int(counts["shown"].sum()))
    new = found.select((pl.col("pair") != pl.col("pair").shift()).fill_null(True)).to_series()
    return Cells(
        new.cum_sum().to_numpy().astype(np.int64) - 1,
        found["position"].to_numpy() - 1,
        found["shown"].to_numpy().astype(np.float64),
        found["clicks"].to_numpy(),
    )
