"""Weights of importance learnt on the target: how well each method tells right labels from wrong ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from assay.components.core.samples import hash_unit, relevance
from assay.components.score.combine import WEIGHTS, rank_in_strata
from assay.components.score.grades import Grades
from assay.components.score.inputs import Inputs
from assay.components.score.label_noise import Graded, opinion
from assay.components.score.methods import METHODS
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.metrics import roc_auc_score

FOLDS = 4
FEWEST = 20
"""Target rows of either side, relevant and not, from which weights are learnt."""
PENALTIES = (0.1, 0.03, 0.01, 0.003, 0.001)
"""On the sum of weights; the largest whose held-out loss is within a standard error of the best is taken."""
TAUGHT = ("learnability",)
"""Methods whose ranker has trained on the target's labels: of its rows they know the answer."""


@dataclass(frozen=True)
class Learned:
    """What was learnt.

    Attributes:
        weights: {method: weight}, adding up to 1; those of the defaults where nothing could be learnt.
        facts: Target rows; `auroc` of right against wrong on held-out groups, and `auroc_default` of the
            default weights on the same; the penalty; methods `not_judged`; `refused`, why nothing was learnt.
    """

    weights: dict[str, float]
    facts: dict[str, Any]


def learn_weights(inputs: Inputs, methods: list[str]) -> Learned:
    """Weights of the methods' ranks that best tell right labels of the target from wrong ones.

    The labels of the target are trusted, so its rows are the only ones of which it is known that a label is
    right, and, once it is changed, that it is wrong. Each target row is scored twice, as a training row
    would be: with its own label, and with one of the other side, drawn from what training rows of that side
    carry. What it is compared with are target rows of other groups: nobody is asked about a row it has seen.
    Ranks are taken within the label given, as importance takes them, and a logistic regression on them, of
    weights not below 0 and a penalty on their sum, is cross-validated over groups. A method that helps no
    other gets weight 0.

    This asks one thing only, which labels are right, since planted wrong labels are what the target can vouch
    for; how much a right row teaches, it does not ask. Stacking after Wolpert 1992 and Breiman 1996, "Stacked
    Regressions", who has the weights not below 0. No row of validation or test is looked at.

    Args:
        inputs: All of it.
        methods: Those computed. Methods of `TAUGHT`, and those of rankers where there is none, get weight 0.

    Returns:
        The weights; the defaults where the target is too small.
    """
    without = [
        name for name in methods if name in TAUGHT or (METHODS[name].by_ranker and not inputs.warm_ups)
    ]
    judged = [name for name in methods if name not in without]
    groups = inputs.target["group_id"].astype(str).to_numpy()
    sides = min(int(inputs.target_relevant.sum()), int((~inputs.target_relevant).sum()))
    if sides < FEWEST or len(np.unique(groups)) < FOLDS or not judged:
        why = f"{sides} target rows of the rarer side, in {len(np.unique(groups))} groups: too few"
        return Learned(_default(methods), {"refused": why if judged else "no method can be judged"})
    folds = _folds(groups)
    scores, given, right = _judged(inputs, judged, folds)
    ranks = np.column_stack([rank_in_strata(scores[name], given) for name in judged]) - 0.5
    twice = np.tile(folds, 2)
    penalty, held_out = _penalty(ranks, right, twice)
    weights = _fit(ranks, right, penalty)[1:]
    facts = {
        "target_rows": len(groups),
        "auroc": float(roc_auc_score(right, held_out)),
        "auroc_default": float(roc_auc_score(right, ranks @ _vector(_default(judged), judged))),
        "penalty": penalty,
        "not_judged": without,
    }
    if not weights.any():
        return Learned(_default(methods), facts | {"refused": "no method tells right labels from wrong ones"})
    shares = dict(zip(judged, (weights / weights.sum()).tolist(), strict=True))
    return Learned(shares | dict.fromkeys(without, 0.0), facts)


def _default(methods: list[str]) -> dict[str, float]:
    return {name: weight for name, weight in WEIGHTS.items() if name in methods} or dict.fromkeys(
        methods, 1.0
    )


def _vector(weights: dict[str, float], methods: list[str]) -> np.ndarray:
    return np.array([weights.get(name, 0.0) for name in methods])


def _folds(groups: np.ndarray) -> np.ndarray:
    """(t,) fold of each row: groups, in the order of their hashes, dealt out in turn."""
    names = np.unique(groups)
    place = np.empty(len(names), dtype=np.int64)
    place[np.argsort(hash_unit(names.tolist(), "assay-weights"), kind="stable")] = np.arange(len(names))
    return (place % FOLDS)[np.searchsorted(names, groups)]


def _judged(
    inputs: Inputs, methods: list[str], folds: np.ndarray
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Scores of the target's rows with their right labels, then with wrong ones.

    Returns:
        {method: (2t,)}, high for right; the class given, (2t,); whether it is right, (2t,) bool.
    """
    rows = len(inputs.target)
    wrong, wrong_classes = _mislabelled(inputs)
    versions = [(inputs.target, inputs.grades.target), (wrong, wrong_classes)]
    scores = {name: np.empty(2 * rows) for name in methods}
    for fold in range(FOLDS):
        held = np.flatnonzero(folds == fold)
        for version, (table, classes) in enumerate(versions):
            place = version * rows + held
            asked = (inputs, table.iloc[held], classes[held], held)
            alone, among = _alone(*asked), _among(*asked)
            for name in methods:
                method = METHODS[name]
                values = np.asarray(method.compute(alone if method.by_ranker else among), dtype=np.float64)
                values = values[-len(held) :]
                scores[name][place] = values if method.higher_is_better else -values
    given = np.concatenate([classes for _, classes in versions])
    return scores, given, np.arange(2 * rows) < rows


def _alone(inputs: Inputs, table: pd.DataFrame, classes: np.ndarray, held: np.ndarray) -> Inputs:
    """Rows of the target in place of the training rows, for methods that look at one row at a time."""
    rest = np.setdiff1d(np.arange(len(inputs.target)), held)
    return replace(
        inputs,
        samples=table.reset_index(drop=True),
        features=inputs.target_features[held],
        target=inputs.target.iloc[rest].reset_index(drop=True),
        target_features=inputs.target_features[rest],
        facts={},
        kept={},
    )


def _among(inputs: Inputs, table: pd.DataFrame, classes: np.ndarray, held: np.ndarray) -> Inputs:
    """Rows of the target behind the training rows, for methods that look at all of them.

    Classifiers that saw no row of the target have their opinion of it already.
    """
    alone, found, grades = _alone(inputs, table, classes, held), opinion(inputs), inputs.grades
    rest = np.setdiff1d(np.arange(len(inputs.target)), held)
    together = Grades(np.r_[grades.rows, classes], grades.target[rest], grades.labels, grades.first_relevant)
    seen = Graded(np.vstack([found.rows, found.others[held]]), found.others[rest], found.strength)
    return replace(
        alone,
        samples=pd.concat([inputs.samples, alone.samples], ignore_index=True),
        features=np.vstack([inputs.features, alone.features]),
        kept={"grades": together, "opinion": seen},
    )


def _mislabelled(inputs: Inputs) -> tuple[pd.DataFrame, np.ndarray]:
    """The target with a wrong label in every row, and the classes of these."""
    grades = inputs.grades
    count = len(grades.labels)
    side = np.arange(count) >= grades.first_relevant
    sizes = np.bincount(grades.rows, minlength=count).astype(float)
    draws = hash_unit(inputs.target["sample_id"].tolist(), f"assay-mislabel-{inputs.seed}")
    classes = np.empty(len(inputs.target), dtype=np.int64)
    for relevant in (True, False):
        mine, other = inputs.target_relevant == relevant, np.flatnonzero(side != relevant)
        # Each class of the other side as often as training rows carry it.
        share = np.cumsum(sizes[other] if sizes[other].any() else np.ones(len(other)))
        classes[mine] = other[
            np.searchsorted(share / share[-1], draws[mine], side="right").clip(max=len(other) - 1)
        ]
    values = np.concatenate([relevance(inputs.samples), relevance(inputs.target)])
    place = np.concatenate([grades.rows, grades.target])
    worth = np.array([np.median(values[place == k]) for k in range(count)])
    table = inputs.target.assign(label=grades.labels[classes])
    if "grade" in table:
        table["grade"] = np.where(table["grade"].notna(), worth[classes], np.nan)
    return table, classes


def _penalty(ranks: np.ndarray, right: np.ndarray, folds: np.ndarray) -> tuple[float, np.ndarray]:
    """The penalty by cross-validation over groups, and what it says of rows held out."""
    losses, told = {}, {}
    for penalty in PENALTIES:
        out = np.empty(len(right))
        for fold in range(FOLDS):
            found = _fit(ranks[folds != fold], right[folds != fold], penalty)
            out[folds == fold] = found[0] + ranks[folds == fold] @ found[1:]
        of_row = np.logaddexp(0, np.where(right, -out, out))
        losses[penalty], told[penalty] = [of_row[folds == fold].mean() for fold in range(FOLDS)], out
    best = min(PENALTIES, key=lambda penalty: np.mean(losses[penalty]))
    bound = np.mean(losses[best]) + np.std(losses[best], ddof=1) / np.sqrt(FOLDS)
    taken = max(penalty for penalty in PENALTIES if np.mean(losses[penalty]) <= bound)
    return taken, told[taken]


def _fit(ranks: np.ndarray, right: np.ndarray, penalty: float) -> np.ndarray:
    """Intercept and weights, the weights not below 0. (1 + methods,)."""
    design, sign = np.column_stack([np.ones(len(ranks)), ranks]), np.where(right, 1.0, -1.0)

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (design @ w)
        gradient = -(design * (sign * expit(-margin))[:, None]).mean(axis=0)
        gradient[1:] += penalty
        return np.logaddexp(0, -margin).mean() + penalty * w[1:].sum(), gradient

    start = np.zeros(design.shape[1])
    bounds = [(None, None)] + [(0.0, None)] * ranks.shape[1]
    return minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
