"""Scores from the logit of a ranker that trained briefly on other rows."""

from __future__ import annotations

import numpy as np
from assay.components.core.progress import steps
from assay.components.score.inputs import Inputs, rows_of
from scipy.special import expit


def loss(inputs: Inputs) -> np.ndarray:
    """Binary cross-entropy to the label. (n,) >= 0; low is easy."""
    return cross_entropy(inputs.logits, inputs.labels)


def el2n(inputs: Inputs) -> np.ndarray:
    """EL2N: length of the error vector over both classes, sqrt(2) |sigma(f) - y|. (n,) in [0, sqrt 2].

    Paul et al. 2021, "Deep Learning on a Data Diet".
    """
    return np.sqrt(2.0) * np.abs(expit(inputs.logits) - inputs.labels)


def margin(inputs: Inputs) -> np.ndarray:
    """Margin of the label over the other one, (2y - 1) f. (n,); negative where the ranker disagrees.

    One checkpoint of AUM: Pleiss et al. 2020, "Identifying Mislabeled Data using the Area Under the Margin".
    """
    return (2 * inputs.labels - 1) * inputs.logits


def learnability(inputs: Inputs) -> np.ndarray:
    """Reducible holdout loss: the warm-up's loss minus that of a ranker trained on the target. (n,).

    High for rows that the target teaches and the warm-up does not know yet; low for those that neither can
    learn, wrong labels above all, and for those that are learnt already. Mindermann et al. 2022, "Prioritized
    Training on Points that are Learnable, Worth Learning, and Not Yet Learnt" (RHO-LOSS).
    """
    assert inputs.tuned is not None, "`compute` checks what a method needs"
    ranker = inputs.tuned.open()
    logits = ranker.score(
        rows_of(ranker, inputs.samples), progress=lambda b: steps(b, "score, tuned on the target", "batch")
    )
    return loss(inputs) - cross_entropy(logits.astype(np.float64), inputs.labels)


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Of (n,) logits to (n,) labels in [0, 1]."""
    return np.logaddexp(0, logits) - labels * logits
