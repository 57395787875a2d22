"""Directions in weight space: gradients of the target's loss, one for each group of target rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from assay.components.core.ranker import Pairs, Ranker
from assay.components.core.ranker.batches import TOKEN_BUDGET
from torch import Tensor, nn

Direction = dict[str, Tensor]
"""A vector in weight space, by parameter name; a parameter that is not named has zero there."""
SCOPES = ("all", "adapter")
BACKWARD_TOKENS = TOKEN_BUDGET // 2
"""Tokens of a batch that is differentiated: it holds what every layer wrote, not only the last one."""


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


@contextmanager
def sparse_tables(ranker: Ranker) -> Iterator[None]:
    """Gradients of embeddings hold the rows of the tokens that were read: tables are half of MiniLM."""
    tables = [m for m in ranker.network.modules() if isinstance(m, nn.Embedding) and not m.sparse]
    try:
        for table in tables:
            table.sparse = True
        yield
    finally:
        for table in tables:
            table.sparse = False


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
    with differentiable(ranker, names) as weights, sparse_tables(ranker):
        for group in groups if groups is not None else [np.arange(len(target))]:
            rows = target.subset(group)
            total: list[Tensor | None] = [None] * len(weights)
            for batch in rows.batches(BACKWARD_TOKENS):
                loss = ranker.losses(batch.to(ranker.device)).sum() / len(rows)
                grads = torch.autograd.grad(loss, weights, allow_unused=True)
                for i, grad in enumerate(grads):
                    total[i] = _sum(total[i], grad)
            whole = [
                torch.zeros_like(p) if sum_ is None else _dense(sum_)
                for p, sum_ in zip(weights, total, strict=True)
            ]
            found.append(dict(zip(names, whole, strict=True)))
    return found


def filled(v: Tensor) -> Tensor | None:
    """Numbers of the rows that are not all zero, (r,) int64; None if that is all of them.

    Of a table of embeddings a gradient fills the rows of the tokens that were read.
    """
    if v.dim() < 2:
        return None
    full = torch.linalg.vector_norm(v.flatten(1), torch.inf, dim=1) != 0
    return None if full.all() else full.nonzero()[:, 0]


def _sum(total: Tensor | None, grad: Tensor | None) -> Tensor | None:
    if total is None or grad is None:
        return grad if total is None else total
    return (total + grad).coalesce() if grad.is_sparse else total.add_(grad)


def _dense(v: Tensor) -> Tensor:
    return v.to_dense() if v.is_sparse else v


def length(direction: Direction) -> float:
    """Euclidean norm of a direction."""
    return dot(direction, direction) ** 0.5


def dot(first: Direction, second: Direction) -> float:
    """Inner product of two directions, the first of which may have sparse tables."""
    # Sums within a tensor are pairwise, so float32 loses nothing that a gradient in float32 still had.
    return sum(float(_product(first[name], second[name]).sum()) for name in first if name in second)


def _product(first: Tensor, second: Tensor) -> Tensor:
    if not first.is_sparse:
        return first * second
    first = first.coalesce()
    return first.values() * second[first.indices()[0]]


def row_by_row(ranker: Ranker, rows: Pairs, directions: Sequence[Direction]) -> np.ndarray:
    """<grad f_i, v_k> by one backward pass a row: slow, exact, and for any network. (n, K) float64."""
    ranker.eval()
    names = sorted(set().union(*directions))
    out = np.zeros((len(rows), len(directions)))
    with differentiable(ranker, names) as weights, sparse_tables(ranker):
        for i in range(len(rows)):
            logit = ranker.logits(rows.batch([i]).to(ranker.device)).sum()
            grads = torch.autograd.grad(logit, weights, allow_unused=True)
            gradient = {name: g for name, g in zip(names, grads, strict=True) if g is not None}
            out[i] = [dot(gradient, direction) for direction in directions]
    return out
