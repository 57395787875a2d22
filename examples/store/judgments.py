"""What the judges saw: candidates for each query, their grades, and the noise planted in them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .config import StoreConfig, planted_count
from .lexical import LexicalIndex
from .relevance import Relevance, to_grade

# How often a candidate is Irrelevant, Complement, Substitute, Exact, where the catalogue has as many.
MIX = (0.43, 0.15, 0.26, 0.16)
LOOKALIKE_SHARE = 0.5


def make_judgments(
    config: StoreConfig, queries: pd.DataFrame, items: pd.DataFrame, relevance: Relevance, index: LexicalIndex
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw the candidates of each query and grade them.

    Returns:
        judgments: `query_id`, `query`, `item_id`, `title`, `grade` (int8, 0 to 3), `segment`;
            items_per_query rows a query, candidates in random order.
        truth: `query_id`, `item_id`, `oracle` (float64 in [0, 1]), `grade` before noise, `flipped` (bool).
    """
    rng = config.stream("judgments")
    everything = np.arange(len(items))
    pairs, oracle = [], []
    for query, text in enumerate(queries["query"]):
        affinity = relevance.affinity(np.array(query), everything)
        chosen = _candidates(rng, config.items_per_query, to_grade(affinity), index.scores(text))
        pairs.append(np.stack([np.full_like(chosen, query), chosen]))
        oracle.append(affinity[chosen])
    query, item = np.concatenate(pairs, axis=1)
    truth = pd.DataFrame(
        {
            "query_id": queries["query_id"].to_numpy()[query],
            "item_id": items["item_id"].to_numpy()[item],
            "oracle": np.concatenate(oracle),
        }
    )
    clean = to_grade(truth["oracle"].to_numpy())
    truth["grade"] = clean
    truth["flipped"] = _flips(config, len(truth))
    judgments = pd.DataFrame(
        {
            "query_id": truth["query_id"],
            "query": queries["query"].to_numpy()[query],
            "item_id": truth["item_id"],
            "title": items["title"].to_numpy()[item],
            "grade": np.where(truth["flipped"], np.where(clean >= 2, 0, 3), clean).astype(np.int8),
            "segment": queries["segment"].to_numpy()[query],
        }
    )
    return judgments, truth


def _candidates(rng: np.random.Generator, count: int, grades: np.ndarray, lexical: np.ndarray) -> np.ndarray:
    """Choose distinct items of every grade; half of the irrelevant ones share words with the query."""
    wanted = rng.multinomial(count, MIX)
    wanted[3] = max(wanted[3], 1)
    chosen = []
    for grade in (3, 2, 1):
        pool = np.flatnonzero(grades == grade)
        chosen.append(rng.choice(pool, min(wanted[grade], len(pool)), replace=False))
    pool = np.flatnonzero(grades == 0)
    missing = count - sum(map(len, chosen))
    lookalikes = pool[np.argsort(-lexical[pool], kind="stable")][: 4 * count]
    first = rng.choice(lookalikes, min(int(LOOKALIKE_SHARE * missing), len(lookalikes)), replace=False)
    rest = pool[~np.isin(pool, first)]
    chosen += [first, rng.choice(rest, min(missing - len(first), len(rest)), replace=False)]
    return rng.permutation(np.concatenate(chosen))[:count]


def _flips(config: StoreConfig, rows: int) -> np.ndarray:
    """Choose exactly planted_count rows; (rows,) bool."""
    flipped = np.zeros(rows, dtype=bool)
    planted = planted_count(config.label_noise, rows)
    flipped[config.stream("label noise").choice(rows, planted, replace=False)] = True
    return flipped
