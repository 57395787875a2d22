"""The head of a bi-encoder: what makes a logit of two vectors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from assay.components.core.errors import BadInput

FILE = "scaled_cosine.safetensors"
_SMALLEST = 1e-8  # Of a length, as torch's cosine has it.


@dataclass(frozen=True)
class ScaledCosine:
    """logit = scale * cosine + shift, as `BiEncoder` computes it, without torch.

    Attributes:
        scale: Above 0 in any ranker that learnt.
        shift: Logit of two vectors at right angles.
    """

    scale: float
    shift: float

    @classmethod
    def open(cls, part: str | Path) -> ScaledCosine:
        """Read the head of a ranker.

        Args:
            part: Folder that `BiEncoder.save` wrote.

        Raises:
            BadInput: It has no such head.
        """
        from safetensors.numpy import load_file

        try:
            head = load_file(Path(part) / FILE)
            return cls(float(head["weight"].item()), float(head["bias"].item()))
        except Exception as error:  # The library raises bare exceptions.
            raise BadInput(f"{Path(part) / FILE} cannot be read: {error!r}") from error

    def __call__(self, contexts: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Logits of pairs of vectors, (n, d) and (n, d) -> (n,) float32, each independent of the others."""
        left, right = contexts.astype(np.float64), items.astype(np.float64)
        lengths = [np.maximum(np.sqrt((side * side).sum(1)), _SMALLEST) for side in (left, right)]
        cosine = (left * right).sum(1) / (lengths[0] * lengths[1])
        return (self.scale * cosine + self.shift).astype(np.float32)
