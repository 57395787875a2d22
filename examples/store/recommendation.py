"""Visits of users with tastes: what they viewed, put in the basket and bought."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .config import StoreConfig
from .search_log import DAYS, SECOND, START

EVENTS_PER_SESSION = (3, 12)
SESSIONS_PER_USER = (1, 5)
FAITHFULNESS = 0.8
BASKET, BUY = 0.15, 0.05


def make_recommendation_sessions(
    config: StoreConfig, items: pd.DataFrame
) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """Simulate users who mostly look at one product line in one of two favourite colours.

    Returns:
        events: in order of user and session: `user_id`, `session_id`, `timestamp` (datetime64[us, UTC]),
            `step` (int16, from 1 in each session), `event` (view, cart or purchase), `item_id`, `title`,
            `price` (float64, euros).
        truth: `tastes` (`user_id`, `line`, `colour`, `second_colour`).
    """
    rng = config.stream("recommendation")
    users = max(20, config.queries)
    line, lines = pd.factorize(items["line"], sort=True)
    colour, colours = pd.factorize(items["colour"], sort=True)
    tastes = pd.DataFrame(
        {"line": rng.integers(0, len(lines), users), "colour": rng.integers(0, len(colours), users)}
    )
    other = rng.integers(1, len(colours), users)
    tastes["second_colour"] = (tastes["colour"] + other) % len(colours)

    visitor = np.repeat(np.arange(users), rng.integers(*SESSIONS_PER_USER, users))
    length = rng.integers(*EVENTS_PER_SESSION, len(visitor))
    session = np.repeat(np.arange(len(visitor)), length)
    user = visitor[session]
    step = np.arange(len(session)) - np.repeat(np.cumsum(length) - length, length)
    begin = rng.integers(0, DAYS * 86_400, len(visitor))[session]
    seconds = begin + pd.Series(rng.integers(5, 180, len(session))).groupby(session).cumsum().to_numpy()

    liked = np.where(
        rng.random(len(user)) < 0.5,
        tastes["colour"].to_numpy()[user],
        tastes["second_colour"].to_numpy()[user],
    )
    favourite = _draw_alike(
        rng, line * len(colours) + colour, tastes["line"].to_numpy()[user] * len(colours) + liked
    )
    faithful = (rng.random(len(user)) < FAITHFULNESS) & (favourite >= 0)
    item = np.where(faithful, favourite, rng.integers(0, len(items), len(user)))
    deed = rng.random(len(user))
    events = pd.DataFrame(
        {
            "user_id": [f"r{number:06d}" for number in user],
            "session_id": [f"v{number:07d}" for number in session],
            "timestamp": pd.to_datetime(START + seconds * SECOND, utc=True),
            "step": (step + 1).astype(np.int16),
            "event": np.select([deed < BUY, deed < BUY + BASKET], ["purchase", "cart"], "view"),
            "item_id": items["item_id"].to_numpy()[item],
            "title": items["title"].to_numpy()[item],
            "price": items["price"].to_numpy()[item],
        }
    )
    tastes["line"] = lines.to_numpy()[tastes["line"]]
    for column in ("colour", "second_colour"):
        tastes[column] = colours.to_numpy()[tastes[column]]
    tastes.insert(0, "user_id", [f"r{number:06d}" for number in range(users)])
    return events, {"tastes": tastes}


def _draw_alike(rng: np.random.Generator, kinds: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Draw an item of each wanted kind: (n,) row numbers, -1 where there is no such item."""
    order = np.argsort(kinds, kind="stable")
    first, last = (np.searchsorted(kinds[order], wanted, side=side) for side in ("left", "right"))
    count = last - first
    drawn = first + np.floor(rng.random(len(wanted)) * count).astype(int)
    return np.where(count > 0, order[np.minimum(drawn, len(order) - 1)], -1)
