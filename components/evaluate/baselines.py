"""What needs no ranker: a random order, BM25, popularity, and neighbours of the items that a user knows."""

from __future__ import annotations

import numpy as np
import pandas as pd
from assay.components.core.samples import hash_unit
from scipy.sparse import csr_matrix, diags
from sklearn.feature_extraction.text import CountVectorizer

K1, B = 1.2, 0.75
NEIGHBOURS = 100
"""Items that an item recommends."""


def random_order(sample_ids: list[str]) -> np.ndarray:
    """A random score a row, fixed by its id. (n,) float64 in [0, 1)."""
    return hash_unit(sample_ids, "assay-baseline-random")


def bm25(contexts: list[str], items: list[str]) -> np.ndarray:
    """BM25 of each row's item for its context. (n,) float64 >= 0.

    Robertson & Zaragoza 2009, "The Probabilistic Relevance Framework", k1 1.2, b 0.75. Document
    frequencies and lengths are those of the distinct items.

    Args:
        contexts: n texts.
        items: n texts.
    """
    distinct = list(dict.fromkeys(items))
    weighed = _bm25_parts(contexts, distinct)
    if weighed is None:
        return np.zeros(len(items))
    queries, counts = weighed
    place = {text: number for number, text in enumerate(distinct)}
    return np.asarray(queries.multiply(counts[[place[text] for text in items]]).sum(1)).ravel()


def bm25_of_all(contexts: list[str], items: list[str]) -> np.ndarray:
    """BM25 of every item for every context; these are the collection. (contexts, items) float32."""
    weighed = _bm25_parts(contexts, items)
    if weighed is None:
        return np.zeros((len(contexts), len(items)), dtype=np.float32)
    return (weighed[0] @ weighed[1].T).toarray().astype(np.float32)


def _bm25_parts(contexts: list[str], distinct: list[str]) -> tuple[csr_matrix, csr_matrix] | None:
    """(contexts, words) 0 or 1, and (items, words) weights; None where no text has a word."""
    vectorizer = CountVectorizer(token_pattern=r"(?u)\b\w+\b")
    try:
        counts = vectorizer.fit_transform(distinct).tocsr().astype(np.float64)
    except ValueError:
        return None
    frequency = np.asarray((counts > 0).sum(0)).ravel()
    idf = np.log1p((len(distinct) - frequency + 0.5) / (frequency + 0.5))
    lengths = np.asarray(counts.sum(1)).ravel()
    norm = K1 * (1 - B + B * lengths / max(lengths.mean(), 1e-12))
    rows = np.repeat(np.arange(len(distinct)), np.diff(counts.indptr))
    counts.data = idf[counts.indices] * counts.data * (K1 + 1) / (counts.data + norm[rows])
    return (vectorizer.transform(contexts) > 0).astype(np.float64).tocsr(), counts


def item_knn(
    interactions: pd.DataFrame, seen: pd.DataFrame, groups: list[str], items: list[str]
) -> np.ndarray:
    """How alike each item is to those that a list's user knows: sums of cosines over users.

    Sarwar et al. 2001, "Item-based Collaborative Filtering Recommendation Algorithms". Two items are as alike
    as the sets of users who have them; each known item speaks for its `NEIGHBOURS` nearest alone.

    Args:
        interactions: user_id, item_id of training, each pair once.
        seen: group_id, item_id: what each list's user knows.
        groups: g lists.
        items: n items.

    Returns:
        (g, n) float32 >= 0; items that nobody has in training are at 0.
    """
    place = {item: number for number, item in enumerate(items)}
    codes, users = pd.factorize(interactions["user_id"])
    has = csr_matrix(
        (np.ones(len(interactions)), (codes, interactions["item_id"].map(place).to_numpy())),
        shape=(len(users), len(items)),
    )
    length = np.sqrt(np.asarray(has.sum(axis=0)).ravel())
    has = has @ diags(np.divide(1.0, length, out=np.zeros_like(length), where=length > 0))
    numbers = {group: number for number, group in enumerate(groups)}
    mine = seen[seen["group_id"].isin(numbers)]
    known, which = np.unique(mine["item_id"].map(place).to_numpy(), return_inverse=True)
    alike = (has[:, known].T @ has).tocsr()
    # No item recommends itself.
    alike.data[alike.indices == np.repeat(known, np.diff(alike.indptr))] = 0.0
    _keep_largest(alike, NEIGHBOURS)
    history = csr_matrix(
        (np.ones(len(mine)), (mine["group_id"].map(numbers).to_numpy(), which)),
        shape=(len(groups), len(known)),
    )
    return (history @ alike).toarray().astype(np.float32)


def _keep_largest(rows: csr_matrix, most: int) -> None:
    """Set all but the largest entries of each row to 0, in place."""
    for start, end in zip(rows.indptr[:-1], rows.indptr[1:], strict=True):
        if end - start > most:
            one = rows.data[start:end]
            one[np.argsort(-one, kind="stable")[most:]] = 0.0


def calibrated(known: np.ndarray, relevant: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Scores that are no log-odds as log-odds, by a logistic curve over rows whose relevance is known.

    Platt 1999, "Probabilistic Outputs for Support Vector Machines". The order never changes: a curve that
    falls is taken as flat, but for so little that it still rises.

    Args:
        known: (m,) scores of the validation rows.
        relevant: (m,) what the probability is of, in [0, 1].
        scores: (n,) to turn.

    Returns:
        (n,) float64.
    """
    centre, spread = known.mean(), known.std() or 1.0
    x = (known - centre) / spread
    rate = np.clip(relevant.mean(), 1e-6, 1 - 1e-6)
    slope, shift = 0.0, float(np.log(rate / (1 - rate)))
    for _ in range(50):
        p = 1 / (1 + np.exp(-(slope * x + shift)))
        w = np.maximum(p * (1 - p), 1e-9)
        gradient = np.array([(p - relevant) @ x + 1e-3 * slope, (p - relevant).sum()])
        hessian = np.array([[w @ (x * x) + 1e-3, w @ x], [w @ x, w.sum()]])
        step = np.linalg.solve(hessian, gradient)
        slope, shift = slope - step[0], shift - step[1]
        if np.abs(step).max() < 1e-9:
            break
    if slope <= 0:
        slope, shift = 1e-6, float(np.log(rate / (1 - rate)))
    return slope * (scores - centre) / spread + shift
