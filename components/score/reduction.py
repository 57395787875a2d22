"""Which features a surrogate looks at: ways to select or reduce them, fitted inside its cross-validation."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.feature_selection import SelectFromModel, SelectKBest, VarianceThreshold, mutual_info_regression

KEPT = 32
"""Features at most that mutual information keeps, and components of the SVD."""
ESTIMATED_ON = 2_000
"""Rows come in the order of a hash, so that the first are as good as drawn."""
LEAST_VARIANCE = 0.05
"""Features have variance 1, components of the interactions their share of the first one's."""


def shared_information(x: np.ndarray, y: np.ndarray, seed: int) -> np.ndarray:
    """(k,) mutual information of each feature and y, on `ESTIMATED_ON` rows at most.

    Kraskov et al. 2004, "Estimating mutual information", as scikit-learn has it.
    """
    return mutual_info_regression(x[:ESTIMATED_ON], y[:ESTIMATED_ON], random_state=seed)


class Everything(BaseEstimator, TransformerMixin):
    """All features as they are."""

    def fit(self, x: np.ndarray, y: np.ndarray | None = None) -> Everything:
        """Nothing to learn."""
        return self

    def transform(self, x: np.ndarray) -> np.ndarray:
        """(n, k) -> (n, k)."""
        return x


def reductions(columns: int, seed: int) -> dict[str, Any]:
    """{name: a transformer}.

    Args:
        columns: Features that there are.
        seed: Of what is random in them.
    """
    trees = ExtraTreesRegressor(40, max_features=0.3, min_samples_leaf=5, random_state=seed)
    information = partial(shared_information, seed=seed)
    return {
        "all": Everything(),
        "variance": VarianceThreshold(LEAST_VARIANCE),
        "mutual_information": SelectKBest(information, k=min(KEPT, columns)),
        "model": SelectFromModel(trees, threshold="mean"),
        "svd": TruncatedSVD(min(KEPT, max(1, columns - 1)), random_state=seed),
    }


def reduced(
    name: str, columns: int, seed: int, x: np.ndarray, y: np.ndarray, *others: np.ndarray
) -> tuple[Any, list[np.ndarray]]:
    """Fit a reduction on some rows; returns it, and those rows and all others as it gives them."""
    fitted = clone(reductions(columns, seed)[name]).fit(x, y)
    return fitted, [fitted.transform(rows) for rows in (x, *others)]


def what_is_kept(fitted: Any, words: list[str]) -> dict[str, int]:
    """{feature in words: how many of its columns a reduction looks at}; of an SVD, its components."""
    if isinstance(fitted, TruncatedSVD):
        return {"components of all features": int(fitted.n_components)}
    support = fitted.get_support() if hasattr(fitted, "get_support") else np.ones(len(words), dtype=bool)
    return dict(Counter(word for word, kept in zip(words, support, strict=True) if kept))
