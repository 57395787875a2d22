"""Which rows of a log must be looked at together: those that a user, a session or a search links."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import polars as pl

_LINKS = ("user_id", "session_id", "query_id")
_OWN = ("review_id", "impression_id", "event_id", "query")
"""What tells a row apart, and may be there twice; the first that it has."""
_NOBODY = np.uint64(0)


def parts_of(chunks: Callable[[], Iterator[pl.DataFrame]], parts: int) -> Iterator[np.ndarray]:
    """A part for each row: no user, session or search has rows in two, nor has an id that comes twice.

    Where an id stands for everybody (a session named "none"), all of its rows are one part.

    Args:
        chunks: Gives the rows of a log, any columns of `SCHEMAS`, the same each time.
        parts: How many.

    Returns:
        For each chunk (n,) uint16.
    """
    linked = [np.zeros((0, 2), dtype=np.uint64)]
    owned, named = [np.zeros(0, dtype=np.uint64)], [np.zeros(0, dtype=np.uint64)]
    for chunk in chunks():
        links, own = _hashes(chunk)
        for one, other in ((0, 1), (0, 2), (1, 2)):
            both = links[(links[:, one] > 0) & (links[:, other] > 0)]
            linked.append(np.unique(both[:, [one, other]], axis=0))
        owned.append(own)
        named.append(_first(links, own))
    # Of ids of rows only those matter that come twice: all others would be a node a row.
    own = np.concatenate(owned)
    twice = _again(own)
    several = np.isin(own, twice)
    edges = np.concatenate([*linked, np.column_stack([own[several], np.concatenate(named)[several]])])
    nodes = np.unique(edges)
    part_of = _parts(np.searchsorted(nodes, edges), nodes, parts)
    for chunk in chunks():
        first = _first(*_hashes(chunk))
        place = np.minimum(np.searchsorted(nodes, first), max(len(nodes) - 1, 0))
        known = nodes[place] == first if len(nodes) else np.zeros(len(first), dtype=bool)
        part = (first % np.uint64(parts)).astype(np.uint16)
        part[known] = part_of[place[known]]
        yield part


def _again(values: np.ndarray) -> np.ndarray:
    """Those that are there twice, each once."""
    in_order = np.sort(values)
    return np.unique(in_order[1:][in_order[1:] == in_order[:-1]])


def _parts(edges: np.ndarray, nodes: np.ndarray, parts: int) -> np.ndarray:
    """(nodes,) part of each: the smallest hash of what is linked says it, whatever the order of the log."""
    # Connected components: labels fall to the least of those linked, and to the label of their label.
    label, before = np.arange(len(nodes)), np.zeros(0, dtype=np.int64)
    while not np.array_equal(label, before):
        before = label.copy()
        least = np.minimum(label[edges[:, 0]], label[edges[:, 1]])
        for side in (0, 1):
            np.minimum.at(label, label[edges[:, side]], least)
            np.minimum.at(label, edges[:, side], least)
        label = label[label]
    return (nodes[label] % np.uint64(parts)).astype(np.uint16)


def _hashes(chunk: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """(n, 3) of user, session and search, and (n,) of the row's own id, all uint64; 0 where it names none."""

    def bare(name: str) -> pl.Expr:
        return pl.col(name).str.strip_chars().replace("", None)

    links = [
        pl.when(bare(name).is_not_null()).then(bare(name).hash(seed=seed)).otherwise(pl.lit(_NOBODY))
        if name in chunk.columns
        else pl.lit(_NOBODY)
        for seed, name in enumerate(_LINKS, start=1)
    ]
    own = pl.coalesce(
        *(bare(name) for name in _OWN if name in chunk.columns), pl.format("{}:{}", "source", "row")
    )
    found = chunk.select(
        *(link.alias(name) for link, name in zip(links, _LINKS, strict=True)), own=own.hash(seed=4)
    )
    return found.select(_LINKS).to_numpy(), found["own"].to_numpy()


def _first(links: np.ndarray, own: np.ndarray) -> np.ndarray:
    """(n,) the first that a row names of user, session and search, else its own id."""
    first = links[np.arange(len(links)), (links > 0).argmax(axis=1)]
    return np.where(first > 0, first, own)
