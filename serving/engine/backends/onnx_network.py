"""Networks on ONNX Runtime's processor kernels."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from assay.components.core.errors import BadInput

_SLOW = ["SkipLayerNormFusion"]
"""Optimisations left out: the fused kernel took 8 times as long as what it replaces (1.32, AVX-512)."""
_SESSIONS = ThreadPoolExecutor(1, "assay-sessions")
"""Sessions are made here: their threads inherit its priority, which is that of the first version's start, and
not that of who opens a later one behind the requests."""


def threads() -> int:
    """Threads of a forward pass: `OMP_NUM_THREADS` as for torch, else the processors that are ours."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isascii() and asked.isdigit() and int(asked):
        return int(asked)
    mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(mine, _quota()))


def _quota() -> int:
    """Processors that the container's limit grants, rounded up: of a large node it may use two."""
    try:
        granted, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, -(-int(granted) // int(period)))
    except (OSError, ValueError):
        return 1 << 16


class OnnxNetwork:
    """A file that `export` or `quantise` wrote.

    Args:
        file: It.
        backend: `onnx-fp32` or `onnx-int8`.
        sha256: That the file must have; "" if it was made just now.

    Raises:
        BadInput: The file is missing or another, or ONNX Runtime cannot open it.
    """

    def __init__(self, file: str | Path, backend: str = "onnx-fp32", sha256: str = ""):
        import onnxruntime

        self.backend = backend
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads()
        options.inter_op_num_threads = 1
        # Threads that spin while they wait take the processor from those that parse and tokenise.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # A plan of memory for each shape seen would grow with the shapes, of which there are hundreds.
        options.enable_mem_pattern = False
        options.log_severity_level = 3
        try:
            # Read once: what is hashed is what is opened.
            content = Path(file).read_bytes()
            if sha256 and (found := hashlib.sha256(content).hexdigest()) != sha256:
                raise BadInput(f"{file} has sha256 {found}, {sha256} was derived: refused; prepare it again")
            self._session: Any = _SESSIONS.submit(
                onnxruntime.InferenceSession,
                content,
                options,
                providers=["CPUExecutionProvider"],
                disabled_optimizers=_SLOW,
            ).result()
        except BadInput:
            raise
        except Exception as error:  # ONNX Runtime's errors have no common class.
            raise BadInput(f"{file} cannot be opened: {error}") from error
        self._names = [given.name for given in self._session.get_inputs()]
        self.width = int(self._session.get_outputs()[0].shape[1])

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Logits or vectors of a batch: {name: (b, t) int64} -> (b, width) float32."""
        return self._session.run(None, {name: inputs[name] for name in self._names})[0]

    def close(self) -> None:
        """Let the weights go."""
        self._session = None
