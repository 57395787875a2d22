"""Cheap rankers over the features: what a budget is tried out on before a real ranker is trained."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from assay.components.core.errors import BadInput
from assay.components.core.metrics import Lists, auc_of
from assay.components.core.samples import hash_unit
from scipy.stats import poisson

DRAWS = 200
"""Resamples of the validation lists; each goes with one of the rankers."""
STRENGTHS = (1.0, 0.1, 0.01, 0.001)
"""Inverse regularisation strengths tried; the one of the lowest loss on rows left out is taken."""


@dataclass(frozen=True)
class Exam:
    """Validation lists, and their resamples, the same for every ranker.

    Attributes:
        features: (v, k) of the validation rows.
        lists: They themselves.
        metric: `ndcg@10` or `auc`.
        counts: (DRAWS, lists) how often each resample has each list.
    """

    features: np.ndarray
    lists: Lists
    metric: str
    counts: np.ndarray

    @staticmethod
    def of(features: np.ndarray, lists: Lists, metric: str, seed: int) -> Exam:
        """Draw the resamples.

        Raises:
            BadInput: No list can be judged.
        """
        ranked = metric != "auc"
        size = len(lists.ranked()) if ranked else len(np.unique(lists.groups))
        if not size or (not ranked and (lists.relevant.all() or not lists.relevant.any())):
            raise BadInput(
                "--budget auto: no validation list can be judged (two rows or more, one of them relevant); "
                "name a budget, or give the split `validation` more lists"
            )
        drawn = np.random.default_rng(seed).integers(0, size, (DRAWS, size))
        counts = np.stack([np.bincount(draw, minlength=size) for draw in drawn])
        return Exam(features, lists, metric, counts)

    def marks(self, scores: np.ndarray) -> np.ndarray:
        """(1 + DRAWS,) metric of rankers: their mean over all lists; then of each resample, by one of them.

        Args:
            scores: (RESAMPLES, v), high for relevant.
        """
        which = np.arange(len(self.counts)) % len(scores)
        if self.metric == "auc":
            place = np.unique(self.lists.groups, return_inverse=True)[1]
            weights = np.column_stack([np.ones(len(place)), self.counts[:, place].T])
            drawn = np.stack([auc_of(one, self.lists.relevant, weights) for one in scores])
            return np.r_[drawn[:, 0].mean(), drawn[which, 1 + np.arange(len(which))]]
        each = np.stack([self.lists.ndcg(one) for one in scores])
        return np.r_[each.mean(), (self.counts * each[which]).sum(axis=1) / self.counts.sum(axis=1)]


@dataclass(frozen=True)
class Rows:
    """What cheap rankers learn from.

    Attributes:
        ids: (n,) sample ids.
        features: (n, k).
        labels: (n,) in [0, 1], as trained on.
        weights: (n,) > 0.
    """

    ids: list[str]
    features: np.ndarray
    labels: np.ndarray
    weights: np.ndarray


def learnt(rows: Rows, judged: np.ndarray, salt: str) -> np.ndarray:
    """Scores that a ranker gives, a logistic regression that learnt from a resample of some rows.

    The resample is a Poisson bootstrap, in which how often a row counts is a function of its id: the same
    at every budget, so that budgets are compared like with like, and whatever the order of rows. Oza and
    Russell 2001, "Online Bagging and Boosting". The rows that count zero times choose the regularisation.

    Args:
        rows: (n,) in the order of their ids, so that sums are, too.
        judged: (v, k) features of the rows to score.
        salt: Of the resample.

    Returns:
        (v,) float64, high for relevant; all 0 where there was nothing to learn.
    """
    times = np.maximum(poisson.ppf(hash_unit(rows.ids, salt), 1.0), 0.0)
    fitted = [model for model in (_fit(rows, times, strength) for strength in STRENGTHS) if model is not None]
    if not fitted:
        return np.zeros(len(judged))
    slope, intercept = min(fitted, key=lambda model: _loss(rows, times == 0, *model))
    return judged @ slope + intercept


def _fit(rows: Rows, times: np.ndarray, strength: float) -> tuple[np.ndarray, float] | None:
    """Logistic regression on labels that may lie between 0 and 1: each row is there once as either.

    Returns (k,) slope and intercept; None where all labels are 0, or all are 1.
    """
    from sklearn.linear_model import LogisticRegression

    weights = np.r_[rows.labels, 1 - rows.labels] * np.tile(rows.weights * times, 2)
    some = weights > 0
    either = np.repeat([1, 0], len(rows.labels))[some]
    if len(np.unique(either)) < 2:
        return None
    model = LogisticRegression(C=strength, solver="newton-cholesky", max_iter=100)
    model.fit(np.tile(rows.features, (2, 1))[some], either, sample_weight=weights[some])
    return model.coef_[0], float(model.intercept_[0])


def _loss(rows: Rows, which: np.ndarray, slope: np.ndarray, intercept: float) -> float:
    """Mean cross-entropy to the labels of some rows; 0 of none."""
    logits, labels = rows.features[which] @ slope + intercept, rows.labels[which]
    losses = np.logaddexp(0, logits) - labels * logits
    return float(np.average(losses, weights=rows.weights[which])) if which.any() else 0.0
