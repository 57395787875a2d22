"""Near-duplicates: rows that say nearly the same, which one stands for the others, where labels differ."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pandas as pd
from assay.components.core.errors import BadInput
from assay.components.select.cells import near_blocks
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

THRESHOLD = 0.95
"""Cosine from which two rows are near-duplicates."""
_ROUNDING = 1e-6
"""A row's cosine to itself is 1 up to this much, in float32."""
_EDGES = 1 << 23
"""Pairs held in memory; beyond, they are boiled down to which rows they join."""
_AT_ONCE = 1024
"""Rows of one component that are compared with one another together."""


def near_duplicates(
    ids: Sequence[str],
    vectors: np.ndarray | None,
    texts: Sequence[tuple[str, str]] | None,
    threshold: float = THRESHOLD,
    seed: int = 0,
    across_contexts: bool = True,
) -> np.ndarray:
    """The component of each row: rows that near-duplicates join, directly or by way of others.

    Two rows are near-duplicates if context and item are equal but for case, white space and the forms of
    Unicode (NFKC), or if the cosine of their vectors reaches the threshold: Abbas et al. 2023,
    "SemDeDup: Data-efficient learning at web-scale through semantic deduplication". As there, rows are
    compared within clusters; `near_blocks` says with which.

    Components are closed under chains: a ~ b and b ~ c join a and c, however far apart they are. So being in
    one component is no reason to drop a row: `representative_of` collapses it only onto a row that it is
    itself a near-duplicate of.

    Args:
        ids: (n,) sample ids.
        vectors: (n, d) float32, unit length; None: equal texts only.
        texts: (n,) context and item of each row; None: vectors only.
        threshold: Least cosine of near-duplicates, in (0, 1].
        seed: Of the cells; recall is below 1, so another seed may find a few other pairs.
        across_contexts: Whether rows of different contexts may be near-duplicates.

    Returns:
        (n,) int64: the place in `sample_id` order of the component's smallest id. The order of rows does not
        matter.

    Raises:
        BadInput: The threshold is outside (0, 1], contexts shall count but no texts are given, or lengths
            differ.
    """
    _check(ids, vectors, texts, threshold)
    if not across_contexts and texts is None:
        raise BadInput("near-duplicates within contexts: texts are missing: hand over context and item")
    order = np.argsort(np.asarray(ids, dtype=object), kind="stable")
    n = len(order)
    texts = [texts[i] for i in order.tolist()] if texts is not None else None
    contexts = np.zeros(n, dtype=np.int64)
    if texts is not None and not across_contexts:
        contexts = pd.factorize(np.array([normalised(context) for context, _ in texts], dtype=object))[0]
    ordered = np.asarray(vectors, dtype=np.float32)[order] if vectors is not None else None

    def edges() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        if texts is not None:
            yield np.arange(n), _first_of(_text_keys(texts))
        if ordered is None:
            return
        # Thousands of equal rows would be millions of pairs.
        equal = _first_of([(c, _digest(v)) for c, v in zip(contexts.tolist(), ordered, strict=True)])
        yield np.arange(n), equal
        distinct = np.flatnonzero(equal == np.arange(n))
        for left, right in near_pairs(ordered[distinct], threshold, seed):
            left, right = distinct[left], distinct[right]
            same = contexts[left] == contexts[right]
            yield left[same], right[same]

    found = np.empty(n, dtype=np.int64)
    found[order] = _joined(n, edges())
    return found


def near_pairs(vectors: np.ndarray, threshold: float, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of rows whose cosine reaches the threshold, block by block.

    Args:
        vectors: (n, d) float32, unit length.
        threshold: In (0, 1].
        seed: Of the cells.

    Yields:
        (p,), (p,) int64: the smaller and the larger row number of each pair; a pair may come twice.
    """
    for rows, columns, alike in near_blocks(vectors, seed):
        place = np.flatnonzero(alike.ravel() >= threshold - _ROUNDING)
        one, other = rows[place // len(columns)], columns[place % len(columns)]
        two = one != other
        yield np.minimum(one, other)[two], np.maximum(one, other)[two]


def representative_of(
    components: np.ndarray,
    importance: np.ndarray,
    sample_ids: Sequence[str],
    labels: np.ndarray | None = None,
    vectors: np.ndarray | None = None,
    texts: Sequence[tuple[str, str]] | None = None,
    threshold: float = THRESHOLD,
) -> np.ndarray:
    """The row that each row is collapsed onto; itself if it is kept.

    In each component rows come by importance, ties by `sample_id`. A row that is a near-duplicate of one kept
    before it, and has the same label, is collapsed onto the first such; any other is kept. So no chain drags
    a row along: of a ~ b ~ c where a and c are apart, b stands for both if it is the most important; else c
    is kept beside a. Rows whose label differs from the representative's are never collapsed onto it:
    `conflicts` reports them.

    Args:
        components: (n,) what `near_duplicates` gave.
        importance: (n,) float, the higher the better.
        sample_ids: (n,)
        labels: (n,) float; None: labels do not matter. They are compared as they are: round rates first.
        vectors: (n, d) float32, unit length, as given to `near_duplicates`. None: a component is taken at
            its word, which is right where it was made of equal texts only.
        texts: (n,) as given to `near_duplicates`, so that equal texts collapse whatever their vectors are.
        threshold: As given to `near_duplicates`.

    Returns:
        (n,) int64 row numbers.

    Raises:
        BadInput: The threshold is outside (0, 1], or lengths differ.
    """
    _check(sample_ids, vectors, texts, threshold)
    ids = np.asarray(sample_ids, dtype=object)
    place = np.empty(len(ids), dtype=np.int64)
    place[np.argsort(ids, kind="stable")] = np.arange(len(ids))
    components, labels = np.asarray(components), None if labels is None else np.asarray(labels)
    order = np.lexsort((place, -np.asarray(importance, dtype=np.float64), components))
    order = order[~_alone(components[order])]
    bounds = np.flatnonzero(np.diff(components[order])) + 1

    def near(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
        found = np.ones((len(rows), len(others)), dtype=bool)
        if vectors is not None:
            found &= vectors[rows] @ vectors[others].T >= threshold - _ROUNDING
            if texts is not None:
                found |= _text_codes(texts, rows, others)
        if labels is not None:
            found &= labels[rows][:, None] == labels[others]
        return found

    onto = np.arange(len(ids))
    for rows in np.split(order, bounds):
        kept = rows[:0]
        for start in range(0, len(rows), _AT_ONCE):
            some = rows[start : start + _AT_ONCE]
            both = np.concatenate([kept, some])
            alike = near(some, both)
            stays = np.arange(len(both)) < len(kept)
            for i, row in enumerate(some.tolist(), len(kept)):
                onto_which = alike[i - len(kept)] & stays
                stays[i] = not onto_which.any()
                onto[row] = row if stays[i] else both[onto_which.argmax()]
            kept = both[stays]
    return onto


def conflicts(components: np.ndarray, labels: np.ndarray, sample_ids: Sequence[str]) -> pd.DataFrame:
    """Components whose labels differ: evidence that some of them are wrong.

    In a component that a chain made, the ends need not be near-duplicates; hand over what `representative_of`
    gives without labels in place of the components, and each row is compared with what it repeats.

    Args:
        components: (n,) any grouping of rows.
        labels: (n,) float, compared as they are.
        sample_ids: (n,)

    Returns:
        One row a component, by its smallest `sample_id`: `first` (that id), `size`, `smallest` and `largest`
        label, `majority` (the label of most rows; NaN if two have as many), `minority` (sorted ids of the
        rows with another label than the majority's; all rows if there is none).
    """
    table = pd.DataFrame(
        {"component": np.asarray(components), "label": np.asarray(labels, dtype=np.float64), "id": sample_ids}
    )
    differ = table.groupby("component")["label"].transform("nunique") > 1
    found = []
    for _, rows in table[differ].sort_values("id").groupby("component"):
        counts = rows["label"].value_counts()
        tied = len(counts) > 1 and counts.iloc[0] == counts.iloc[1]
        majority = np.nan if tied else float(counts.index[0])
        minority = rows.loc[rows["label"] != majority, "id"].tolist()
        found.append(
            (rows["id"].iloc[0], len(rows), rows["label"].min(), rows["label"].max(), majority, minority)
        )
    names = ["first", "size", "smallest", "largest", "majority", "minority"]
    return pd.DataFrame(found, columns=names).sort_values("first", ignore_index=True)


def normalised(text: str) -> str:
    """A text without what does not matter: case, white space, forms of Unicode."""
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).split())


def _check(
    ids: Sequence[str],
    vectors: np.ndarray | None,
    texts: Sequence[tuple[str, str]] | None,
    threshold: float,
) -> None:
    if not 0 < threshold <= 1:
        raise BadInput(f"threshold {threshold}: a cosine in (0, 1], e.g. {THRESHOLD}")
    for name, given in (("vectors", vectors), ("texts", texts)):
        if given is not None and len(given) != len(ids):
            raise BadInput(f"near-duplicates: {len(given)} {name} of {len(ids)} rows: hand over one a row")


def _alone(components: np.ndarray) -> np.ndarray:
    """Which rows, of rows in the order of components, are alone in theirs. (n,) bool."""
    change = np.concatenate([[True], np.diff(components) != 0, [True]])
    return change[:-1] & change[1:]


def _text_keys(texts: Iterable[tuple[str, str]]) -> list[bytes]:
    """What is equal for rows of equal texts."""
    known: dict[str, str] = {}
    keys = []
    for row in texts:
        # Contexts come over and over.
        one, other = (known.get(text) or known.setdefault(text, normalised(text)) for text in row)
        keys.append(
            hashlib.blake2b(f"{one}\n{other}".encode("utf-8", "surrogatepass"), digest_size=16).digest()
        )
    return keys


def _text_codes(texts: Sequence[tuple[str, str]], rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Whether texts are equal. (q,), (m,) row numbers -> (q, m) bool."""
    keys = _text_keys([texts[i] for i in [*rows.tolist(), *others.tolist()]])
    codes = pd.factorize(np.array(keys, dtype=object))[0]
    return codes[: len(rows), None] == codes[len(rows) :]


def _digest(vector: np.ndarray) -> bytes:
    return hashlib.blake2b(vector.tobytes(), digest_size=16).digest()


def _first_of(keys: list) -> np.ndarray:
    """The first row with the same key as each row's. (n,) int64."""
    first: dict = {}
    return np.fromiter((first.setdefault(key, i) for i, key in enumerate(keys)), np.int64, len(keys))


def _joined(n: int, blocks: Iterable[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """The smallest row of each row's component, of n rows and the pairs of some blocks. (n,) int64."""
    smallest, held, count = np.arange(n), [], 0
    for block in blocks:
        held.append(block)
        count += len(block[0])
        if count > _EDGES:
            smallest, held, count = _smallest(n, smallest, held), [], 0
    return _smallest(n, smallest, held)


def _smallest(n: int, known: np.ndarray, blocks: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    left = np.concatenate([np.arange(n), *(one for one, _ in blocks)])
    right = np.concatenate([known, *(other for _, other in blocks)])
    graph = coo_array((np.ones(len(left), dtype=np.int8), (left, right)), shape=(n, n))
    _, label = connected_components(graph, directed=False)
    _, first = np.unique(label, return_index=True)
    return first[label]
