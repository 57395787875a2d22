"""ONNX from safetensors: a part of a bundle becomes one file."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from pathlib import Path
from typing import Any

import torch
from assay.components.core.errors import BadInput
from assay.components.core.ranker import TextEncoder, open_ranker
from assay.components.core.ranker.encoder import mean_pool
from assay.serving.engine.backends.packed import PackedLogit, PackedMean, can_pack
from assay.serving.engine.tokens import Tokenizer
from torch import Tensor, nn

OPSET = 21
"""From 19 on, what rows are quantised with has a scale a row; 21 is what onnxruntime 1.32 has kernels for."""


def export(part: str | Path, kind: str, file: str | Path) -> None:
    """Write a part as ONNX: inputs as `Tokenizer.pad` gives them, output `out`, (b, width) float32.

    torch's newer exporter is used: the one by tracing gave logits 0.01 off (torch 2.13, transformers 5.23).

    Args:
        part: Folder that `Ranker.save` or `TextEncoder.save` wrote.
        kind: `cross`, `bi` or `encoder`.
        file: Where; its folder exists.

    Raises:
        BadInput: torch cannot export this model.
    """
    tokenizer = Tokenizer(part)
    network = _network(part, kind, tokenizer.names).eval().cpu()
    # Two rows of unequal length: what is 1 in an example, or equal, is taken for a constant.
    rows = tokenizer.texts(["red shoe", "kettle of steel"])
    if kind == "cross":
        rows = tokenizer.pairs(["red shoe", "kettle of steel"], ["shoe", "lamp"])
    example = tokenizer.pad(rows)
    inputs = tuple(torch.as_tensor(example[name]) for name in tokenizer.names)
    shape = {0: torch.export.Dim("b"), 1: torch.export.Dim("t")}
    try:
        with _quiet(), torch.inference_mode(False), torch.no_grad():
            torch.onnx.export(
                network,
                inputs,
                str(file),
                input_names=list(tokenizer.names),
                output_names=["out"],
                dynamic_shapes=(tuple(shape for _ in inputs),),
                opset_version=OPSET,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    except Exception as error:  # The exporter's errors have no common class.
        cause = error.__cause__ or error
        reason = (str(cause).strip().splitlines() or [""])[0]
        raise BadInput(
            f"{part}: torch cannot export this model to ONNX ({type(cause).__name__}: {reason})"
        ) from error


def _network(part: str | Path, kind: str, names: tuple[str, ...]) -> nn.Module:
    if kind == "cross":
        model = open_ranker(part).network.model
        if can_pack(model):
            return PackedLogit(model, names)
        return _AsItIs(lambda inputs: model(**inputs).logits[:, :1], names, model)
    if kind == "bi":
        model, pool = open_ranker(part).network.encoder, mean_pool
    else:
        encoder = TextEncoder(part)
        model, pool = encoder.model, {"mean": mean_pool, "last": _last_pool}[encoder.pooling]
    if pool is mean_pool and can_pack(model):
        return PackedMean(model, names, unit=kind == "encoder")

    def pooled(inputs: dict[str, Tensor]) -> Tensor:
        found = pool(model(**inputs).last_hidden_state, inputs["attention_mask"])
        return nn.functional.normalize(found, dim=1) if kind == "encoder" else found

    return _AsItIs(pooled, names, model)


def _last_pool(hidden: Tensor, mask: Tensor) -> Tensor:
    # As the core's `last_pool`, which takes the number of rows for a constant when it is exported.
    last = mask.shape[1] - 1 - mask.flip(1).argmax(1)
    return hidden.gather(1, last[:, None, None].expand(-1, 1, hidden.shape[2]))[:, 0]


class _AsItIs(nn.Module):
    """Any other network, with inputs by position."""

    def __init__(self, compute: Any, names: tuple[str, ...], model: nn.Module):
        super().__init__()
        self._compute, self._names, self.model = compute, names, model

    def forward(self, *inputs: Tensor) -> Tensor:
        return self._compute(dict(zip(self._names, inputs, strict=True)))


@contextlib.contextmanager
def _quiet():
    """The exporter tells of its steps, and of libraries that it would also support, on stdout and by logs."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
