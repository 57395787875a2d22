"""Exact <grad f_i, v_k> and |grad f_i|^2 of all rows of a batch by one backward pass, no gradient a row.

A layer's gradient of row i is made of its inputs a and the gradients b of its outputs: sum_t b_t a_t^T for a
linear layer. So <grad, V> = sum_t b_t . (V a_t), and |grad|^2 = sum_ts (b_t . b_s)(a_t . a_s): nothing of the
weights' size is formed. The "ghost" products of Li et al. 2022, "Large Language Models Can Be Strong
Differentially Private Learners", and Wang et al. 2025, "Data Shapley in One Training Run".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from assay.components.core.ranker import Pairs, Ranker
from assay.components.score.gradients.directions import BACKWARD_TOKENS, Direction, differentiable
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D


class Unsupported(ValueError):
    """A weight belongs to a kind of layer whose ghost product is not known here."""


def kind_of(module: Any) -> str | None:
    """Which of the known layers a module is."""
    if isinstance(module, nn.Linear):
        return "linear"
    if isinstance(module, Conv1D):
        return "conv1d"
    if isinstance(module, nn.Embedding):
        return "embedding"
    if isinstance(module, nn.LayerNorm):
        return "norm"
    return "rms" if type(module).__name__.endswith("RMSNorm") and hasattr(module, "weight") else None


def factor(module: Any, kind: str, given: Tensor) -> Tensor:
    """What multiplies the output's gradient in the weight's: inputs, token ids, or normalised inputs."""
    if kind == "norm":
        return F.layer_norm(given, module.normalized_shape, None, None, module.eps)
    if kind == "rms":
        eps = getattr(module, "variance_epsilon", None) or getattr(module, "eps", None) or 1e-6
        return given * torch.rsqrt(given.pow(2).mean(-1, keepdim=True) + eps)
    return given


@dataclass
class Layer:
    """A module and the names of those of its weights that are asked for."""

    module: Any
    kind: str
    weight: str | None
    bias: str | None


def layers_of(network: nn.Module, names: Sequence[str]) -> list[Layer]:
    """The layers that hold the named weights.

    Raises:
        Unsupported: A weight is in no known kind of layer.
    """
    wanted, found = set(names), []
    # A weight shared by two layers is named once by `named_parameters`.
    name_of = {id(p): name for name, p in network.named_parameters()}
    for module in network.modules():
        kind = kind_of(module)
        own = {part: name_of.get(id(p)) for part, p in module._parameters.items() if p is not None}
        mine = {part: name for part, name in own.items() if name in wanted}
        if kind and mine and set(mine) <= {"weight", "bias"}:
            found.append(Layer(module, kind, mine.get("weight"), mine.get("bias")))
    held = {name for layer in found for name in (layer.weight, layer.bias)}
    if wanted - held:
        raise Unsupported(f"no ghost product for {', '.join(sorted(wanted - held)[:3])}")
    return found


@dataclass
class Tape:
    """What the hooks of one batch have seen.

    Attributes:
        rows: Rows of the batch.
        leaves: Where the backward pass ends.
        seen: [(layer, factor, gradient of the output)], one for each call of a layer.
    """

    rows: int = 0
    leaves: list[Tensor] = field(default_factory=list)
    seen: list[tuple[Layer, Tensor, Tensor]] = field(default_factory=list)


Visitor = Callable[[Layer, Tensor, Tensor], None]


@contextmanager
def taped(layers: list[Layer], tape: Tape) -> Iterator[None]:
    """Hooks that write every call of the layers, with its output's gradient, to a tape."""

    def before(layer: Layer):
        def hook(module, args):
            # Positions are often looked up once for all rows; each row needs a gradient of its own.
            ids = args[0]
            if ids.dim() == 1:
                ids = ids.unsqueeze(0)
            return (ids.expand(tape.rows, -1), *args[1:]) if len(ids) == 1 else None

        return layer.module.register_forward_pre_hook(hook)

    def after(layer: Layer):
        def hook(module, args, output):
            given = args[0].detach()
            if len(given) != tape.rows:
                raise Unsupported(
                    f"{type(module).__name__} got {tuple(given.shape)} for {tape.rows} rows: its first "
                    "dimension is not the row"
                )
            if not output.requires_grad:
                output.requires_grad_(True)
                tape.leaves.append(output)
            output.register_hook(
                lambda gradient: tape.seen.append((layer, factor(module, layer.kind, given), gradient))
            )

        return layer.module.register_forward_hook(hook)

    handles = [before(layer) for layer in layers if layer.kind == "embedding"]
    handles += [after(layer) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def traced(
    ranker: Ranker,
    rows: Pairs,
    layers: list[Layer],
    of: Callable[[Tensor, Tensor], Tensor] | None = None,
    progress=iter,
) -> Iterator[tuple[np.ndarray, Tape]]:
    """One backward pass a batch: (numbers of its rows, its tape).

    Args:
        ranker: Any.
        rows: The rows.
        layers: Of `layers_of`.
        of: (logits, labels) -> (b,) what is differentiated; the logits if None.
        progress: Wraps the batches.
    """  # fmt: skip
    ranker.eval()
    tape = Tape()
    with differentiable(ranker, []), taped(layers, tape):
        for batch in progress(rows.batches(BACKWARD_TOKENS)):
            tape.rows, tape.leaves, tape.seen = len(batch), [], []
            batch = batch.to(ranker.device)
            logits = ranker.logits(batch)
            values = logits if of is None else of(logits, batch.labels)
            torch.autograd.grad(values.sum(), tape.leaves, allow_unused=True)
            yield batch.index.cpu().numpy(), tape


def ghost_products(
    ranker: Ranker,
    rows: Pairs,
    directions: Sequence[Direction] = (),
    norms_of: Sequence[str] = (),
    progress=iter,
) -> tuple[np.ndarray, np.ndarray]:
    """Inner products of every row's gradient of its logit with K directions, and its squared norm.

    Args:
        ranker: Any whose weights are in linear layers, embeddings and norms, adapters of peft among them.
        rows: (n,) rows.
        directions: K of them; more of them cost a product a layer each, and no pass.
        norms_of: Names of the weights whose gradient's norm is asked for.
        progress: Wraps the batches.

    Returns:
        (n, K) and (n,) float64.

    Raises:
        Unsupported: A weight is in no known kind of layer.
    """
    names, measured = set().union(*directions, norms_of), set(norms_of)
    layers = layers_of(ranker.network, sorted(names))
    dots, norms = np.zeros((len(rows), len(directions))), np.zeros(len(rows))
    for index, tape in traced(ranker, rows, layers, progress=progress):
        calls: dict[int, list] = {}
        for layer, a, b in tape.seen:
            for k, direction in enumerate(directions):
                dots[index, k] += _dot(layer, a, b, direction).double().cpu().numpy()
            calls.setdefault(id(layer), []).append((layer, a, b))
        if measured:
            for group in calls.values():
                norms[index] += _squared_norm(group, measured).double().cpu().numpy()
    return dots, norms


def _dot(layer: Layer, a: Tensor, b: Tensor, direction: Direction) -> Tensor:
    total = torch.zeros(len(b), device=b.device)
    if layer.weight in direction:
        v = direction[layer.weight]
        if layer.kind == "embedding":
            product = F.embedding(a, v) * _unpadded(layer, a, b)
        elif layer.kind in ("norm", "rms"):
            product = a * v * b
        else:
            product = (a @ (v if layer.kind == "conv1d" else v.T)) * b
        total = total + product.flatten(1).sum(1)
    if layer.bias in direction:
        total = total + (b * direction[layer.bias]).flatten(1).sum(1)
    return total


def _squared_norm(calls: list[tuple[Layer, Tensor, Tensor]], names: set[str]) -> Tensor:
    """Of one layer, whose calls (a bi-encoder's two towers) add up to one gradient."""
    layer = calls[0][0]
    rows = len(calls[0][2])
    b = torch.cat([b.reshape(rows, -1, b.shape[-1]) for _, _, b in calls], 1)
    total = torch.zeros(rows, device=b.device)
    if layer.weight in names:
        if layer.kind in ("norm", "rms"):
            a = torch.cat([a.reshape(rows, -1, a.shape[-1]) for _, a, _ in calls], 1)
            total = total + (a * b).sum(1).pow(2).sum(1)
        else:
            if layer.kind == "embedding":
                ids = torch.cat([a.reshape(rows, -1) for _, a, _ in calls], 1)
                same = torch.eq(ids.unsqueeze(1), ids.unsqueeze(2)).to(b.dtype)
                outputs = _unpadded(layer, ids, b)
            else:
                a = torch.cat([a.reshape(rows, -1, a.shape[-1]) for _, a, _ in calls], 1)
                same, outputs = a @ a.transpose(1, 2), b
            total = total + (same * (outputs @ outputs.transpose(1, 2))).sum((1, 2))
    if layer.bias in names:
        total = total + b.sum(1).pow(2).sum(1)
    return total


def _unpadded(layer: Layer, ids: Tensor, b: Tensor) -> Tensor:
    # The vector of the padding token is never trained.
    padding = layer.module.padding_idx
    return b if padding is None else b * torch.ne(ids, padding).unsqueeze(-1)
