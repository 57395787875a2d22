"""What rows are chosen from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Pool:
    """Rows of one stratum.

    Attributes:
        ids: (n,) sample ids, which break ties.
        importance: (n,) float64 in [0, 1].
        vectors: (n, d) float32, unit length, or None.
    """

    ids: np.ndarray
    importance: np.ndarray
    vectors: np.ndarray | None = None
