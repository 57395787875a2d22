"""Advertisements: placements beside pages, with the chance of a click known."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .config import StoreConfig
from .search_log import DAYS, SECOND, START
from .vocabulary import CATEGORIES

PLACEMENTS = {"banner": -3.4, "feed": -2.6, "sidebar": -3.8}
DEVICES = {"desktop": 0.0, "phone": 0.3, "tablet": 0.1}
SAME_CATEGORY, PER_LOG_PRICE, PER_SHOWING = 1.5, -0.15, -0.25


def make_ads(config: StoreConfig, items: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """Simulate ad impressions; a click is a coin thrown with a logistic function of the features.

    Returns:
        ads: `impression_id`, `user_id`, `timestamp` (datetime64[us, UTC]), `placement`, `device`, `page`
            (category of the page beside), `item_id`, `title`, `category`, `price` and `bid` (float64, euros),
            `showings` (int16, times that the user saw the ad before), `click` (int8).
        truth: `ads` (`impression_id`, `probability` of the click, float64).
    """
    rng = config.stream("ads")
    count = 20 * max(50, config.queries)
    names = np.array([category.name for category in CATEGORIES])
    item = rng.integers(0, len(items), count)
    category = items["category"].to_numpy()[item].astype(str)
    price = items["price"].to_numpy()[item]
    page = np.where(rng.random(count) < 0.4, category, rng.choice(names, count))
    placement = rng.integers(0, len(PLACEMENTS), count)
    device = rng.integers(0, len(DEVICES), count)
    showings = rng.poisson(1.0, count)
    logit = (
        np.array(list(PLACEMENTS.values()))[placement]
        + np.array(list(DEVICES.values()))[device]
        + SAME_CATEGORY * (page == category)
        + PER_LOG_PRICE * np.log(price)
        + PER_SHOWING * showings
    )
    probability = 1.0 / (1.0 + np.exp(-logit))
    seconds = np.sort(rng.integers(0, DAYS * 86_400, count))
    ads = pd.DataFrame(
        {
            "impression_id": [f"a{number:08d}" for number in range(count)],
            "user_id": [f"r{number:06d}" for number in rng.integers(0, max(20, config.queries), count)],
            "timestamp": pd.to_datetime(START + seconds * SECOND, utc=True),
            "placement": np.array(list(PLACEMENTS))[placement],
            "device": np.array(list(DEVICES))[device],
            "page": page,
            "item_id": items["item_id"].to_numpy()[item],
            "title": items["title"].to_numpy()[item],
            "category": category,
            "price": price,
            "bid": np.round(rng.lognormal(-1.5, 0.5, count), 3),
            "showings": showings.astype(np.int16),
            "click": (rng.random(count) < probability).astype(np.int8),
        }
    )
    return ads, {"ads": pd.DataFrame({"impression_id": ads["impression_id"], "probability": probability})}
