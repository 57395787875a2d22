"""Baselines that take the highest of one score, over all rows and labels."""

from __future__ import annotations

import numpy as np
from assay.components.select.baselines.given import Given
from assay.components.select.baselines.plain import highest


def loss(given: Given, count: int, seed: int) -> np.ndarray:
    """Ids of the rows of the highest loss. (count,).

    Selective backprop and hard-example mining do so: Jiang et al. 2019, "Accelerating Deep Learning by
    Focusing on the Biggest Losers". A wrong label has a high loss, too.
    """
    return highest(given.ids, given.score("loss"), count)


def el2n(given: Given, count: int, seed: int) -> np.ndarray:
    """Ids of the rows of the highest EL2N. (count,).

    Paul et al. 2021, "Deep Learning on a Data Diet". Where every label is 0 or 1, EL2N rises with the loss,
    so that these are the rows that `loss` takes.
    """
    return highest(given.ids, given.score("el2n"), count)
