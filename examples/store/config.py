"""What can be chosen about the store."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class StoreConfig:
    """The size of the store, its customers' habits and the flaws planted in its logs.

    Attributes:
        queries: distinct queries.
        items_per_query: judged candidates of each query.
        seed: any integer >= 0; the same config gives the same bytes.
        label_noise: share of judgments whose grade is moved to the other side (relevant to 0, the rest to 3).
        searches_per_query: searches in the log for each query, on average.
        examination: probability that a person looks at position 1, 2, ...; its length is the page's.
        attraction: probability of a click on an examined item of grade 0, 1, 2, 3.
        conversion: probability of a purchase after a click, by grade.
        bot_share: share of search sessions run by bots, which click whatever the position and the grade.
        duplicate_share: share of search events that are delivered twice.
        missing_share: share of search events that lose their title; as many lose their query, as many their
            position.
    """

    queries: int = 450
    items_per_query: int = 20
    seed: int = 0
    label_noise: float = 0.0
    searches_per_query: float = 8.0
    examination: tuple[float, ...] = (1.0, 0.72, 0.56, 0.45, 0.37, 0.31, 0.26, 0.22, 0.19, 0.17)
    attraction: tuple[float, float, float, float] = (0.04, 0.12, 0.40, 0.75)
    conversion: tuple[float, float, float, float] = (0.01, 0.03, 0.12, 0.30)
    bot_share: float = 0.02
    duplicate_share: float = 0.01
    missing_share: float = 0.01

    def __post_init__(self) -> None:
        """Refuse what cannot be simulated.

        Raises:
            ValueError: naming the field, what it must be and what it is.
        """
        for name, least in (("queries", 1), ("items_per_query", 2), ("seed", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if not self.examination:
            raise ValueError("examination must name at least one position")
        shares = {
            name: (getattr(self, name),)
            for name in ("label_noise", "bot_share", "duplicate_share", "missing_share")
        }
        habits = {name: getattr(self, name) for name in ("examination", "attraction", "conversion")}
        for name, values in (shares | habits).items():
            if not all(0.0 <= value <= 1.0 for value in values):
                raise ValueError(f"{name} must lie in [0, 1], got {getattr(self, name)}")
        for name in ("attraction", "conversion"):
            if len(getattr(self, name)) != 4:
                raise ValueError(f"{name} needs one value for each of the grades 0 to 3")
        if self.searches_per_query < 0:
            raise ValueError(f"searches_per_query must not be negative, got {self.searches_per_query}")

    def stream(self, part: str) -> np.random.Generator:
        """Give one part of the store its own random numbers, so that a change to it leaves the rest alone."""
        return np.random.default_rng([self.seed, zlib.crc32(part.encode())])


def planted_count(share: float, rows: int) -> int:
    """The exact number of rows that a share stands for: floor(share * rows + 0.5)."""
    return int(np.floor(share * rows + 0.5))
