"""Which rows lie near which: each is compared with the rows of a few cells and not with all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array

PROBES = 8
"""Cells that a row looks into: with fewer, pairs near a border are missed."""
ALL_PAIRS = 4096
"""Up to so many rows, all are compared with all."""
_SAMPLED, _ROUNDS = 32, 5
"""Rows a cell that its centre is fitted on, and how often."""
_AT_ONCE = 1 << 22
"""Similarities held in memory together."""


def similarities(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Cosines of unit vectors, on the GPU where there is one. (n, d), (m, d) -> (n, m) float32."""
    # Importing torch takes seconds: only where there is a device.
    if Path("/dev/nvidiactl").exists():
        import torch

        if torch.cuda.is_available():
            on_device = torch.from_numpy(left).cuda() @ torch.from_numpy(right).cuda().T
            return on_device.cpu().numpy()
    return left @ right.T


def near_blocks(vectors: np.ndarray, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Similarities of rows that may lie near each other, block by block.

    Rows are cut into about 2 sqrt(n) cells by spherical k-means on a sample of them (Dhillon & Modha 2001,
    "Concept Decompositions for Large Sparse Text Data"); each row is compared with all rows of the `PROBES`
    cells whose centres are nearest to it. A cell and all who look into it are one matrix product, which is
    why this takes about n sqrt(n) d operations at the full speed of the processor.

    Args:
        vectors: (n, d) float32, unit length. Same vectors, same order: same blocks.
        seed: Of the cells.

    Yields:
        (q,) rows, (m,) other rows, (q, m) float32 cosines of the ones to the others. Each row meets itself,
        and no other row more than once among those it looks at; of a pair, either or both look.
    """
    n = len(vectors)
    if n <= ALL_PAIRS:
        home, near = np.zeros(n, dtype=np.int64), np.zeros((n, 1), dtype=np.int64)
    else:
        centres = _centres(vectors, round(2 * np.sqrt(n)), seed)
        near = _nearest(vectors, centres, PROBES)
        home = near[:, 0]
    members, visitors = _by_cell(home[:, None]), _by_cell(near)
    for cell, inside in members.items():
        there, looking = vectors[inside], visitors[cell]
        step = max(1, _AT_ONCE // len(inside))
        for start in range(0, len(looking), step):
            rows = looking[start : start + step]
            yield rows, inside, similarities(vectors[rows], there)


def _centres(vectors: np.ndarray, cells: int, seed: int) -> np.ndarray:
    """Unit vectors in the middle of cells. (cells, d) float32."""
    rng = np.random.default_rng(seed)
    some = vectors[np.sort(rng.choice(len(vectors), min(len(vectors), _SAMPLED * cells), replace=False))]
    centres = some[rng.choice(len(some), cells, replace=False)]
    for _ in range(_ROUNDS):
        home = _nearest(some, centres, 1)[:, 0]
        member = csr_array((np.ones(len(some), np.float32), (home, np.arange(len(some)))), (cells, len(some)))
        total = member @ some
        length = np.linalg.norm(total, axis=1, keepdims=True)
        # A cell that nobody is in stays where it was.
        centres = np.where(length > 1e-6, total / np.maximum(length, 1e-6), centres)
    return centres


def _nearest(vectors: np.ndarray, centres: np.ndarray, count: int) -> np.ndarray:
    """Numbers of the nearest centres, the very nearest first, the others in no order. (n, count) int64."""
    found = np.empty((len(vectors), count), dtype=np.int64)
    step = max(1, _AT_ONCE // len(centres))
    for start in range(0, len(vectors), step):
        alike = similarities(vectors[start : start + step], centres)
        if count > 1:
            some = np.argpartition(alike, -count, axis=1)[:, -count:]
            first = np.take_along_axis(alike, some, 1).argmax(1)
            each = np.arange(len(some))
            some[each, 0], some[each, first] = some[each, first], some[each, 0]
            found[start : start + step] = some
        else:
            found[start : start + step, 0] = alike.argmax(1)
    return found


def _by_cell(cells: np.ndarray) -> dict[int, np.ndarray]:
    """{cell: rows that name it, ascending} of an (n, any) table of cells."""
    order = np.argsort(cells.ravel(), kind="stable")
    names, starts = np.unique(cells.ravel()[order], return_index=True)
    rows = order // cells.shape[1]
    return dict(zip(names.tolist(), np.split(rows, starts[1:]), strict=True))
