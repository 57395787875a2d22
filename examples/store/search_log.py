"""The search log: what was shown, clicked and bought, and the flaws that real logs have.

People follow the position-based model (Richardson et al., 2007; Craswell et al., 2008): a click needs that
the position is examined and that the item attracts, and the two are independent.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from .config import StoreConfig, planted_count
from .lexical import LexicalIndex
from .relevance import Relevance

START = np.datetime64("2025-03-01T00:00:00", "us")
DAYS = 28
SECOND = np.timedelta64(1_000_000, "us")
SEARCHES_PER_SESSION = 2.5
SEARCHES_PER_BOT_SESSION = 30
BOT_CLICK = 0.5
# The engine's scores are shaken, as by stock and freshness, so that one item is seen at several positions.
SHAKE = 1.0


def make_search_log(
    config: StoreConfig, queries: pd.DataFrame, items: pd.DataFrame, relevance: Relevance, index: LexicalIndex
) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """Simulate the searches, then spoil the log.

    Returns:
        events: one row an impression in order of time: `event_id`, `query_id` (one per search), `user_id`,
            `session_id`, `timestamp` (datetime64[us, UTC]), `query`, `item_id`, `title`, `position` (Int16,
            from 1), `click` and `purchase` (int8), `price` (float64, euros).
        truth: `search_events` (`event_id`, `grade`, `position`, `examined`, `bot`), `bots` (`session_id`,
            `user_id`), `duplicates` (`event_id` of the rows that are there twice), `missing` (`event_id`,
            `column`).
    """
    rng = config.stream("search log")
    searches, bots = _searches(config, rng, queries)
    query, item, search, position = _pages(config, rng, searches, index, queries)
    grade = relevance.grade(query, item)
    bot = searches["bot"].to_numpy()[search]
    examined = rng.random(len(item)) < np.array(config.examination)[position - 1]
    attracted = rng.random(len(item)) < np.array(config.attraction)[grade]
    click = np.where(bot, rng.random(len(item)) < BOT_CLICK, examined & attracted)
    purchase = click & ~bot & (rng.random(len(item)) < np.array(config.conversion)[grade])
    events = pd.DataFrame(
        {
            "event_id": [f"e{number:09d}" for number in range(len(item))],
            "query_id": [f"s{number:08d}" for number in search],
            "user_id": searches["user_id"].to_numpy()[search],
            "session_id": searches["session_id"].to_numpy()[search],
            "timestamp": pd.to_datetime(searches["timestamp"].to_numpy()[search], utc=True),
            "query": queries["query"].to_numpy()[query],
            "item_id": items["item_id"].to_numpy()[item],
            "title": items["title"].to_numpy()[item],
            "position": pd.array(position, dtype="Int16"),
            "click": click.astype(np.int8),
            "purchase": purchase.astype(np.int8),
            "price": items["price"].to_numpy()[item],
        }
    )
    truth = {
        "search_events": pd.DataFrame(
            {
                "event_id": events["event_id"],
                "grade": grade,
                "position": position.astype(np.int16),
                "examined": examined & ~bot,
                "bot": bot,
            }
        ),
        "bots": bots,
    }
    truth["missing"] = _lose_values(config, rng, events)
    events, truth["duplicates"] = _deliver_twice(config, rng, events)
    return events, truth


def _searches(
    config: StoreConfig, rng: np.random.Generator, queries: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw who searches for what and when, in order of time."""
    count = int(round(config.searches_per_query * len(queries)))
    sessions = int(np.ceil(count / SEARCHES_PER_SESSION))
    users = max(1, sessions // 3)
    people = pd.DataFrame({"session": np.sort(rng.integers(0, max(sessions, 1), count)), "bot": False})
    bots = planted_count(config.bot_share, sessions)
    machines = pd.DataFrame(
        {"session": np.repeat(np.arange(sessions, sessions + bots), SEARCHES_PER_BOT_SESSION), "bot": True}
    )
    searches = pd.concat([people, machines], ignore_index=True)
    session = searches["session"].to_numpy()
    begin = rng.integers(0, DAYS * 86_400, sessions + bots)
    owner = np.concatenate([rng.integers(0, users, sessions), users + np.arange(bots) // 2])
    # People take a minute or so between two searches, bots about a second.
    pause = np.where(
        searches["bot"], 1 + rng.integers(0, 2, len(searches)), 15 + rng.integers(0, 120, len(searches))
    )
    waited = pd.Series(pause).groupby(session).cumsum().to_numpy()
    searches["timestamp"] = START + (begin[session] + waited) * SECOND
    searches["user_id"] = [f"u{number:06d}" for number in owner[session]]
    searches["session_id"] = [f"n{number:07d}" for number in session]
    searches["query"] = rng.choice(len(queries), len(searches), p=queries["popularity"])
    truth = searches.loc[searches["bot"], ["session_id", "user_id"]].drop_duplicates(ignore_index=True)
    return searches.sort_values("timestamp", kind="stable", ignore_index=True), truth


def _pages(
    config: StoreConfig,
    rng: np.random.Generator,
    searches: pd.DataFrame,
    index: LexicalIndex,
    queries: pd.DataFrame,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Fill the result pages: query row, item row, search and position (from 1), each (impressions,) int."""
    size = min(len(config.examination), index.size)
    reach = min(3 * size, index.size)
    asked = searches["query"].to_numpy()
    page = np.empty((len(searches), size), dtype=np.int64)
    for query in np.unique(asked):
        scores = index.scores(queries["query"].iat[query])
        best = np.argsort(-scores, kind="stable")[:reach]
        rows = np.flatnonzero(asked == query)
        shaken = scores[best] + rng.normal(0.0, SHAKE, (len(rows), reach))
        page[rows] = best[np.argsort(-shaken, axis=1, kind="stable")[:, :size]]
    search = np.repeat(np.arange(len(searches)), size)
    position = np.tile(np.arange(1, size + 1), len(searches))
    return asked[search], page.ravel(), search, position


def _lose_values(config: StoreConfig, rng: np.random.Generator, events: pd.DataFrame) -> pd.DataFrame:
    """Null exactly planted_count values in each of three columns, in place; which ones."""
    count = planted_count(config.missing_share, len(events))
    lost = []
    for column in ("title", "query", "position"):
        rows = np.sort(rng.choice(len(events), count, replace=False))
        events.loc[rows, column] = pd.NA
        lost.append(pd.DataFrame({"event_id": events["event_id"].to_numpy()[rows], "column": column}))
    return pd.concat(lost, ignore_index=True)


def _deliver_twice(
    config: StoreConfig, rng: np.random.Generator, events: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Repeat exactly planted_count rows after the originals; the log, and the ids of what is there twice."""
    count = planted_count(config.duplicate_share, len(events))
    rows = np.sort(rng.choice(len(events), count, replace=False))
    order = np.sort(np.concatenate([np.arange(len(events)), rows]))
    return events.iloc[order].reset_index(drop=True), pd.DataFrame(
        {"event_id": events["event_id"].to_numpy()[rows]}
    )
