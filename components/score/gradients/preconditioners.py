"""What a target's gradient is multiplied by before rows are measured against it: v = P grad L.

A preconditioner costs nothing a row: it is fitted once on some training rows and applied once to v. Influence
functions take P as the inverse of the loss's curvature; Adam's is what an optimiser step multiplies by.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from assay.components.core.ranker import Pairs, Ranker
from assay.components.score.gradients.directions import Direction, differentiable
from assay.components.score.gradients.ghost import Layer, layers_of, traced
from torch import Tensor

Preconditioner = Callable[[Direction], Direction]
DAMPING = 0.1
"""Of curvature, relative to its mean in the layer, as kronfluence has it; keeps flat directions in bounds."""

FLOOR = 1e-3
"""Of a diagonal, relative to the mean of all weights."""

CURVED = 256
"""Rows that EK-FAC is fitted on, at most: its eigenbases want tokens, of which a row has a dozen or more."""


def identity(ranker: Ranker, rows: Pairs, names: list[str], seed: int = 0) -> Preconditioner:
    """None at all: plain dot products."""
    return lambda direction: direction


def adam(
    ranker: Ranker, rows: Pairs, names: list[str], seed: int = 0, batch_size: int = 16
) -> Preconditioner:
    """1 / sqrt(E[g^2]) over batches of training rows: what Adam divides by, at these weights.

    After Xia et al. 2024, "LESS", which puts it on the training rows' side and pays for it on each of them.
    """
    order = np.random.default_rng(seed).permutation(len(rows))
    chunks = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    ranker.eval()
    with differentiable(ranker, names) as weights:
        squares = [torch.zeros_like(p) for p in weights]
        for chunk in chunks:
            loss = ranker.losses(rows.batch(chunk.tolist()).to(ranker.device)).mean()
            for square, grad in zip(
                squares, torch.autograd.grad(loss, weights, allow_unused=True), strict=True
            ):
                if grad is not None:
                    square.addcmul_(grad, grad, value=1 / len(chunks))
    scale = {name: s.sqrt() for name, s in zip(names, squares, strict=True)}
    return _divided_by(scale)


def fisher(ranker: Ranker, rows: Pairs, names: list[str], seed: int = 0) -> Preconditioner:
    """1 / E[g_i^2], the diagonal of the Fisher information, labels drawn from the ranker itself."""
    moments: dict[str, Tensor] = {}
    for layer, a, b in _seen(ranker, _drawn(ranker, rows, seed), names):
        if layer.weight:
            _add(moments, layer.weight, _square_of_weight(layer, a, b) / len(rows))
        if layer.bias:
            _add(moments, layer.bias, _rows(b).sum(1).pow(2).sum(0) / len(rows))
    return _divided_by(moments)


def ekfac(ranker: Ranker, rows: Pairs, names: list[str], seed: int = 0) -> Preconditioner:
    """Inverse of the eigenvalue-corrected Kronecker-factored Fisher information of the linear layers.

    George et al. 2018, "Fast Approximate Natural Gradient Descent in a Kronecker-factored Eigenbasis"; for
    influence: Grosse et al. 2023. Weights of other layers get zero, as in kronfluence. Of more than `CURVED`
    rows, that many are drawn by the seed.
    """
    if len(rows) > CURVED:
        rows = rows.subset(np.sort(np.random.default_rng(seed).permutation(len(rows))[:CURVED]))
    linear = [
        layer
        for layer in layers_of(ranker.network, names)
        if layer.kind in ("linear", "conv1d") and layer.weight
    ]
    held = [name for layer in linear for name in (layer.weight, layer.bias) if name]
    drawn = _drawn(ranker, rows, seed)
    inner: dict[str, Tensor] = {}
    outer: dict[str, Tensor] = {}
    for layer, a, b in _seen(ranker, drawn, held):
        a, b = _with_bias(layer, a), _rows(b)
        # Padding, and positions that nothing reads, carry no gradient: they are no part of the curvature.
        a = a * (b != 0).any(-1, keepdim=True)
        for sums, each in ((inner, a.flatten(0, 1)), (outer, b.flatten(0, 1))):
            if layer.weight not in sums:
                sums[layer.weight] = each.new_zeros(each.shape[1], each.shape[1])
            sums[layer.weight].addmm_(each.T, each)
    left = {name: torch.linalg.eigh(m).eigenvectors for name, m in outer.items()}
    right = {name: torch.linalg.eigh(m).eigenvectors for name, m in inner.items()}
    spread: dict[str, Tensor] = {}
    for layer, a, b in _seen(ranker, drawn, held):
        a, b = _with_bias(layer, a) @ right[layer.weight], _rows(b) @ left[layer.weight]
        _add(spread, layer.weight, torch.einsum("bto,bti->boi", b, a).pow_(2).sum(0) / len(rows))

    def apply(direction: Direction) -> Direction:
        found = {name: torch.zeros_like(v) for name, v in direction.items()}
        for layer in linear:
            if layer.weight not in direction or layer.weight not in spread:
                continue
            v = direction[layer.weight]
            v = v.T if layer.kind == "conv1d" else v
            if layer.bias:
                v = torch.cat([v, direction[layer.bias].unsqueeze(1)], 1)
            u, w, curvature = left[layer.weight], right[layer.weight], spread[layer.weight]
            v = u @ ((u.T @ v @ w) / (curvature + DAMPING * curvature.mean() + 1e-12)) @ w.T
            if layer.bias:
                found[layer.bias], v = v[:, -1].contiguous(), v[:, :-1]
            found[layer.weight] = (v.T if layer.kind == "conv1d" else v).contiguous()
        return found

    return apply


PRECONDITIONERS: dict[str, Callable[..., Preconditioner]] = {
    "none": identity,
    "adam": adam,
    "fisher": fisher,
    "ekfac": ekfac,
}


def _divided_by(scale: dict[str, Tensor]) -> Preconditioner:
    # Weights that no loss depends on (a key's bias) have gradients of rounding errors, which must not grow.
    floor = FLOOR * sum(float(s.sum()) for s in scale.values()) / sum(s.numel() for s in scale.values())
    return lambda direction: {
        name: v / (scale[name] + DAMPING * scale[name].mean() + floor) if name in scale else v * 0.0
        for name, v in direction.items()
    }


def _drawn(ranker: Ranker, rows: Pairs, seed: int) -> Pairs:
    """The rows with labels drawn from the ranker."""
    generator = torch.Generator().manual_seed(seed)
    # Drawn for all rows at once, so that a row's label does not depend on its batch.
    draws = torch.rand(len(rows), generator=generator).numpy()
    logits = ranker.score(rows)
    drawn = torch.as_tensor(draws < 1 / (1 + np.exp(-logits)), dtype=torch.float32)
    return Pairs(rows.towers, rows._pad, drawn.numpy(), rows.weights.numpy())


def _seen(ranker: Ranker, rows: Pairs, names: list[str]):
    """(layer, factor, gradient of the output) of all rows, of the loss to their labels."""
    layers = layers_of(ranker.network, names)
    loss = lambda f, y: F.binary_cross_entropy_with_logits(f, y, reduction="none")  # noqa: E731
    for _, tape in traced(ranker, rows, layers, loss):
        yield from _joined(tape.seen)


def _joined(seen: list[tuple[Layer, Tensor, Tensor]]):
    """The calls of a layer (a bi-encoder's two towers) as one: their gradients add up within a row."""
    calls: dict[int, list[tuple[Layer, Tensor, Tensor]]] = {}
    for layer, a, b in seen:
        calls.setdefault(id(layer), []).append((layer, a, b))
    for group in calls.values():
        layer = group[0][0]
        factors = [a.reshape(len(a), -1) if layer.kind == "embedding" else _rows(a) for _, a, _ in group]
        yield layer, torch.cat(factors, 1), torch.cat([_rows(b) for _, _, b in group], 1)


def _square_of_weight(layer: Layer, a: Tensor, b: Tensor) -> Tensor:
    """Sum over rows of the squared gradient of a layer's weight."""
    if layer.kind == "embedding":
        first = torch.zeros_like(layer.module.weight)
        same = (a.unsqueeze(1) == a.unsqueeze(2)).to(b.dtype)
        # Every position of a token holds the token's whole gradient; each counts for one of them.
        squares = (same @ b).pow(2) / same.sum(2, keepdim=True)
        if layer.module.padding_idx is not None:
            squares = squares * (a != layer.module.padding_idx).unsqueeze(-1)
        return first.index_add_(0, a.flatten(), squares.flatten(0, 1))
    if layer.kind in ("norm", "rms"):
        return (a * b).sum(1).pow(2).sum(0)
    each = torch.einsum("bto,bti->boi", b, a).pow_(2).sum(0)
    return each.T if layer.kind == "conv1d" else each


def _rows(x: Tensor) -> Tensor:
    return x.reshape(len(x), -1, x.shape[-1])


def _with_bias(layer: Layer, a: Tensor) -> Tensor:
    a = _rows(a)
    return F.pad(a, (0, 1), value=1.0) if layer.bias else a


def _add(sums: dict[str, Tensor], name: str | None, value: Tensor) -> None:
    assert name
    if name in sums:
        sums[name] += value
    else:
        sums[name] = value.clone()
