"""The protocol of what computes a batch, and the one place that opens it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
from assay.components.core.errors import BadInput

KINDS = ("cross", "bi", "encoder")
"""What a part is: a cross-encoder gives a logit, the other two a pooled vector a text."""

BACKENDS = ("torch-fp32", "torch-bf16", "onnx-fp32", "onnx-int8")


class Network(Protocol):
    """Computes batches; one thread at a time.

    Attributes:
        backend: Which one it is.
        width: Columns of the output: 1 for a cross-encoder's logit, d for vectors.
    """

    backend: str
    width: int

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Logits or vectors of a batch as `Tokenizer.pad` gives it.

        A `bi` network's vectors are as pooled, for `ScaledCosine`; an `encoder` network's have length 1.

        Args:
            inputs: By name, each (b, t) int64.

        Returns:
            (b, width) float32.
        """
        ...

    def close(self) -> None:
        """Let the memory go; the network is not called again."""
        ...


def open_network(
    part: str | Path, kind: str, backend: str, file: str | Path | None = None, sha256: str = ""
) -> Network:
    """Open a part of a bundle.

    Args:
        part: Folder that `Ranker.save` or `TextEncoder.save` wrote.
        kind: One of `KINDS`.
        backend: One of `BACKENDS`.
        file: The ONNX file that was derived from the part; for the ONNX backends.
        sha256: That the file must have; "" if it was made just now.

    Raises:
        BadInput: There is no such kind or backend, this machine cannot run it, or the file is another.
    """
    if kind not in KINDS:
        raise BadInput(f"kind {kind!r}: choose {', '.join(KINDS)}")
    if backend not in BACKENDS:
        raise BadInput(f"backend {backend!r}: choose {', '.join(BACKENDS)}")
    if backend.startswith("torch-"):
        from assay.serving.engine.backends.torch_network import TorchNetwork

        return TorchNetwork(part, kind, backend)
    from assay.serving.engine.backends.onnx_network import OnnxNetwork

    if file is None:
        raise BadInput(f"backend {backend}: needs the ONNX file of {part}")
    return OnnxNetwork(file, backend, sha256)
