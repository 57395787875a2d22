"""Propensities: how likely a position is looked at, and how far what was found can be relied on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

ENOUGH_CLICKS = 100
"""Clicks at a position below which its propensity is worth a warning: their share varies by a tenth."""
ENOUGH_SWAPS = 100
"""Pairs seen at several positions, below which positions and items can hardly be told apart."""
MONOTONE_WITHIN = 0.02
"""A position may be looked at by so much more than one above it before that is worth a warning."""


@dataclass(frozen=True)
class Found:
    """What an estimator found.

    Attributes:
        examined: (depth,) float64 > 0 of positions 1, 2, ..., in any scale; NaN where nothing is known.
        iterations: Of the estimator; 0 of a closed form.
        log_likelihood: Of the clicks under its model, natural logarithm.
        warnings: What it has to say of itself.
    """

    examined: np.ndarray
    iterations: int
    log_likelihood: float
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Propensities:
    """Chance that a position is examined, relative to the one examined most.

    Attributes:
        method: Name of the estimator.
        examined: (depth,) float64 in [floor, 1] of positions 1, 2, ....
        shown: (depth,) impressions that it was estimated on.
        clicks: (depth,) clicks.
        floor: Least propensity: no click weighs more than 1 / floor.
        iterations: Of the estimator; 0 of a closed form.
        log_likelihood: Of the clicks under the estimator's model, natural logarithm; models differ in what
            they explain, so it compares runs of one of them.
        diagnostics: Numbers and truths about the log and the estimate.
        warnings: In words; none is a good sign.
    """

    method: str
    examined: np.ndarray
    shown: np.ndarray
    clicks: np.ndarray
    floor: float
    iterations: int
    log_likelihood: float
    diagnostics: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def of(self, position: np.ndarray) -> np.ndarray:
        """Propensities of positions.

        Args:
            position: (n,) from 1; deeper ones than the deepest known count as that one; NaN or below 1 is
                unknown.

        Returns:
            (n,) float64 in [floor, 1]; the mean over impressions where the position is unknown.
        """
        place = np.asarray(position, dtype=np.float64)
        known = place >= 1
        mean = float(np.average(self.examined, weights=self.shown))
        index = np.clip(np.where(known, place, 1), 1, len(self.examined)).astype(np.int64) - 1
        return np.where(known, self.examined[index], mean)

    @property
    def effective_clicks(self) -> float:
        """Effective sample size of the clicks under weights 1 / propensity (Kish 1965)."""
        weight = 1 / self.examined
        total = float((self.clicks * weight).sum())
        return total**2 / float((self.clicks * weight**2).sum()) if total else 0.0

    def as_dict(self) -> dict[str, Any]:
        """As JSON, for a manifest."""
        return {
            "method": self.method,
            "examined": [round(float(value), 6) for value in self.examined],
            "shown": [int(value) for value in self.shown],
            "clicks": [float(value) for value in self.clicks],
            "floor": self.floor,
            "iterations": self.iterations,
            "log_likelihood": self.log_likelihood,
            "effective_clicks": round(self.effective_clicks, 3),
            "diagnostics": self.diagnostics,
            "warnings": list(self.warnings),
        }
