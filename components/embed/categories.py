"""What kind of thing a text speaks of, by a classifier that learns it from the items' categories."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from assay.components.core.samples import hash_unit
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

FOLDS = 5
LEAST_TEXTS = 10
"""Texts from which a category is learnt."""
FITTED_ON = 4_000
"""Texts at most that it is learnt from."""
LIFT = 0.1
"""How far above the largest category's share the accuracy on unseen texts must be."""


def categories(texts: list[str], vectors: np.ndarray, labels: dict[int, str]) -> tuple[np.ndarray, dict]:
    """Probability of each category for every text, by classifiers that did not see the text.

    Multinomial logistic regression on the vectors. Texts with a label are cut into folds by their hash; a
    text of a fold gets the classifier of the other folds, a text without a label the mean of all of them.

    Args:
        texts: n texts.
        vectors: (n, d) unit-length.
        labels: {number of a text: its category}, of texts that may be learnt from.

    Returns:
        (n, categories) float64 whose rows sum to 1, and facts: categories, texts, accuracy on unseen texts,
        share of the largest category.

    Raises:
        ValueError: Categories are too few, or cannot be told from the texts.
    """
    names, counts = np.unique(list(labels.values()), return_counts=True)
    names = names[counts >= LEAST_TEXTS]
    if len(names) < 2:
        raise ValueError(f"{len(names)} categories have {LEAST_TEXTS} texts or more, and two are needed")
    numbers = np.array(sorted(i for i, name in labels.items() if name in set(names)))
    y = np.searchsorted(names, [labels[i] for i in numbers])
    place = hash_unit([texts[i] for i in numbers], "assay-category")
    fold = np.full(len(texts), -1)
    fold[numbers] = (place * FOLDS).astype(np.int64)
    # Within a fold the hash is as good as a draw: the same texts on every machine.
    chosen = np.argsort(place * FOLDS % 1, kind="stable")[:FITTED_ON]
    numbers, y = numbers[chosen], y[chosen]
    out = np.zeros((len(texts), len(names)))
    for k in range(FOLDS):
        kept = fold[numbers] != k
        model = LogisticRegression(C=10.0, max_iter=200)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(vectors[numbers[kept]], y[kept])
        told = np.zeros((len(texts), len(names)))
        told[:, model.classes_] = model.predict_proba(vectors)
        out[fold == k] = told[fold == k]
        out[fold == -1] += told[fold == -1] / FOLDS
    right = float((out[numbers].argmax(1) == y).mean())
    largest = float(np.bincount(y).max() / len(y))
    if right < largest + LIFT * (1 - largest):
        raise ValueError(
            f"the items' texts do not tell their category: {right:.2f} of unseen texts right, and the "
            f"largest category alone is {largest:.2f}"
        )
    facts: dict[str, Any] = {"categories": len(names), "texts": len(y), "accuracy": right, "largest": largest}
    return out, facts


def agreement(told: np.ndarray, left: np.ndarray, right: np.ndarray) -> dict[str, np.ndarray]:
    """Features of rows by their names in words.

    Args:
        told: (texts, c) probabilities.
        left: (n,) text of each context.
        right: (n,) text of each item.
    """
    return {
        "category agreement of query and item": np.einsum("ij,ij->i", told[left], told[right]),
        "certainty of the query's category": told[left].max(1),
        "certainty of the item's category": told[right].max(1),
    }
