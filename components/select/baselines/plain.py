"""Baselines that need nothing but the rows: random within strata, and the longest texts."""

from __future__ import annotations

import numpy as np
from assay.components.select.baselines.given import Given
from assay.components.select.strata import quotas


def stratified(given: Given, count: int, seed: int) -> np.ndarray:
    """Ids of rows drawn uniformly within each (task, label), in proportion to their sizes. (count,)."""
    strata = given.samples["task"].astype(str) + "/" + given.samples["label"].round(2).astype(str)
    quota = quotas(strata.groupby(strata).size(), count)
    order = np.argsort(given.draws(f"assay-stratified-{seed}"), kind="stable")
    drawn = strata.iloc[order]
    place = drawn.groupby(drawn).cumcount()
    return given.ids[order[(place < drawn.map(quota)).to_numpy()]]


def length(given: Given, count: int, seed: int) -> np.ndarray:
    """Ids of the rows with the longest texts, context and item together, in characters. (count,).

    Zhao et al. 2024, "Long Is More for Alignment", who take the longest answers; there it beat filters that
    cost far more.
    """
    characters = given.samples["context"].str.len() + given.samples["item"].str.len()
    return highest(given.ids, characters.to_numpy(dtype=np.float64), count)


def highest(ids: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    """Ids of the `count` highest values; of equals the smaller id.

    Args:
        ids: (n,) in order.
        values: (n,) float64.
        count: At most n.
    """
    return ids[np.argsort(-values, kind="stable")[:count]]
