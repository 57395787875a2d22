"""Directions in weight space: gradients of the target's loss, one for each group of target rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from assay.components.core.ranker import Pairs, Ranker
from torch import Tensor, nn

Direction = dict[str, Tensor]
"""A vector in weight space, by parameter name; a parameter that is not named has zero there."""
SCOPES = ("all", "adapter")


def parameters(ranker: Ranker, scope: str = "all") -> dict[str, nn.Parameter]:
    """The weights that a gradient is taken in, by name.

    Args:
        ranker: Any; for `adapter` its network is wrapped by peft.
        scope: `all` layers, or what the `adapter` trains.

    Raises:
        ValueError: The scope is unknown, or the ranker has no adapter.
    """
    if scope not in SCOPES:
        raise ValueError(f"scope {scope!r}: choose {' or '.join(SCOPES)}")
    named = dict(ranker.network.named_parameters())
    if scope == "all":
        return named
    if not hasattr(ranker.network, "peft_config"):
        raise ValueError("this ranker has no adapter: open it with one, or take scope all")
    return {name: p for name, p in named.items() if p.requires_grad}


@contextmanager
def differentiable(ranker: Ranker, names: Sequence[str]) -> Iterator[list[nn.Parameter]]:
    """The named weights as the only ones that need a gradient; as before at the end."""
    named = dict(ranker.network.named_parameters())
    before = {name: p.requires_grad for name, p in named.items()}
    wanted = set(names)
    try:
        for name, p in named.items():
            p.requires_grad_(name in wanted)
        yield [named[name] for name in names]
    finally:
        for name, p in named.items():
            p.requires_grad_(before[name])


def target_gradients(
    ranker: Ranker, target: Pairs, groups: Sequence[np.ndarray] | None = None, scope: str = "all"
) -> list[Direction]:
    """Gradient of the mean loss of each group of target rows, without dropout.

    Args:
        ranker: In float32.
        target: (t,) trusted rows.
        groups: K arrays of row numbers, which may share rows; one group of all rows if None.
        scope: Of `parameters`.

    Returns:
        K directions. A row counts by its loss alone, not by its weight.
    """
    ranker.eval()
    names = list(parameters(ranker, scope))
    found = []
    with differentiable(ranker, names) as weights:
        for group in groups if groups is not None else [np.arange(len(target))]:
            rows = target.subset(group)
            total = [torch.zeros_like(p) for p in weights]
            for batch in rows.batches():
                loss = ranker.losses(batch.to(ranker.device)).sum() / len(rows)
                for sum_, grad in zip(
                    total, torch.autograd.grad(loss, weights, allow_unused=True), strict=True
                ):
                    if grad is not None:
                        sum_ += grad
            found.append(dict(zip(names, total, strict=True)))
    return found


def length(direction: Direction) -> float:
    """Euclidean norm of a direction."""
    return dot(direction, direction) ** 0.5


def dot(first: Direction, second: Direction) -> float:
    """Inner product of two directions."""
    # Sums within a tensor are pairwise, so float32 loses nothing that a gradient in float32 still had.
    return sum(float((first[name] * second[name]).sum()) for name in first if name in second)


def row_by_row(ranker: Ranker, rows: Pairs, directions: Sequence[Direction]) -> np.ndarray:
    """<grad f_i, v_k> by one backward pass a row: slow, exact, and for any network. (n, K) float64."""
    ranker.eval()
    names = sorted(set().union(*directions))
    out = np.zeros((len(rows), len(directions)))
    with differentiable(ranker, names) as weights:
        for i in range(len(rows)):
            logit = ranker.logits(rows.batch([i]).to(ranker.device)).sum()
            grads = torch.autograd.grad(logit, weights, allow_unused=True)
            gradient = {name: g for name, g in zip(names, grads, strict=True) if g is not None}
            out[i] = [dot(gradient, direction) for direction in directions]
    return out
