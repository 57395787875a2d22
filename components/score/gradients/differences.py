"""Directional derivatives by finite differences: one or two forward passes, no backward, any layer.

<grad f_i, v> is the derivative of the logit along v: (f_i(w + eps v) - f_i(w - eps v)) / 2 eps, or, where the
logits at w are known, (f_i(w + eps v) - f_i(w)) / eps. The step is chosen, and the answer checked, against
exact products on a probe of the rows; where no step is faithful, the exact way is taken for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import numpy as np
import torch
from assay.components.core.progress import say, steps
from assay.components.core.ranker import Pairs, Ranker
from assay.components.score.gradients.directions import Direction, filled, length, row_by_row
from assay.components.score.gradients.ghost import Unsupported, ghost_products
from scipy.stats import spearmanr
from torch import Tensor

STEPS = {"one-sided": (0.003, 0.001, 0.01), "central": (0.01, 0.03, 0.003, 0.1, 0.001)}
"""{way: lengths of the move along v/|v| that are tried, in this order}, the cheapest way first.

The error of a one-sided difference grows with the step, that of a central one with its square."""
FAITHFUL = 0.999
"""Spearman to exact products on the probe, below which the exact way is taken for all rows."""
PROBE = 64
MANY = 3
"""Directions from which one backward pass for all of them is cheaper than two forward passes for each."""


@dataclass(frozen=True)
class Way:
    """How a derivative was computed.

    Attributes:
        way: `one-sided`, `central`, `ghost` (exact, a backward pass a batch) or `row by row` (exact, slow).
        step: Length of the move, of a finite difference.
        spearman: Agreement with exact products on the probe; 1 where the way is exact.
        passes: Forward passes a row; a backward pass counts as two.
    """

    way: str
    step: float | None
    spearman: float
    passes: float


@contextmanager
def moved(ranker: Ranker, direction: Direction) -> Iterator[Callable[[float], None]]:
    """A function that puts the ranker's weights at w + by v; they are put back exactly at the end.

    What is held meanwhile is one copy of the weights that v moves: of a table of embeddings, the rows of the
    target's own tokens alone.
    """
    named = dict(ranker.network.named_parameters())
    parts: list[tuple[Tensor, Tensor | None, Tensor, Tensor]] = []
    for name, v in direction.items():
        weight, rows = named[name].detach(), filled(v)
        parts.append((weight, rows, *((weight.clone(), v) if rows is None else (weight[rows], v[rows]))))

    def to(by: float) -> None:
        for weight, rows, before, v in parts:
            if rows is None:
                torch.add(before, v, alpha=by, out=weight)
            else:
                weight.index_copy_(0, rows, torch.add(before, v, alpha=by))

    try:
        yield to
    finally:
        for weight, rows, before, _ in parts:
            weight.copy_(before) if rows is None else weight.index_copy_(0, rows, before)


def central_difference(
    ranker: Ranker, rows: Pairs, direction: Direction, step: float, progress=iter
) -> np.ndarray:
    """<grad f_i, v> by two forward passes. (n,) float64.

    Args:
        ranker: In float32; its weights are moved and put back.
        rows: The rows.
        direction: v.
        step: Length of the move, in weight space.
        progress: Wraps the batches.
    """
    eps = step / max(length(direction), 1e-30)
    with moved(ranker, direction) as to:
        to(eps)
        up = ranker.score(rows, progress=progress).astype(np.float64)
        to(-eps)
        down = ranker.score(rows, progress=progress).astype(np.float64)
    return (up - down) / (2 * eps)


def one_sided_difference(
    ranker: Ranker, rows: Pairs, direction: Direction, step: float, logits: np.ndarray, progress=iter
) -> np.ndarray:
    """<grad f_i, v> by one forward pass, from the logits at the weights as they are. (n,) float64."""
    eps = step / max(length(direction), 1e-30)
    with moved(ranker, direction) as to:
        to(eps)
        up = ranker.score(rows, progress=progress).astype(np.float64)
    return (up - logits) / eps


def exact_products(
    ranker: Ranker, rows: Pairs, directions: Sequence[Direction], progress=iter
) -> tuple[np.ndarray, Way]:
    """<grad f_i, v_k> exactly: by ghost products, or row by row where a layer is unknown. (n, K)."""
    try:
        return ghost_products(ranker, rows, directions, progress=progress)[0], Way("ghost", None, 1.0, 3.0)
    except Unsupported as reason:
        say("score, gradients", f"{reason}: one backward pass a row instead")
        return row_by_row(ranker, rows, directions), Way("row by row", None, 1.0, 3.0)


def directional_derivatives(
    ranker: Ranker,
    rows: Pairs,
    directions: Sequence[Direction],
    seed: int = 0,
    logits: np.ndarray | None = None,
    allowed: Sequence[str] = ("one-sided", "central"),
    probe: Pairs | None = None,
    known: Sequence[Way | None] = (),
) -> tuple[np.ndarray, list[dict]]:
    """<grad f_i, v_k> of all rows, in the cheapest way that is faithful.

    Args:
        ranker: In float32.
        rows: (n,) rows.
        directions: K of them.
        seed: Of the probe.
        logits: (n,) the ranker's logits of the rows, if they are known: then one pass may do.
        allowed: Which finite differences may be taken.
        probe: Rows on which the way is chosen; some of `rows`, by the seed, if None.
        known: K ways that were chosen before; None for those that were not.

    Returns:
        (n, K) float64, and K descriptions: the fields of `Way`.
    """
    if len(directions) >= MANY or not allowed:
        dots, exactly = exact_products(ranker, rows, directions, _shown)
        return dots, [asdict(exactly)] * len(directions)
    before = list(known) or [None] * len(directions)
    if None in before:
        if probe is None:
            probe = rows.subset(np.sort(np.random.default_rng(seed).permutation(len(rows))[:PROBE]))
        exact, _ = exact_products(ranker, probe, directions)
        # On the probe's own batches: another padding changes logits in the last digits.
        at_rest = ranker.score(probe).astype(np.float64) if logits is not None else None
    columns, ways = [], []
    for k, direction in enumerate(directions):
        way = before[k] or _faithful(ranker, probe, direction, exact[:, k], at_rest, allowed)
        if way is None or way.step is None:
            dots, way = exact_products(ranker, rows, [direction], _shown)
            found = dots[:, 0]
        elif way.way == "one-sided" and logits is not None:
            found = one_sided_difference(ranker, rows, direction, way.step, logits, _shown)
        else:
            found = central_difference(ranker, rows, direction, way.step, _shown)
        columns.append(found)
        ways.append(asdict(way))
    return np.stack(columns, axis=1), ways


def _faithful(ranker, probe, direction, exact, logits, allowed) -> Way | None:
    best = -1.0
    for way, lengths in STEPS.items():
        if way not in allowed or (way == "one-sided" and logits is None):
            continue
        for step in lengths:
            if way == "one-sided":
                found = one_sided_difference(ranker, probe, direction, step, logits)
            else:
                found = central_difference(ranker, probe, direction, step)
            best = max(best, agreement := _spearman(exact, found))
            if agreement >= FAITHFUL:
                return Way(way, step, agreement, 1.0 if way == "one-sided" else 2.0)
    say("score, gradients", f"no step is faithful (Spearman {best:.4f}): exact products instead")
    return None


def _shown(batches):
    return steps(batches, "score, gradients", "batch")


def _spearman(exact: np.ndarray, approximate: np.ndarray) -> float:
    # A constant has no ranks: two constants agree, one says nothing of the other.
    if np.ptp(exact) == 0 or np.ptp(approximate) == 0:
        return float(np.ptp(exact) == np.ptp(approximate))
    return float(spearmanr(exact, approximate).statistic)
