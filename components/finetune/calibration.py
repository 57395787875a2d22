"""Calibration: a ranker's logits as log-odds of rows that nobody selected."""

from __future__ import annotations

import numpy as np
import torch
from assay.components.core.ranker import Pairs, Ranker
from scipy.optimize import minimize

SCALES = (0.01, 10.0)
"""Least and most. Above 0 the order of rows stays, but near it float32 would tie some; and scores that have
collapsed to a constant must not be blown up into ones that look as if they told rows apart."""


def calibrate(ranker: Ranker, held: Pairs, relevant: np.ndarray) -> dict:
    """Fold Platt's scale and shift into the last layer of a ranker's head.

    Which rows are selected depends on their labels, so that a ranker trained on them learns another P(y|x)
    than that of the log. Rows that were not selected put it right; the order of rows stays as it is.

    Args:
        ranker: Its weights are changed where the log loss of `held` falls; its adapter may be on.
        held: The validation rows, all of them, with their weights.
        relevant: (n,) bool, what the probability is of.

    Returns:
        `scale` and `shift` (1 and 0 where nothing was changed, and then `unchanged` says why), `rows`,
        `positives`, `log_loss_before` and `log_loss_after`, of `held` by weight, in nats.
    """
    logits, weights = ranker.score(held).astype(np.float64), held.weights.numpy().astype(np.float64)
    before = _log_loss(logits, relevant, weights)
    layer, why = ranker.last_layer, ""
    scale, shift = platt(logits, relevant, weights)
    after = _log_loss(scale * logits + shift, relevant, weights)
    if relevant.all() or not relevant.any():
        why = "the validation rows have one label"
    elif layer.bias is None:
        why = "the head has no bias that could hold the shift"
    elif not after < before:
        why = f"the log loss of the validation rows would be {after:.4g}, not below {before:.4g}"
    if why:
        scale, shift, after = 1.0, 0.0, before
    else:
        with torch.no_grad():
            layer.weight.mul_(scale)
            layer.bias.mul_(scale).add_(shift)
    return {
        "scale": scale,
        "shift": shift,
        "rows": len(logits),
        "positives": int(relevant.sum()),
        "log_loss_before": before,
        "log_loss_after": after,
        **({"unchanged": why} if why else {}),
    }


def platt(logits: np.ndarray, relevant: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """The scale, within `SCALES`, and the shift that make logits the likeliest log-odds.

    Platt 1999, "Probabilistic Outputs for Support Vector Machines": his targets, (N+ + 1) / (N+ + 2) and
    1 / (N- + 2) in place of 1 and 0, keep a handful of clicks from being taken for certain.

    Args:
        logits: (n,) float64.
        relevant: (n,) bool.
        weights: (n,) > 0; only their ratios count.

    Returns:
        (scale, shift): log-odds are scale * logits + shift.
    """
    weights = weights / weights.mean()
    yes, no = weights[relevant].sum(), weights[~relevant].sum()
    target = np.where(relevant, (yes + 1) / (yes + 2), 1 / (no + 2))
    centre = logits.mean()
    x = logits - centre

    def loss(at: np.ndarray) -> tuple[float, np.ndarray]:
        f = at[0] * x + at[1]
        error = weights * (np.exp(-np.logaddexp(0, -f)) - target) / len(f)
        value = float(np.mean(weights * (np.logaddexp(0, f) - target * f)))
        return value, np.array([error @ x, error.sum()])

    # Convex in both numbers; the bounds are why it is no plain Newton.
    found = minimize(
        loss, (1.0, centre), jac=True, method="L-BFGS-B", bounds=[SCALES, (None, None)],
        options={"ftol": 1e-14, "gtol": 1e-9},
    )  # fmt: skip
    scale, shift = found.x
    return float(scale), float(shift - scale * centre)


def _log_loss(logits: np.ndarray, relevant: np.ndarray, weights: np.ndarray) -> float:
    return float(np.average(np.logaddexp(0, logits) - relevant * logits, weights=weights))
