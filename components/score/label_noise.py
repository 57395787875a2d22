"""Label quality by confident learning, on out-of-fold probabilities over the vectors."""

from __future__ import annotations

import numpy as np
from assay.components.score.inputs import Inputs
from cleanlab.rank import get_label_quality_scores
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

FOLDS = 5
STRENGTHS = (1.0, 0.1, 0.01, 0.001)
"""Inverse regularisation strengths tried; the one of lowest out-of-fold loss is taken."""


def out_of_fold(features: np.ndarray, relevant: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, float]:
    """Probability of being relevant, each row's by a classifier that saw no row of its group.

    Args:
        features: (n, k).
        relevant: (n,) bool, as labelled.
        groups: (n,) group ids.

    Returns:
        (n,) float64 in (0, 1), and the strength taken.
    """
    folds = min(FOLDS, len(np.unique(groups)))
    if folds < 2 or relevant.all() or not relevant.any():
        return np.full(len(relevant), float(np.mean(relevant))), float("nan")
    splits = list(GroupKFold(folds).split(features, groups=groups))
    best, best_loss, best_strength = np.empty(0), np.inf, float("nan")
    for strength in STRENGTHS:
        probability = np.full(len(relevant), float(np.mean(relevant)))
        for fit, held_out in splits:
            if relevant[fit].all() or not relevant[fit].any():
                continue
            model = LogisticRegression(C=strength, max_iter=500).fit(features[fit], relevant[fit])
            probability[held_out] = model.predict_proba(features[held_out])[:, 1]
        clipped = np.clip(probability, 1e-6, 1 - 1e-6)
        log_loss = -np.mean(np.where(relevant, np.log(clipped), np.log(1 - clipped)))
        if log_loss < best_loss:
            best, best_loss, best_strength = clipped, log_loss, strength
    return best, best_strength


def label_quality(inputs: Inputs) -> np.ndarray:
    """Self-confidence: the out-of-fold probability of the label as given. (n,) in [0, 1]; low is suspicious.

    Northcutt et al. 2021, "Confident Learning"; scores by cleanlab.
    """
    probability, strength = out_of_fold(
        inputs.features, inputs.relevant, inputs.samples["group_id"].to_numpy().astype(str)
    )
    inputs.facts["label_quality"] = {"folds": FOLDS, "strength": strength}
    both = np.column_stack([1 - probability, probability])
    return get_label_quality_scores(inputs.relevant.astype(int), both, method="self_confidence")
