"""Rows that lie near one another: compared within cells of a k-means and the cells beside.

n rows in cells of about `SIZE`, each compared with those of its `PROBES` nearest cells: n * SIZE * PROBES
cosines in place of n^2, as matrix products.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import Tensor

SIZE, PROBES = 400, 8
PER_CENTROID, ROUNDS = 64, 8
"""Rows a centroid that the k-means is fitted on, and its rounds."""
ROWS = 8192
"""Rows that are assigned at a time."""


def within_cells(vectors: np.ndarray, seed: int, probes: int = PROBES) -> Iterator[tuple[Tensor, ...]]:
    """Cosines of rows with the rows of the cells that are nearest to them.

    Args:
        vectors: (n, d) float32, unit length.
        seed: Of the k-means.
        probes: Cells a row is compared with, its own among them.

    Yields:
        For each cell: (v,) int64 numbers of the rows that look into it, (m,) int64 numbers of the rows that
        are in it, and (v, m) float32 cosines. Every row looks into `probes` cells, and is in one.
    """
    on = "cuda" if torch.cuda.is_available() else "cpu"
    every = torch.from_numpy(np.ascontiguousarray(vectors, dtype=np.float32)).to(on)
    near = _nearest_cells(vectors, every, seed, probes)
    own, looking = _by_cell(near[:, :1]), _by_cell(near)
    for cell, members in own.items():
        visitors = looking[cell]
        yield visitors, members, every[visitors] @ every[members].T


def neighbours(vectors: np.ndarray, k: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The k rows most like each row, itself among them.

    Args:
        vectors: (n, d) float32, unit length.
        k: At most n.
        seed: Of the k-means.

    Returns:
        (n, k) int64 and (n, k) float32: numbers and cosines, the most alike first; -1 and 0 where the cells
        that were looked into held fewer.
    """
    n = len(vectors)
    best, found = torch.zeros(n, k), torch.full((n, k), -1, dtype=torch.int64)
    for visitors, members, cosines in within_cells(vectors, seed):
        top = torch.topk(cosines, min(k, len(members)), dim=1)
        values = torch.cat([best[visitors], top.values.cpu()], 1)
        numbers = torch.cat([found[visitors], members[top.indices].cpu()], 1)
        kept = torch.topk(values, k, dim=1)
        best[visitors], found[visitors] = kept.values, numbers.gather(1, kept.indices)
    return found.numpy(), best.numpy()


def pairs_above(vectors: np.ndarray, threshold: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of rows whose cosine reaches a threshold; of some tens of thousands of rows or more, nearly all.

    Args:
        vectors: (n, d) float32, unit length.
        threshold: In (0, 1].
        seed: Of the k-means.

    Returns:
        (p, 2) int64, the smaller number first, sorted and distinct, and (p,) float32.
    """
    first, second, cosine = [], [], []
    for visitors, members, cosines in within_cells(vectors, seed):
        row, column = torch.nonzero(cosines >= threshold, as_tuple=True)
        first.append(visitors[row.cpu()].numpy())
        second.append(members[column.cpu()].numpy())
        cosine.append(cosines[row, column].cpu().numpy())
    pairs = np.column_stack([np.concatenate(first), np.concatenate(second)])
    # Both rows of a pair may have looked at one another.
    pairs, at = np.unique(np.sort(pairs, axis=1), axis=0, return_index=True)
    apart = pairs[:, 0] != pairs[:, 1]
    return pairs[apart], np.concatenate(cosine)[at][apart]


def _nearest_cells(vectors: np.ndarray, every: Tensor, seed: int, probes: int) -> np.ndarray:
    cells = max(1, len(vectors) // SIZE)
    if cells <= probes:
        # Few rows: one cell, and every pair is looked at.
        return np.zeros((len(vectors), 1), dtype=np.int64)
    rng = np.random.default_rng(seed)
    some = np.sort(rng.permutation(len(vectors))[: cells * PER_CENTROID])
    kmeans = KMeans(cells, init="random", n_init=1, max_iter=ROUNDS, tol=0, random_state=seed)
    centroids = kmeans.fit(vectors[some]).cluster_centers_.astype(np.float32)
    centroids /= np.maximum(np.linalg.norm(centroids, axis=1, keepdims=True), 1e-12)
    centres = torch.from_numpy(centroids).to(every.device).T
    return np.concatenate(
        [torch.topk(part @ centres, probes, dim=1).indices.cpu().numpy() for part in every.split(ROWS)]
    )


def _by_cell(near: np.ndarray) -> dict[int, Tensor]:
    """{cell: numbers of the rows that name it, ascending}."""
    cell, row = near.ravel(), np.repeat(np.arange(len(near)), near.shape[1])
    order = np.argsort(cell, kind="stable")
    names, starts = np.unique(cell[order], return_index=True)
    groups = np.split(row[order], starts[1:])
    return {int(name): torch.from_numpy(group) for name, group in zip(names, groups, strict=True)}
