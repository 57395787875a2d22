"""Influence on the target, of all layers, by central finite difference: two forward passes, no backward.

Training on row i moves the weights against grad l_i, which changes the target's loss L by
-<grad l_i, grad L>. For a one-logit ranker grad l_i = (sigma(f_i) - y_i) grad f_i, and <grad f_i, v> is the
derivative of the logit along v = grad L:  (f_i(w + eps v) - f_i(w - eps v)) / (2 eps).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from assay.components.core.progress import say, steps
from assay.components.core.ranker import Pairs, Ranker
from assay.components.score.inputs import Inputs, rows_of
from scipy.stats import spearmanr
from torch import Tensor

STEPS = (0.01, 0.03, 0.003, 0.1, 0.001)
"""Lengths of the move along v/|v| that are tried, in this order, until one is faithful."""
FAITHFUL = 0.999
"""Spearman to exact dot products on the probe, below which the exact way is taken for all rows."""
PROBE = 64


def target_gradient(ranker: Ranker, target: Pairs) -> list[Tensor]:
    """Gradient of the target's mean loss in all weights, without dropout; one tensor a parameter."""
    ranker.eval().requires_grad_(True)
    parameters = list(ranker.network.parameters())
    total = [torch.zeros_like(p) for p in parameters]
    for batch in target.batches():
        loss = ranker.losses(batch.to(ranker.device)).sum() / len(target)
        for sum_, grad in zip(total, torch.autograd.grad(loss, parameters, allow_unused=True), strict=True):
            if grad is not None:
                sum_ += grad
    return total


def exact_dots(ranker: Ranker, rows: Pairs, direction: list[Tensor]) -> np.ndarray:
    """<grad f_i, v> by one backward pass a row: slow and exact. (n,) float64."""
    ranker.eval()
    parameters = list(ranker.network.parameters())
    out = np.empty(len(rows))
    for i in range(len(rows)):
        logit = ranker.logits(rows.batch([i]).to(ranker.device)).sum()
        grads = torch.autograd.grad(logit, parameters, allow_unused=True)
        out[i] = sum(float((g * v).sum()) for g, v in zip(grads, direction, strict=True) if g is not None)
    return out


@contextmanager
def moved(ranker: Ranker, direction: list[Tensor], by: float) -> Iterator[None]:
    """The ranker with its weights moved along a direction; put back exactly at the end."""
    parameters = list(ranker.network.parameters())
    before = [p.detach().clone() for p in parameters]
    try:
        with torch.no_grad():
            for p, v in zip(parameters, direction, strict=True):
                p.add_(v, alpha=by)
        yield
    finally:
        with torch.no_grad():
            for p, old in zip(parameters, before, strict=True):
                p.copy_(old)


def central_difference(
    ranker: Ranker, rows: Pairs, direction: list[Tensor], step: float, progress=iter
) -> np.ndarray:
    """<grad f_i, v> by two forward passes. (n,) float64.

    Args:
        ranker: float32 weights; they are moved and put back.
        rows: The rows.
        direction: v, one tensor a parameter.
        step: Length of the move, in weight space.
        progress: Wraps the batches.
    """
    length = math.sqrt(sum(float((v.double() ** 2).sum()) for v in direction))
    eps = step / max(length, 1e-30)
    with moved(ranker, direction, eps):
        up = ranker.score(rows, progress=progress).astype(np.float64)
    with moved(ranker, direction, -eps):
        down = ranker.score(rows, progress=progress).astype(np.float64)
    return (up - down) / (2 * eps)


def directional_derivatives(
    ranker: Ranker, rows: Pairs, direction: list[Tensor], seed: int
) -> tuple[np.ndarray, dict]:
    """<grad f_i, v> for all rows, the step chosen and checked on a probe of them.

    Returns:
        (n,) float64, and {"step", "spearman", "exact"}: exact is true where no step was faithful.
    """
    probe_rows = np.sort(np.random.default_rng(seed).permutation(len(rows))[:PROBE])
    probe = rows.subset(probe_rows)
    exact = exact_dots(ranker, probe, direction)
    best, best_step = -1.0, STEPS[0]
    for step in STEPS:
        approximate = central_difference(ranker, probe, direction, step)
        agreement = _spearman(exact, approximate)
        if agreement > best:
            best, best_step = agreement, step
        if best >= FAITHFUL:
            break
    if best < FAITHFUL and len(probe) > 2:
        say("score, influence", f"no step is faithful (Spearman {best:.4f}): one backward pass a row instead")
        return exact_dots(ranker, rows, direction), {"step": None, "spearman": best, "exact": True}
    progress = lambda batches: steps(batches, "score, influence", "batch")  # noqa: E731
    return central_difference(ranker, rows, direction, best_step, progress), {
        "step": best_step,
        "spearman": best,
        "exact": False,
    }


def _spearman(exact: np.ndarray, approximate: np.ndarray) -> float:
    # A constant has no ranks: two constants agree, one says nothing of the other.
    if np.ptp(exact) == 0 or np.ptp(approximate) == 0:
        return float(np.ptp(exact) == np.ptp(approximate))
    return float(spearmanr(exact, approximate).statistic)


def influence(inputs: Inputs) -> np.ndarray:
    """How much training towards the row's label lowers the target's loss. (n,); high is good.

    The logit form, (2y - 1) <grad f, -grad L>: free of the error's size, since plain dots favour large
    gradients and wrong labels have the largest. Its negative is the influence under the other label.
    """
    out = np.zeros(len(inputs.samples))
    inputs.facts["influence"] = {}
    for warm_up in inputs.warm_ups:
        rows = inputs.scored_by(warm_up)
        if not len(rows):
            continue
        ranker = warm_up.open()
        direction = target_gradient(ranker, rows_of(ranker, inputs.target))
        dots, facts = directional_derivatives(
            ranker, rows_of(ranker, inputs.samples.iloc[rows]), direction, inputs.seed
        )
        inputs.facts["influence"][warm_up.name] = facts
        out[rows] = -(2 * inputs.labels[rows] - 1) * dots
    return out
