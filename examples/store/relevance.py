"""How well an item answers a query: a deterministic function of their attributes.

The four classes are those of ESCI (Reddy et al., 2022, Shopping Queries Dataset): Exact, Substitute,
Complement and Irrelevant, here the grades 3 to 0.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

WISHED = ("colour", "material", "size", "brand")
# (floor, room): an item of this kind scores floor + room * share of the query's wishes that it meets.
SAME_LINE = (0.60, 0.40)
SUBSTITUTE_LINE = (0.40, 0.10)
ACCESSORY = (0.20, 0.10)
UNRELATED = (0.00, 0.10)
# The least affinity of each grade from 1 on.
GRADE_FLOORS = np.array([0.20, 0.40, 1.00])


class Relevance:
    """Affinity and grade of any pair of query and item.

    Args:
        queries: as `make_queries` gives them.
        items: as `make_catalogue` gives them.
    """

    def __init__(self, queries: pd.DataFrame, items: pd.DataFrame) -> None:
        """Turn the attributes into small integers once, so that pairs are compared as arrays."""
        self._queries, self._items = {}, {}
        for name in ("category", "line", *WISHED):
            codes, _ = pd.factorize(pd.concat([queries[name], items[name]]))
            self._queries[name] = codes[: len(queries)].astype(np.int32)
            self._items[name] = codes[len(queries) :].astype(np.int32)
        self._accessory = items["accessory"].to_numpy(bool)

    def affinity(self, query: np.ndarray, item: np.ndarray) -> np.ndarray:
        """Score pairs in [0, 1]: the oracle.

        Args:
            query: (n,) or broadcastable, row numbers of queries.
            item: (n,) or broadcastable, row numbers of items.

        Returns:
            (n,) float64.
        """
        same_category = self._queries["category"][query] == self._items["category"][item]
        same_line = self._queries["line"][query] == self._items["line"][item]
        accessory = self._accessory[item]
        kinds = [same_category & accessory, same_category & same_line, same_category]
        floor, room = (
            np.select(kinds, [ACCESSORY[part], SAME_LINE[part], SUBSTITUTE_LINE[part]], UNRELATED[part])
            for part in (0, 1)
        )
        wished = [self._queries[name][query] >= 0 for name in WISHED]
        met = [
            wish & (self._queries[name][query] == self._items[name][item])
            for name, wish in zip(WISHED, wished, strict=True)
        ]
        count = np.sum(wished, axis=0)
        share = np.where(count == 0, 1.0, np.sum(met, axis=0) / np.maximum(count, 1))
        return floor + room * share

    def grade(self, query: np.ndarray, item: np.ndarray) -> np.ndarray:
        """Grade pairs from 3, Exact, to 0, Irrelevant; (n,) int8, arguments as in `affinity`."""
        return to_grade(self.affinity(query, item))


def to_grade(affinity: np.ndarray) -> np.ndarray:
    """Cut affinities into the grades 0 to 3; (n,) int8."""
    # Sums such as 0.6 + 0.4 may fall a rounding error short of the floor that they reach.
    return np.searchsorted(GRADE_FLOORS, affinity + 1e-9, side="right").astype(np.int8)
