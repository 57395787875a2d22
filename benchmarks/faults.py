"""Claim: every fault of a log is in the ledger, and the count is exact.

Work: the store's search log as canonical tables (queries, items, impressions, clicks, purchases and dwell as
events, judgments, reviews), clean. Then faults of 29 kinds are planted, each in rows of its own, their number
drawn. The ledger must name each with exactly that number and nothing else, rows in = rows out + dropped. The
time is that of cleaning the spoilt log, in rows a CPU second.
"""

from __future__ import annotations

import datetime as dt
import os
import time

import numpy as np
import polars as pl
from assay.components.ingest.cleaning.clean import clean
from assay.components.ingest.cleaning.policy import Policy
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.tables import Tables, canonical, logged_rows
from assay.examples.store import StoreConfig, simulate
from record import record
from rich.console import Console
from rich.table import Table

SEED = 7
UNTIL = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
"""The store's log ends in spring 2025."""


def store_log(queries: int, searches: float) -> Tables:
    """The store's tables, without the flaws that it plants itself."""
    flawless = dict.fromkeys(("bot_share", "duplicate_share", "missing_share"), 0.0)
    store = simulate(StoreConfig(queries=queries, searches_per_query=searches, **flawless))
    log = pl.from_pandas(store.search_events).with_columns(
        row=pl.int_range(1, pl.len() + 1), source=pl.lit("log.csv")
    )
    who = ["user_id", "session_id", "query_id"]
    asked = log.unique("query_id", keep="first", maintain_order=True)
    shown = log.select(*who, "item_id", "position", "row", "source", "timestamp", impression_id="event_id")
    done = pl.concat(
        log.filter(pl.col(flag) == 1).select(
            *who, "item_id", "position", "source",
            event_id=pl.col("event_id") + f"-{action}",
            action=pl.lit(action),
            timestamp=pl.col("timestamp") + pl.duration(seconds=later),
        )
        for flag, action, later in (("click", "click", 5), ("purchase", "purchase", 240))
    )  # fmt: skip
    rng = np.random.default_rng(SEED)
    dwell = done.filter(pl.col("action") == "click").with_columns(
        event_id=pl.col("event_id") + "-dwell",
        action=pl.lit("dwell"),
        timestamp=pl.col("timestamp") + pl.duration(seconds=60),
    )
    dwell = dwell.with_columns(value=pl.Series(np.clip(rng.lognormal(3.5, 0.8, len(dwell)), 1, 1500)))
    done = pl.concat([done.with_columns(value=pl.lit(None, dtype=pl.Float64)), dwell]).sort(
        "timestamp", "event_id"
    )
    reviews = pl.from_pandas(store.reviews)
    said = next(c for c in ("text", "review_text", "review", "body") if c in reviews.columns)
    judged = pl.from_pandas(store.judgments).select("query_id", "query", "item_id", "grade")
    stamped = {
        "queries": asked.select(*who, "query", "timestamp", "row", "source"),
        "items": pl.from_pandas(store.items).select("item_id", "price", "brand", text="title"),
        "impressions": shown,
        "events": done,
        "judgments": judged.unique(["query_id", "item_id"], keep="first", maintain_order=True),
        "reviews": reviews.select("item_id", "rating", "user_id", text=said),
    }
    tables = {}
    for name, frame in stamped.items():
        if "row" not in frame.columns:
            frame = frame.with_columns(row=pl.int_range(1, pl.len() + 1), source=pl.lit(f"{name}.csv"))
        tables[name] = canonical(name, frame)
    # The doubles and repeats that a store has by chance are no faults of ours.
    return clean(tables, Ledger(), Policy(until=UNTIL))


class Spoiler:
    """Plants faults into rows that have none yet.

    Args:
        tables: A clean log.
        rng: Draws rows and numbers.
    """

    def __init__(self, tables: Tables, rng: np.random.Generator) -> None:
        self.tables, self.rng = dict(tables), rng
        self.free = {name: np.ones(len(frame), dtype=bool) for name, frame in tables.items()}
        self.planted: dict[tuple[str, str], int] = {}

    def rows(self, name: str, among: pl.Expr | None = None) -> np.ndarray:
        """Indices of free rows, a few dozen or one in 300 of them; they are free no more."""
        frame, free = self.tables[name], self.free[name]
        fit = (
            free[: len(frame)]
            & frame.select((pl.lit(True) if among is None else among).alias("x"))["x"].to_numpy()
        )
        count = int(min(self.rng.integers(20, 60), 5 + fit.sum() // 300))
        chosen = np.sort(self.rng.choice(np.flatnonzero(fit), count, replace=False))
        free[chosen] = False
        return chosen

    def put(
        self, kind: str, reason: str, name: str, column: str, value: pl.Expr, among: pl.Expr | None = None
    ) -> None:
        """Change a column in some rows."""
        frame, chosen = self.tables[name], self.rows(name, among)
        here = pl.Series(np.isin(np.arange(len(frame)), chosen))
        changed = pl.when(pl.lit(here)).then(value).otherwise(column).alias(column)
        self.tables[name] = frame.with_columns(changed)
        self._note(kind, reason, len(chosen))

    def add(
        self, kind: str, reason: str, name: str, change: dict[str, pl.Expr], among: pl.Expr | None = None
    ) -> None:
        """Add changed copies of some rows."""
        frame, chosen = self.tables[name], self.rows(name, among)
        self.append(name, frame[chosen].with_columns(**change))
        self._note(kind, reason, len(chosen))

    def append(self, name: str, rows: pl.DataFrame) -> None:
        """Rows that are not free."""
        self.tables[name] = pl.concat([self.tables[name], rows.select(self.tables[name].columns)])
        self.free[name] = np.concatenate([self.free[name], np.zeros(len(rows), dtype=bool)])

    def settle(self) -> None:
        """Put all rows in order of time, as a log is written, and number them so."""
        for name, frame in self.tables.items():
            if "timestamp" not in frame.columns:
                continue
            ordered = frame.with_columns(_free=pl.Series(self.free[name])).sort(
                "timestamp", maintain_order=True
            )
            self.free[name] = ordered["_free"].to_numpy().copy()
            numbered = ordered.with_columns(row=pl.int_range(1, pl.len() + 1, dtype=pl.UInt32))
            self.tables[name] = numbered.drop("_free")

    def _note(self, kind: str, reason: str, count: int) -> None:
        self.planted[kind, reason] = self.planted.get((kind, reason), 0) + count


def garbled(column: str) -> pl.Expr:
    """UTF-8 read as latin1, of a text that has something to garble."""
    return (pl.col(column) + " crème brûlée").map_elements(
        lambda text: text.encode().decode("latin1"), return_dtype=pl.String
    )


def spoilt(tables: Tables, rng: np.random.Generator) -> Spoiler:
    """All faults, planted: first rows that were not there, then those that stand wrong or are changed."""
    s = Spoiler(tables, rng)
    click, dwell = pl.col("action") == "click", pl.col("action") == "dwell"
    again = pl.col("event_id") + "-again"
    elsewhere = pl.lit("unseen") + pl.int_range(pl.len()).cast(pl.String)
    later = pl.col("timestamp") + pl.duration(minutes=17)
    nowhere = pl.lit(None, dtype=pl.String)
    for kind, reason, name, among, change in (
        ("dropped", "not_about_an_item", "events", click,
         {"event_id": again, "action": pl.lit("other"), "item_id": nowhere}),
        ("dropped", "duplicate_event", "events", click, {}),
        ("dropped", "duplicate_event", "impressions", None, {}),
        ("dropped", "repeated_event", "events", click, {"event_id": again}),
        ("dropped", "click_without_impression", "events", click,
         {"event_id": again, "item_id": elsewhere, "timestamp": later}),
        ("dropped", "unknown_item", "events", click,
         {"event_id": again, "item_id": elsewhere, "timestamp": later, "action": pl.lit("cart")}),
        ("noted", "duplicate_item", "items", None, {}),
        ("noted", "duplicate_query", "queries", None, {}),
        ("noted", "conflicting_grades", "judgments", None, {"grade": 3.0 - pl.col("grade")}),
    ):  # fmt: skip
        s.add(kind, reason, name, change, among)
    s.settle()
    _moved(s)
    never = pl.datetime(1970, 1, 1, 0, 0, 9, time_zone="UTC")
    early, late = pl.col("timestamp") - pl.duration(hours=5), pl.col("timestamp") + pl.duration(days=90)
    for kind, reason, name, column, value, among in (
        ("dropped", "orphan_query_id", "events", "query_id", "lost" + pl.col("query_id"), click),
        ("dropped", "missing_query_id", "events", "query_id", nowhere, click),
        ("dropped", "missing_item_id", "events", "item_id", nowhere, click),
        ("repaired", "impossible_timestamp", "events", "timestamp", never, dwell),
        ("repaired", "clock_skew", "impressions", "timestamp", early, None),
        ("repaired", "clock_skew", "impressions", "timestamp", late, None),
        ("repaired", "impossible_position", "impressions", "position", pl.lit(-3, dtype=pl.Int32), None),
        ("repaired", "impossible_position", "impressions", "position", pl.lit(99_999, dtype=pl.Int32), None),
        ("repaired", "outlier_dwell", "events", "value", pl.lit(86_400.0), dwell),
        ("repaired", "negative_dwell", "events", "value", pl.lit(-5.0), dwell),
        ("repaired", "negative_price", "items", "price", pl.lit(-1.0), None),
        ("repaired", "mojibake", "items", "text", garbled("text"), None),
        ("repaired", "html", "items", "text", "<b>" + pl.col("text") + "</b>", None),
        ("repaired", "control_characters", "items", "text", pl.col("text") + "\x00\x07", None),
        ("repaired", "zero_width", "items", "text", "\ufeff" + pl.col("text"), None),
        ("repaired", "compatibility_forms", "items", "text", pl.col("text") + " ＸＬ", None),
        ("repaired", "white_space", "items", "text", pl.col("text") + "\u3000\n", None),
        ("noted", "replacement_character", "items", "text", pl.col("text") + " \ufffd", None),
        ("dropped", "rating_out_of_range", "reviews", "rating", pl.lit(-1.0), None),
        ("dropped", "empty_text", "reviews", "text", pl.lit(""), None),
    ):
        s.put(kind, reason, name, column, value, among)
    _bots(s)
    _zero_based(s)
    return s


def _moved(s: Spoiler) -> None:
    """Rows written after a later one of their session."""
    behind = pl.col("timestamp") < pl.col("timestamp").max().over("session_id")
    s.put("noted", "out_of_order", "impressions", "row", pl.col("row") + 10_000_000, behind)


def _bots(s: Spoiler) -> None:
    """Three sessions of a crawler: a page of ten every two seconds, thirty times."""
    first = s.tables["impressions"].head(300)
    for bot in range(3):
        start = first["timestamp"].min() + dt.timedelta(days=bot)
        pages = (pl.int_range(pl.len()) // 10) * 2
        rows = first.with_columns(
            session_id=pl.lit(f"bot{bot}"), user_id=pl.lit(f"bot{bot}"), source=pl.lit("bots.csv"),
            row=pl.int_range(1, pl.len() + 1, dtype=pl.UInt32) + 300 * bot,
            impression_id=pl.lit(f"bot{bot}-") + pl.int_range(pl.len()).cast(pl.String),
            timestamp=pl.lit(start) + pl.duration(seconds=pages) + pl.duration(days=1),
        )  # fmt: skip
        s.append("impressions", rows)
        s.planted["dropped", "bot_session"] = s.planted.get(("dropped", "bot_session"), 0) + len(rows)


def _zero_based(s: Spoiler) -> None:
    """A second file, whose lists start at 0."""
    free = s.tables["queries"].filter(pl.lit(pl.Series(s.free["queries"])))["query_id"].head(40)
    rows = s.tables["impressions"].filter(
        pl.lit(pl.Series(s.free["impressions"])), pl.col("query_id").is_in(free.implode())
    )
    rows = rows.with_columns(
        source=pl.lit("app.csv"), row=pl.int_range(1, pl.len() + 1, dtype=pl.UInt32),
        position=pl.col("position") - 1, user_id=pl.lit("app"),
        session_id="app" + pl.col("query_id"),
        impression_id="app" + pl.col("impression_id"),
    )  # fmt: skip
    s.append("impressions", rows)
    s.planted["repaired", "zero_based_position"] = len(rows)


def main() -> None:
    """Plant, clean, compare."""
    quick = bool(os.environ.get("QUICK"))
    tables = store_log(150 if quick else 450, 8 if quick else 60)
    s = spoilt(tables, np.random.default_rng(SEED))
    ledger = Ledger(rows_in=logged_rows(s.tables))
    started = time.process_time()
    out = clean(s.tables, ledger, Policy(until=UNTIL))
    seconds = time.process_time() - started
    ledger.as_dict(logged_rows(out))
    counted = {
        (kind, reason): number
        for kind in ("dropped", "repaired", "noted")
        for reason, number in getattr(ledger, kind).items()
    }
    table = Table("kind", "reason", "planted", "counted", "exact", title="faults")
    for place in sorted({*s.planted, *counted}):
        pair = s.planted.get(place, 0), counted.get(place, 0)
        table.add_row(*place, *map(str, pair), "yes" if pair[0] == pair[1] else "[red]no")
    Console(width=120).print(table)
    wrong = [place for place in {*s.planted, *counted} if s.planted.get(place, 0) != counted.get(place, 0)]
    rows = logged_rows(s.tables)
    figures = {
        "rows": rows,
        "planted": {" ".join(place): number for place, number in s.planted.items()},
        "counted": {" ".join(place): number for place, number in counted.items()},
        "seconds": round(seconds, 2),
        "rows_per_second": round(rows / seconds),
    }
    bounds = {
        "kinds planted": (len({reason for _, reason in s.planted}), ">=", 20),
        "counts that differ": (len(wrong), "==", 0),
    }
    record("faults", figures, bounds)


if __name__ == "__main__":
    main()
