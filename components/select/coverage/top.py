"""The most important rows."""

from __future__ import annotations

import numpy as np
from assay.components.select.coverage.pool import Pool


def top(pool: Pool, count: int, seed: int) -> np.ndarray:
    """Rows of the highest importance, ties by `sample_id`. (count,) int64, the best first."""
    return np.argsort(-pool.importance, kind="stable")[:count]
