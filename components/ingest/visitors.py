"""Which rows of a log must be looked at together: those that a user, a session or a search links."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import polars as pl
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

_LINKS = ("user_id", "session_id", "query_id")
_OWN = ("review_id", "impression_id", "event_id", "query")
"""What tells rows apart that name none of them."""


def parts_of(chunks: Callable[[], Iterator[pl.DataFrame]], parts: int) -> Iterator[np.ndarray]:
    """A part for each row: no user, session or search has rows in two.

    Where an id stands for everybody (a session named "none"), all of its rows are one part.

    Args:
        chunks: Gives the rows of a log, any columns of `SCHEMAS`, the same each time.
        parts: How many.

    Returns:
        For each chunk (n,) uint16.
    """
    pairs = [_pairs(_hashes(chunk)) for chunk in chunks()]
    edges = np.unique(np.concatenate([*pairs, np.zeros((0, 2), dtype=np.uint64)]), axis=0)
    nodes = np.unique(edges)
    if not len(nodes):
        for chunk in chunks():
            yield _own(chunk, parts)
        return
    ends = np.searchsorted(nodes, edges)
    graph = coo_array((np.ones(len(ends), dtype=np.int8), (ends[:, 0], ends[:, 1])), (len(nodes),) * 2)
    _, linked = connected_components(graph, directed=False)
    # The smallest hash of those that are linked names them, whatever the order of the log.
    first = np.unique(linked, return_index=True)[1]
    part = (nodes[first] % np.uint64(parts)).astype(np.uint16)[linked]
    for chunk in chunks():
        hashes = _hashes(chunk)
        named = np.where(
            hashes[:, 0] > 0, hashes[:, 0], np.where(hashes[:, 1] > 0, hashes[:, 1], hashes[:, 2])
        )
        place = np.minimum(np.searchsorted(nodes, named), len(nodes) - 1)
        yield np.where(named > 0, part[place], _own(chunk, parts))


def _hashes(chunk: pl.DataFrame) -> np.ndarray:
    """(n, 3) uint64: of user, session and search; 0 where a row names none."""
    columns = [
        chunk[name].hash(seed=seed).fill_null(0).zip_with(
            chunk[name].is_not_null() & (chunk[name].str.strip_chars() != ""),
            pl.Series([0], dtype=pl.UInt64).new_from_index(0, len(chunk)),
        )
        if name in chunk.columns
        else pl.zeros(len(chunk), dtype=pl.UInt64, eager=True)
        for seed, name in enumerate(_LINKS, start=1)
    ]  # fmt: skip
    return np.column_stack([column.to_numpy() for column in columns])


def _pairs(hashes: np.ndarray) -> np.ndarray:
    """(m, 2) of what rows link; who is named alone is linked to himself."""
    found = [
        hashes[(hashes[:, one] > 0) & (hashes[:, other] > 0)][:, [one, other]]
        for one, other in ((0, 1), (0, 2), (1, 2), (0, 0), (1, 1), (2, 2))
    ]
    return np.unique(np.concatenate(found), axis=0)


def _own(chunk: pl.DataFrame, parts: int) -> np.ndarray:
    key = pl.coalesce(
        *(pl.col(name) for name in _OWN if name in chunk.columns), pl.format("{}:{}", "source", "row")
    )
    hashes = chunk.select(key.hash(seed=4)).to_series().to_numpy()
    return (hashes % np.uint64(parts)).astype(np.uint16)
