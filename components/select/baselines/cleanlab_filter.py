"""What cleanlab's filter leaves: rows that confident learning does not flag."""

from __future__ import annotations

import numpy as np
from assay.components.core.samples import relevance
from assay.components.select.baselines.given import Given
from assay.components.select.baselines.plain import highest

FOLDS = 5
CLASSES = 10
"""Distinct labels up to which each is a class; of more, the classes are relevant and not."""


def cleanlab(given: Given, count: int, seed: int) -> np.ndarray:
    """Ids of rows drawn uniformly among those that `find_label_issues` does not flag. (count,).

    Northcutt et al. 2021, "Confident Learning", as cleanlab's tutorial has it: its defaults, on out-of-fold
    probabilities of scikit-learn's logistic regression as it comes. The draw is uniform because a filter
    ranks nothing among what it leaves; the highest self-confidence would prefer easy rows of the larger
    class, and be a weaker peer. Where the filter leaves too few, the flagged of the highest self-confidence
    fill up.
    """
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    assert given.features is not None, "`pick` checks what a baseline needs"
    labels = _classes(given)
    if labels.max() == 0:
        return highest(given.ids, given.draws(f"assay-cleanlab-{seed}"), count)
    probability = out_of_fold(given.features(given.ids), labels, given.draws("assay-cleanlab-folds"))
    flagged = find_label_issues(labels, probability, n_jobs=1)
    confidence = get_label_quality_scores(labels, probability, method="self_confidence")
    draws = given.draws(f"assay-cleanlab-{seed}")
    # A draw is in [0, 1), so that every row that is left comes before every flagged one.
    return highest(given.ids, np.where(flagged, confidence - 2.0, draws), count)


def out_of_fold(features: np.ndarray, labels: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Probability of each class by a logistic regression that did not see the row.

    Args:
        features: (n, k).
        labels: (n,) int, of K classes.
        draws: (n,) numbers that put rows into folds, each class alike.

    Returns:
        (n, K) float64.
    """
    from sklearn.linear_model import LogisticRegression

    folds = np.empty(len(labels), dtype=np.int64)
    for kind in np.unique(labels):
        mine = np.flatnonzero(labels == kind)
        folds[mine[np.argsort(draws[mine], kind="stable")]] = np.arange(len(mine)) % FOLDS
    found = np.zeros((len(labels), labels.max() + 1))
    for fold in np.unique(folds):
        inside, outside = folds != fold, folds == fold
        seen = np.unique(labels[inside])
        if len(seen) > 1:
            model = LogisticRegression(max_iter=1000).fit(features[inside], labels[inside])
            found[np.ix_(outside, seen)] = model.predict_proba(features[outside])
        else:
            found[outside] = np.bincount(labels, minlength=found.shape[1]) / len(labels)
    return found


def _classes(given: Given) -> np.ndarray:
    values, labels = np.unique(given.samples["label"].to_numpy(), return_inverse=True)
    if len(values) <= CLASSES:
        return labels
    return np.unique(relevance(given.samples) >= given.relevant_at, return_inverse=True)[1]
