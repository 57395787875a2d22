"""What this room asks of an open version."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from assay.serving.versions.bundle import Bundle


class Opened(Protocol):
    """An open version: `assay.serving.engine.served.ServedModel` is one.

    Attributes:
        name: Registered model.
        version: Number of the version, as text.
        sha256: Of each part.
        backend: `torch-fp32`, `torch-bf16`, `onnx-fp32` or `onnx-int8`.
        rows: Rows that requests had it compute.
        failed_rows: Those of them that failed alone.
        tokens: Tokens of the rows computed.
        model_seconds: That they took.
    """

    name: str
    version: str
    backend: str
    sha256: dict[str, str]

    @property
    def rows(self) -> int: ...  # noqa: D102 - the protocol's attributes are described above

    @property
    def failed_rows(self) -> int: ...  # noqa: D102

    @property
    def tokens(self) -> int: ...  # noqa: D102

    @property
    def model_seconds(self) -> float: ...  # noqa: D102

    def score(self, rows: Sequence[tuple[str, str]]) -> np.ndarray:
        """Logits of (context, item) rows, beside the queue. Returns (n,) float32."""
        ...

    def close(self) -> None:
        """Let the memory go."""
        ...


OpenVersion = Callable[[Bundle], Opened]
"""Opens a checked bundle, warm."""


def full_precision(backend: str) -> bool:
    """Whether a backend's scores are those that were registered, but for rounding."""
    return backend.endswith("-fp32")
