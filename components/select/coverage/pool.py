"""What rows are chosen from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from assay.components.core.errors import BadInput


@dataclass(frozen=True)
class Pool:
    """Rows to choose from.

    Attributes:
        sample_ids: (n,) distinct.
        importance: (n,) float64 in [0, 1].
        vectors: (n, d) float32, unit length; None where no method needs them.

    Raises:
        BadInput: Lengths differ, ids repeat, importance is not in [0, 1], or vectors are not of unit length.
    """

    sample_ids: Sequence[str]
    importance: np.ndarray
    vectors: np.ndarray | None = None

    def __post_init__(self):
        importance = np.asarray(self.importance, dtype=np.float64)
        object.__setattr__(self, "importance", importance)
        n = len(self.sample_ids)
        if importance.shape != (n,):
            raise BadInput(f"pool: importance of shape {importance.shape} for {n} rows: one number a row")
        if len(set(self.sample_ids)) < n:
            raise BadInput("pool: a sample_id occurs twice: choose from distinct rows")
        if not ((importance >= 0) & (importance <= 1)).all():
            raise BadInput(
                "pool: importance is not in [0, 1] everywhere: score the rows, or rank their scores"
            )
        if self.vectors is None:
            return
        vectors = np.asarray(self.vectors, dtype=np.float32)
        object.__setattr__(self, "vectors", vectors)
        if vectors.ndim != 2 or len(vectors) != n:
            raise BadInput(f"pool: vectors of shape {vectors.shape} for {n} rows: one vector a row")
        length = np.einsum("ij,ij->i", vectors, vectors)
        if not (np.abs(length - 1) < 1e-2).all():
            raise BadInput("pool: some vectors are not of unit length: divide each by its norm")

    def __len__(self) -> int:
        return len(self.sample_ids)

    def by_id(self) -> tuple[Pool, np.ndarray]:
        """The pool in `sample_id` order, and where its rows were, (n,) int64; itself if it is in order."""
        ids = list(self.sample_ids)
        order = np.array(sorted(range(len(ids)), key=ids.__getitem__), dtype=np.int64)
        if (np.diff(order) == 1).all():
            return self, order
        vectors = self.vectors[order] if self.vectors is not None else None
        return Pool([ids[i] for i in order.tolist()], self.importance[order], vectors), order
