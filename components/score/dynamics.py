"""Scores from the logit of a ranker that trained briefly on other rows."""

from __future__ import annotations

import numpy as np
from assay.components.score.inputs import Inputs
from scipy.special import expit


def loss(inputs: Inputs) -> np.ndarray:
    """Binary cross-entropy to the label. (n,) >= 0; low is easy."""
    f, y = inputs.logits, inputs.labels
    return np.logaddexp(0, f) - y * f


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
