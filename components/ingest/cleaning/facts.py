"""What rules must know of a whole log: small tables of each part of it, which add up.

They are told of the log once its texts are repaired, its ids bare, and its queries and items there once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import polars as pl
from assay.components.ingest.cleaning.account import present
from assay.components.ingest.cleaning.policy import FILL, FIRST_MOMENT, Policy
from assay.components.ingest.tables import Tables

APPLICATION = "attribute.application"
"""Who wrote a row, where the format says: two applications may count differently in one file."""
_SCALES = (1.0, 5.0, 10.0, 100.0)
_ASKED = ("queries", "impressions", "events", "judgments", "reviews")
_SHOWN = ("impressions", "events")
_SOURCES = {
    "table": pl.String,
    "source": pl.String,
    **dict.fromkeys(("queries", "items", "timed", "uneven"), pl.Int64),
}
_LISTS = {
    "table": pl.String,
    "source": pl.String,
    APPLICATION: pl.String,
    **dict.fromkeys(("placed", "zeros", "starts_0", "starts_1"), pl.Int64),
}
_VALUES = {"table": pl.String, "column": pl.String, "value": pl.Float64, "rows": pl.Int64}


@dataclass(frozen=True)
class Facts:
    """Of a log, or of a part of it.

    Attributes:
        tables: Those that have rows.
        sources: table, source: rows that name a query, rows that name an item, rows with a time, and those of
            them whose time is no whole minute.
        lists: table, source, application: rows with a position, those at 0; lists of two items or more that
            start at 0, that start at 1.
        values: table, column, value: rows, of what quantiles are asked of.
        last_query: The last possible moment of a query.
    """

    tables: frozenset[str]
    sources: pl.DataFrame
    lists: pl.DataFrame
    values: pl.DataFrame
    last_query: datetime | None

    @classmethod
    def of(cls, tables: Tables, policy: Policy) -> Facts:
        """Those of some tables."""
        asked = None
        if present(tables, "queries"):
            moment = pl.col("timestamp")
            possible = tables["queries"].filter(moment >= FIRST_MOMENT, moment <= policy.latest())
            asked = possible["timestamp"].max()
        return cls(
            frozenset(present(tables, *tables)),
            _sum([_of_sources(name, tables[name]) for name in present(tables, *_ASKED)], _SOURCES),
            _sum([_of_lists(name, tables[name]) for name in present(tables, *_SHOWN)], _LISTS),
            _sum(_of_values(tables, policy), _VALUES),
            asked,  # type: ignore[arg-type]
        )

    @classmethod
    def together(cls, parts: Sequence[Facts]) -> Facts:
        """Those of all parts of a log."""
        asked = [part.last_query for part in parts if part.last_query is not None]
        every = frozenset(name for part in parts for name in part.tables)
        sources = _sum([part.sources for part in parts], _SOURCES)
        lists = _sum([part.lists for part in parts], _LISTS)
        values = _sum([part.values for part in parts], _VALUES)
        return cls(every, sources, lists, values, max(asked, default=None))

    def naming(self, table: str, what: str) -> pl.Series:
        """Sources of which some row of a table names a query, or an item."""
        return self._of(table, self.sources).filter(pl.col(what) > 0)["source"]

    def coarse(self, table: str, least: int) -> pl.Series:
        """Sources with so many times, all of them whole minutes."""
        told = self._of(table, self.sources)
        return told.filter(pl.col("timed") >= least, pl.col("uneven") == 0)["source"]

    def listed(self, table: str) -> pl.DataFrame:
        """The rows of `lists` of a table."""
        return self._of(table, self.lists)

    def quantile(self, table: str, column: str, share: float, least: float | None = None) -> float | None:
        """The smallest value that no more than `1 - share` of the rows lie above; None where there is none.

        Args:
            table: Of the log.
            column: Of the table; ratings of events are `rating`, seconds of dwell `dwell`.
            share: In [0, 1].
            least: Values below are not looked at.
        """
        told = self._values.get((table, column), pl.DataFrame(schema=_VALUES))
        if least is not None:
            told = told.filter(pl.col("value") >= least)
        return _at(told, int(share * (int(told["rows"].sum()) - 1))) if len(told) else None

    def median(self, table: str, column: str) -> float | None:
        """The middle value, or the mean of the middle two; None where there is none."""
        told = self._values.get((table, column), pl.DataFrame(schema=_VALUES))
        rows = int(told["rows"].sum())
        return (_at(told, (rows - 1) // 2) + _at(told, rows // 2)) / 2 if rows else None

    def scale(self, table: str) -> tuple[float, float]:
        """Lowest and highest rating that it can mean: 0 and the first of 1, 5, 10, 100 that holds 99 %."""
        most = self.quantile(table, "rating", 0.99)
        return 0.0, next((s for s in _SCALES if most is None or most <= s), float("inf"))

    def largest_rating(self, table: str) -> float:
        """That is on the scale; 0 where there is none."""
        low, high = self.scale(table)
        told = self._values.get((table, "rating"), pl.DataFrame(schema=_VALUES))["value"]
        return max(told.filter(told.is_between(low, high)).to_list(), default=0.0)

    @cached_property
    def _values(self) -> dict[tuple[str, str], pl.DataFrame]:
        return {
            (str(table), str(column)): rows.sort("value")
            for (table, column), rows in self.values.group_by("table", "column")
        }

    @staticmethod
    def _of(table: str, frame: pl.DataFrame) -> pl.DataFrame:
        return frame.filter(pl.col("table") == table)


def _at(values: pl.DataFrame, place: int) -> float:
    """The value at a place, from 0, of all rows in order."""
    return float(values.filter(pl.col("rows").cum_sum() > place)["value"][0])


def _sum(parts: Sequence[pl.DataFrame], schema: dict) -> pl.DataFrame:
    keys = [name for name, dtype in schema.items() if dtype != pl.Int64]
    parts = [part.cast(schema).select(list(schema)) for part in parts]
    return pl.concat([pl.DataFrame(schema=schema), *parts]).group_by(keys).sum().sort(keys)


def _of_sources(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    def count(condition: pl.Expr) -> pl.Expr:
        return condition.fill_null(False).sum()

    def known(column: str) -> pl.Expr:
        return count(pl.col(column).is_not_null()) if column in frame.columns else pl.lit(0)

    timed = "timestamp" in frame.columns
    even = pl.col("timestamp").dt.truncate("1m") == pl.col("timestamp")
    return frame.group_by("source").agg(
        table=pl.lit(name),
        queries=known("query_id"),
        items=known("item_id"),
        timed=known("timestamp"),
        uneven=count(~even) if timed else pl.lit(0),
    )


def _of_lists(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    if APPLICATION not in frame.columns:
        frame = frame.with_columns(pl.lit(None, pl.String).alias(APPLICATION))
    by, placed = ["source", APPLICATION], frame.filter(pl.col("position").is_not_null())
    lists = (
        placed.filter(pl.col("query_id").is_not_null(), pl.lit(name == "impressions"))
        .group_by(*by, "query_id")
        .agg(first=pl.col("position").min(), length=pl.col("position").n_unique())
        .filter(pl.col("length") > 1)
        .group_by(by)
        .agg(starts_0=(pl.col("first") == 0).sum(), starts_1=(pl.col("first") == 1).sum())
    )
    rows = placed.group_by(by).agg(placed=pl.len(), zeros=(pl.col("position") == 0).sum())
    told = rows.join(lists, on=by, how="left", nulls_equal=True)
    return told.with_columns(pl.col("starts_0", "starts_1").fill_null(0), table=pl.lit(name))


def _of_values(tables: Tables, policy: Policy) -> list[pl.DataFrame]:
    asked = []
    for name, column, rows, as_name in (
        ("events", "value", pl.col("action") == "rating", "rating"),
        ("events", "value", pl.col("action") == "dwell", "dwell"),
        ("events", "feature.dwell", pl.lit(True), "feature.dwell"),
        ("impressions", "feature.dwell", pl.lit(True), "feature.dwell"),
        ("reviews", "rating", pl.lit(True), "rating"),
    ):
        asked.append((name, column, rows, as_name))
    for place, how in policy.missing.items():
        name, _, column = place.partition(".")
        if how == f"{FILL}median" and not any(one[0] == name and one[3] == column for one in asked):
            asked.append((name, column, pl.lit(True), column))
    out = []
    for name, column, rows, as_name in asked:
        if not present(tables, name) or column not in tables[name].columns:
            continue
        if not tables[name].schema[column].is_numeric():
            continue
        value = pl.col(column).cast(pl.Float64).alias("value")
        told = tables[name].filter(rows.fill_null(False)).select(value).drop_nulls()
        counted = told.filter(pl.col("value").is_not_nan()).group_by("value").agg(rows=pl.len())
        out.append(counted.with_columns(table=pl.lit(name), column=pl.lit(as_name)))
    return out
