"""What buyers wrote: texts whose tone follows the rating, except where the star was misclicked."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .config import StoreConfig, planted_count
from .search_log import DAYS, SECOND, START

PRAISE = (
    "works perfectly",
    "feels solid",
    "is great value",
    "looks even better than in the pictures",
    "arrived early",
)
SHRUG = (
    "does the job",
    "is fine for the price",
    "looks different from the pictures",
    "took a while to arrive",
)
SCORN = (
    "broke after a week",
    "feels cheap",
    "arrived damaged",
    "is not what was described",
    "went straight back",
)
OPENINGS = (
    "Bought this for my sister:",
    "After a month of use,",
    "Second one that I own;",
    "Honestly,",
    "In short,",
)
TONES = {1: (SCORN, SCORN), 2: (SCORN, SHRUG), 3: (SHRUG, SHRUG), 4: (PRAISE, SHRUG), 5: (PRAISE, PRAISE)}
RATING_SHARE = (0.08, 0.07, 0.15, 0.30, 0.40)
MISCLICK_SHARE = 0.03


def make_reviews(config: StoreConfig, items: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """Write the reviews.

    Returns:
        reviews: `review_id`, `item_id`, `user_id`, `timestamp` (datetime64[us, UTC]), `title` (of the item),
            `text`, `rating` (int8, 1 to 5), `helpful` (int32, votes).
        truth: `reviews` (`review_id`, `rating` that the text was written for, `misclicked` (bool)).
    """
    rng = config.stream("reviews")
    count = 4 * max(50, config.queries)
    meant = rng.choice(5, count, p=RATING_SHARE) + 1
    misclicked = np.zeros(count, dtype=bool)
    misclicked[rng.choice(count, planted_count(MISCLICK_SHARE, count), replace=False)] = True
    item = rng.integers(0, len(items), count)
    texts = [
        _write(rng, rating, noun) for rating, noun in zip(meant, items["line"].to_numpy()[item], strict=True)
    ]
    # Long and strongly felt reviews are found helpful.
    appeal = 0.02 * np.array([len(text) for text in texts]) + np.abs(meant - 3)
    reviews = pd.DataFrame(
        {
            "review_id": [f"w{number:07d}" for number in range(count)],
            "item_id": items["item_id"].to_numpy()[item],
            "user_id": [f"r{number:06d}" for number in rng.integers(0, max(20, config.queries), count)],
            "timestamp": pd.to_datetime(START + rng.integers(0, DAYS * 86_400, count) * SECOND, utc=True),
            "title": items["title"].to_numpy()[item],
            "text": texts,
            "rating": np.where(misclicked, 6 - meant, meant).astype(np.int8),
            "helpful": rng.poisson(appeal).astype(np.int32),
        }
    )
    truth = pd.DataFrame(
        {"review_id": reviews["review_id"], "rating": meant.astype(np.int8), "misclicked": misclicked}
    )
    return reviews, {"reviews": truth}


def _write(rng: np.random.Generator, rating: int, noun: str) -> str:
    first, second = (str(rng.choice(tone)) for tone in TONES[int(rating)])
    text = f"{rng.choice(OPENINGS)} the {noun} {first}"
    return f"{text}." if rng.random() < 0.4 else f"{text} and {second}."
