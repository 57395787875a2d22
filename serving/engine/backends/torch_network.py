"""Networks on torch: what the rankers were trained on, and what the other backends are measured against."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from assay.components.core.errors import BadInput
from assay.components.core.ranker import TextEncoder, open_ranker
from assay.components.core.ranker.encoder import POOLINGS
from assay.components.core.ranker.models import has_bf16
from transformers.utils.logging import disable_progress_bar


class TorchNetwork:
    """A part on CUDA if there, else on the processor.

    In bfloat16 weights stay float32 and products are taken under autocast, which moves logits by about 1e-2;
    how a batch is put together then shows in a score, so it is for those who need the speed. On CUDA the
    network is compiled as well, once for all shapes.

    Args:
        part: Folder that `Ranker.save` or `TextEncoder.save` wrote.
        kind: `cross`, `bi` or `encoder`.
        backend: `torch-fp32` or `torch-bf16`.

    Raises:
        BadInput: This machine emulates bfloat16, which is slower than float32.
    """

    def __init__(self, part: str | Path, kind: str, backend: str = "torch-fp32"):
        disable_progress_bar()
        self.backend = backend
        if backend == "torch-bf16" and not has_bf16():
            raise BadInput("backend torch-bf16: this machine has no bfloat16; choose torch-fp32")
        if kind == "encoder":
            encoder = TextEncoder(part)
            model, pool = encoder.model, POOLINGS[encoder.pooling]

            def compute(inputs: dict[str, torch.Tensor]) -> torch.Tensor:
                pooled = pool(model(**inputs).last_hidden_state, inputs["attention_mask"])
                return torch.nn.functional.normalize(pooled, dim=1)

            self.width = encoder.width
        else:
            network = open_ranker(part).network
            model = network.model if kind == "cross" else network.encoder
            self.width = 1 if kind == "cross" else int(model.config.hidden_size)
            compute = (lambda inputs: network(inputs)[:, None]) if kind == "cross" else network.pooled
        self._device = next(model.parameters()).device
        self._compute: Any = compute
        if self._device.type == "cuda":
            self._compute = torch.compile(compute, dynamic=True)

    @torch.inference_mode()
    def __call__(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Logits or vectors of a batch: {name: (b, t) int64} -> (b, width) float32."""
        tensors = {name: torch.as_tensor(array).to(self._device) for name, array in inputs.items()}
        faster = self.backend == "torch-bf16"
        with torch.autocast(self._device.type, torch.bfloat16) if faster else contextlib.nullcontext():
            found = self._compute(tensors)
        return found.float().cpu().numpy()

    def close(self) -> None:
        """Let the weights go."""
        self._compute = None
