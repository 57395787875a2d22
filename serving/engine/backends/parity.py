"""The gate: a backend that ranks otherwise than torch in float32 does not serve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from assay.serving.versions.canary_set import CanarySet

METRIC_CHANGE = 0.005
"""By how much the primary metric may change, either way: what ranks better by more is another model too."""
APART = {"onnx-fp32": 1e-3}
"""{backend: by how much a logit may differ}, of backends that compute in float32."""
VECTORS_APART = 1e-4
"""By how much a number of an encoder's vector may differ."""
ALONE_APART = 1e-5
"""By how much a row's score may depend on its batch; bfloat16 on CUDA is not held to it."""
_NOT_FINITE = "gives numbers that are not finite"

TEXTS = (
    ("red shoe", "Running shoe for women, red, size 39"),
    ("usb c cable 2m", "USB-C to USB-C cable, braided, 2 m, 100 W"),
    ("kettle", "Electric kettle of brushed steel, 1.7 litres, with temperature control and a scale filter"),
    ("Geschenk für Oma", "Strickset «Winter», 4 Knäuel, 50 % Schurwolle"),
    ("儿童 雨衣", "儿童雨衣 防水 透明 男女童 小学生 书包位"),
    ("", "Lamp"),
    ("tv", "4K"),
    ("camping " * 30, "Tent for four, 3000 mm, " * 20),
)
"""(context, item) rows where a version brings none of its own: short, long, cut, other scripts, empty."""


@dataclass(frozen=True)
class Parity:
    """What a backend's scores are against those of torch in float32.

    Attributes:
        backend: It.
        refused: Why it must not serve; "" where it may.
        rows: Compared.
        apart: Largest difference of a logit, or of a number of a vector.
        alone: Largest difference of a row's in a batch and alone.
        metric: What was measured; "" without a canary set.
        value: The backend's; 0 without.
        reference: That of torch in float32; 0 without.
    """

    backend: str
    refused: str
    rows: int = 0
    apart: float = 0.0
    alone: float = 0.0
    metric: str = ""
    value: float = 0.0
    reference: float = 0.0


def judge(
    backend: str, found: np.ndarray, reference: np.ndarray, alone: np.ndarray, canary: CanarySet | None
) -> Parity:
    """Compare scores of a backend with those of torch in float32.

    Args:
        backend: It.
        found: (n,) its scores of rows.
        reference: (n,) those of torch of the same rows.
        alone: (m,), m <= n, its scores of the first rows, each computed alone.
        canary: Where the rows are those of one, and something can be measured on it.
    """
    if not (np.isfinite(found).all() and np.isfinite(alone).all()):
        return Parity(backend, _NOT_FINITE, len(found))
    apart, by_batch = _apart(found, reference), _apart(alone, found[: len(alone)])
    metric, value, expected = "", 0.0, 0.0
    if canary is not None:
        metric = canary.metric
        value, expected = (canary.lists.value(s.astype(np.float64), metric) for s in (found, reference))
    refused = ""
    if apart > APART.get(backend, np.inf):
        refused = f"a logit is {apart:.2g} off, {APART[backend]:g} is allowed"
    elif abs(value - expected) > METRIC_CHANGE:
        refused = f"{metric} is {value:.4f}, by torch {expected:.4f}: {METRIC_CHANGE:g} is allowed"
    elif by_batch > ALONE_APART and backend != "torch-bf16":
        refused = f"a score depends on its batch by {by_batch:.2g}, {ALONE_APART:g} is allowed"
    elif backend == "onnx-int8" and canary is None:
        refused = "the version has no canary set on which to measure what 8 bits change"
    return Parity(backend, refused, len(found), apart, by_batch, metric, value, expected)


def judge_vectors(backend: str, found: np.ndarray, reference: np.ndarray, alone: np.ndarray) -> Parity:
    """Compare an encoder's vectors with those of torch in float32: (n, d), (n, d), (m, d)."""
    if not (np.isfinite(found).all() and np.isfinite(alone).all()):
        return Parity(backend, _NOT_FINITE, len(found))
    apart, by_batch = _apart(found, reference), _apart(alone, found[: len(alone)])
    refused = ""
    if apart > VECTORS_APART:
        refused = f"a number of a vector is {apart:.2g} off, {VECTORS_APART:g} is allowed"
    elif by_batch > ALONE_APART:
        refused = f"a vector depends on its batch by {by_batch:.2g}, {ALONE_APART:g} is allowed"
    return Parity(backend, refused, len(found), apart, by_batch)


def _apart(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.abs(first - second).max()) if len(first) else 0.0
