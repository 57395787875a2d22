"""Diversity: a list whose neighbours are not all alike."""

from __future__ import annotations

import numpy as np


def maximal_marginal_relevance(
    logits: np.ndarray, vectors: np.ndarray, diversity: float, k: int, ids: list[str]
) -> list[int]:
    """Choose items one after another, each the best by relevance less its likeness to those chosen before.

    An item's worth is (1 - diversity) * sigmoid(logit) - diversity * its largest cosine to a chosen one; ties
    go by id. At 0 this is the order by score.

    Args:
        logits: (n,) scores.
        vectors: (n, d) of length 1.
        diversity: In [0, 1].
        k: How many to choose; all that are there if fewer.
        ids: n ids, distinct.

    Returns:
        Numbers of the chosen items, in order.

    References:
        Carbonell, Goldstein: The use of MMR, diversity-based reranking for reordering documents and producing
        summaries. SIGIR 1998.
    """
    relevance = 1 / (1 + np.exp(-logits.astype(np.float64)))
    by_id = np.argsort(np.argsort(np.asarray(ids, dtype=object)))
    likeness = np.zeros(len(logits))
    free = np.ones(len(logits), dtype=bool)
    chosen: list[int] = []
    while free.any() and len(chosen) < k:
        worth = (1 - diversity) * relevance - (diversity * likeness if chosen else 0.0)
        # Logits break ties that the sigmoid makes of large ones.
        best = min(np.flatnonzero(free), key=lambda i: (-worth[i], -logits[i], by_id[i]))
        chosen.append(int(best))
        free[best] = False
        now = np.clip(vectors @ vectors[best], 0.0, 1.0)
        likeness = np.maximum(likeness, now)
    return chosen
