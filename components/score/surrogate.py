"""A cheap model of a dear score: trained on the rows where it was measured, asked for all others.

The scoring model of the literature on data-efficient recommendation, held to account: its agreement with rows
it did not see is reported, and where that is too low it refuses rather than make numbers up.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from assay.components.score.reduction import reduced, reductions, what_is_kept
from scipy.stats import rankdata, spearmanr
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold, ParameterGrid
from sklearn.pipeline import Pipeline
from sklearn.tree import DecisionTreeRegressor

LEAST = 0.3
"""Spearman on held-out rows below which there is nothing to go by."""
FEWEST = 60
"""Measured rows from which a surrogate is tried."""
HELD_OUT = 0.25
FOLDS = 3
CHEAP = ("ridge", "tree")
"""Candidates that are tried with every selection of features."""
SEARCHED = 2_000
"""Rows at most on which models and settings are chosen; what is chosen learns from all of them."""


def candidates(seed: int) -> dict[str, tuple[Any, dict[str, list]]]:
    """{name: (model, settings tried by cross-validation, the usual ones first)}."""
    return {
        "ridge": (Ridge(), {"alpha": [100.0, 1.0, 10.0, 1000.0]}),
        "tree": (
            DecisionTreeRegressor(random_state=seed),
            {"max_depth": [6, 3], "min_samples_leaf": [20, 5]},
        ),
        "forest": (
            RandomForestRegressor(60, max_features=0.3, random_state=seed),
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
        settings: Its settings, and `features`, how they were selected or reduced.
        kept: {feature in words: how many of its columns that looks at}.
        r2: Of ranks, on measured rows held out.
        spearman: On the same rows.
        importances: {feature in words: how much R2 falls when it is shuffled}, the largest first.
    """

    values: np.ndarray
    model: str
    settings: dict[str, Any]
    kept: dict[str, int]
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
    some = fit[:SEARCHED]
    best, settings = search(x[some], ranks[some], folds, seed)
    found = pipeline(best, settings, x.shape[1], seed).fit(x[fit], ranks[fit])
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
        settings,
        what_is_kept(everything[0], words),
        r2,
        agreement,
        dict(sorted(importances.items(), key=lambda item: -item[1])),
    )


def pipeline(name: str, settings: dict[str, Any], columns: int, seed: int) -> Pipeline:
    """A candidate after its selection of features, not fitted."""
    model = candidates(seed)[name][0]
    own = {key: value for key, value in settings.items() if key != "features"}
    reduction = reductions(columns, seed)[settings["features"]]
    return Pipeline([("features", clone(reduction)), ("model", clone(model).set_params(**own))])


def search(x: np.ndarray, y: np.ndarray, folds: KFold, seed: int) -> tuple[str, dict[str, Any]]:
    """The candidate, selection of features and settings of the highest R2 in cross-validation.

    The selection is fitted on the rows that a fold's model learns from, so no fold is judged by features
    chosen with it. The cheap candidates try all selections with their usual settings, the dear ones no
    selection and those that served the cheap ones best; then each tries all its settings with its best.

    Args:
        x: (n, k).
        y: (n,).
        folds: The cuts.
        seed: Of models and selections.

    Returns:
        Name and settings, `features` among them.
    """
    cuts = list(folds.split(x))
    views = {}
    for way in reductions(x.shape[1], seed):
        # Where a way keeps nothing (no variance, say), there is nothing to judge it by.
        with contextlib.suppress(ValueError):
            seen = [reduced(way, x.shape[1], seed, x[a], y[a], x[b])[1] for a, b in cuts]
            if all(part[0].shape[1] for part in seen):
                views[way] = seen

    def judged(model: Any, way: str) -> float:
        scores = [
            r2_score(y[b], clone(model).fit(seen, y[a]).predict(unseen))
            for (a, b), (seen, unseen) in zip(cuts, views[way], strict=True)
        ]
        return float(np.mean(scores))

    served: set[str] = set()
    best: tuple[float, str, dict[str, Any]] = (-np.inf, "", {})
    for name, (model, grid) in candidates(seed).items():
        usual, *others = ParameterGrid(grid)
        ways = [way for way in views if name in CHEAP or way in {"all", *served}]
        by_way = {way: judged(clone(model).set_params(**usual), way) for way in ways}
        way = max(by_way, key=lambda w: by_way[w])
        served.add(way)
        tried = [(by_way[way], usual)]
        tried += [(judged(clone(model).set_params(**other), way), other) for other in others]
        score, settings = max(tried, key=lambda one: one[0])
        if score > best[0]:
            best = (score, name, {"features": way} | settings)
    return best[1], best[2]
