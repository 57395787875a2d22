"""Baselines that train on the trusted rows: were these alone enough, nobody would need a selection."""

from __future__ import annotations

import numpy as np
from assay.components.select.baselines.given import Given
from assay.components.select.baselines.plain import highest


def target_only(given: Given, count: int, seed: int) -> np.ndarray:
    """Ids of all rows of the target, however many; `count` is not looked at. (t,)."""
    return given.target_ids


def random_target(given: Given, count: int, seed: int) -> np.ndarray:
    """Ids of the rows of the control of this seed, and of all rows of the target. (count + t,).

    The control plus the target, not a smaller control: the trusted rows are there anyway, and so the
    difference to the control is theirs alone. It trains on t rows more than the other arms do.
    """
    drawn = highest(given.ids, -given.draws(f"assay-control-{seed}"), count)
    return np.concatenate([drawn, given.target_ids])
