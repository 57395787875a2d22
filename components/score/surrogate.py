"""A cheap model of a dear score: trained on the rows where it was measured, asked for all others.

The scoring model of the literature on data-efficient recommendation, held to account: its agreement with rows
it did not see is reported, and where that is too low it refuses rather than make numbers up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata, spearmanr
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.tree import DecisionTreeRegressor

LEAST = 0.3
"""Spearman on held-out rows below which there is nothing to go by."""
FEWEST = 60
"""Measured rows from which a surrogate is tried."""
HELD_OUT = 0.25
FOLDS = 3


def candidates(seed: int) -> dict[str, tuple[Any, dict[str, list]]]:
    """{name: (model, settings tried by cross-validation)}."""
    return {
        "ridge": (Ridge(), {"alpha": [1.0, 10.0, 100.0, 1000.0]}),
        "tree": (
            DecisionTreeRegressor(random_state=seed),
            {"max_depth": [3, 6], "min_samples_leaf": [5, 20]},
        ),
        "forest": (
            RandomForestRegressor(100, max_features=0.3, random_state=seed),
            {"min_samples_leaf": [3, 10]},
        ),
        "boosting": (
            HistGradientBoostingRegressor(max_iter=100, random_state=seed),
            {"learning_rate": [0.05, 0.1], "max_leaf_nodes": [7, 15]},
        ),
    }


@dataclass(frozen=True)
class Surrogate:
    """What was learnt.

    Attributes:
        values: (n,) the measured ranks where there are, the predicted ones elsewhere; in (0, 1).
        model: Name of the best candidate.
        settings: Its settings.
        r2: Of ranks, on measured rows held out.
        spearman: On the same rows.
        importances: {feature in words: how much R2 falls when it is shuffled}, the largest first.
    """

    values: np.ndarray
    model: str
    settings: dict[str, Any]
    r2: float
    spearman: float
    importances: dict[str, float]

    def facts(self) -> dict[str, Any]:
        """All but the values."""
        return {name: value for name, value in vars(self).items() if name != "values"}


def surrogate(
    features: np.ndarray,
    words: list[str],
    measured: np.ndarray,
    values: np.ndarray,
    seed: int = 0,
    least: float = LEAST,
) -> Surrogate:
    """Predict a score where it was not measured.

    Args:
        features: (n, k) of all rows.
        words: k names; columns of one name count as one feature.
        measured: (m,) numbers of the rows where the score was measured.
        values: (m,) the score there. Its ranks are what is learnt: importance needs no more.
        seed: Of the models, folds and shuffles.
        least: Spearman on held-out rows below which it refuses.

    Raises:
        ValueError: Too few rows were measured, or no candidate agrees well enough with those held out.
    """
    if len(measured) < FEWEST:
        raise ValueError(
            f"a surrogate needs {FEWEST} measured rows or more, and there are {len(measured)}: measure more"
        )
    ranks = (rankdata(values) - 0.5) / len(values)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(measured))
    held, fit = np.split(order, [int(HELD_OUT * len(order))])
    x, folds = features[measured], KFold(FOLDS, shuffle=True, random_state=seed)
    searched = {
        name: GridSearchCV(model, settings, cv=folds, scoring="r2").fit(x[fit], ranks[fit])
        for name, (model, settings) in candidates(seed).items()
    }
    best = max(searched, key=lambda name: searched[name].best_score_)
    found = searched[best].best_estimator_
    told = found.predict(x[held])
    agreement = float(spearmanr(ranks[held], told).statistic) if np.ptp(told) and np.ptp(ranks[held]) else 0.0
    if agreement < least:
        raise ValueError(
            f"the best surrogate ({best}) reaches Spearman {agreement:.2f} on held-out rows, less than "
            f"{least:g}: measure all rows, or give it features that bear on the score"
        )
    r2 = float(r2_score(ranks[held], told))
    importances = {}
    for word in dict.fromkeys(words):
        shuffled = x[held].copy()
        columns = [i for i, other in enumerate(words) if other == word]
        shuffled[:, columns] = shuffled[rng.permutation(len(held))][:, columns]
        importances[word] = r2 - float(r2_score(ranks[held], found.predict(shuffled)))
    # For the rows nobody measured, it learns from every row that somebody did.
    everything = found.fit(x, ranks)
    out = np.clip(everything.predict(features), 0.0, 1.0)
    out[measured] = ranks
    return Surrogate(
        out,
        best,
        dict(searched[best].best_params_),
        r2,
        agreement,
        dict(sorted(importances.items(), key=lambda item: -item[1])),
    )
