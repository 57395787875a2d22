"""Diversity: a list whose neighbours are not all alike."""

from __future__ import annotations

import numpy as np


def maximal_marginal_relevance(
    logits: np.ndarray, vectors: np.ndarray, diversity: float, k: int, order: list[int]
) -> list[int]:
    """Choose items one after another, each the best by relevance less its likeness to those chosen before.

    An item's worth is (1 - diversity) * sigmoid(logit) - diversity * its largest cosine to a chosen one. At 0
    this is the order by score.

    Args:
        logits: (n,) scores.
        vectors: (n, d) of length 1.
        diversity: In [0, 1].
        k: How many to choose; all that are there if fewer.
        order: Numbers of the n items by falling logit: who is first in it wins a tie.

    Returns:
        Numbers of the chosen items, in order.

    References:
        Carbonell, Goldstein: The use of MMR, diversity-based reranking for reordering documents and producing
        summaries. SIGIR 1998.
    """
    relevance = 1 / (1 + np.exp(-logits[order].astype(np.float64)))
    sorted_vectors = vectors[order]
    likeness = np.zeros(len(order))
    free = np.ones(len(order), dtype=bool)
    chosen: list[int] = []
    while free.any() and len(chosen) < k:
        worth = (1 - diversity) * relevance - diversity * likeness
        # The first of the largest.
        best = int(np.where(free, worth, -np.inf).argmax())
        chosen.append(order[best])
        free[best] = False
        likeness = np.maximum(likeness, np.minimum(sorted_vectors @ sorted_vectors[best], 1.0))
    return chosen
