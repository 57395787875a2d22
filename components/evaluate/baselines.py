"""The order that needs no training: random, lexical, and the encoder as it came."""

from __future__ import annotations

import numpy as np
from assay.components.core.samples import hash_unit
from sklearn.feature_extraction.text import CountVectorizer

K1, B = 1.2, 0.75


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
    vectorizer = CountVectorizer(token_pattern=r"(?u)\b\w+\b")
    try:
        counts = vectorizer.fit_transform(distinct).tocsr().astype(np.float64)
    except ValueError:
        return np.zeros(len(items))
    frequency = np.asarray((counts > 0).sum(0)).ravel()
    idf = np.log1p((len(distinct) - frequency + 0.5) / (frequency + 0.5))
    lengths = np.asarray(counts.sum(1)).ravel()
    norm = K1 * (1 - B + B * lengths / max(lengths.mean(), 1e-12))
    rows = np.repeat(np.arange(len(distinct)), np.diff(counts.indptr))
    counts.data = idf[counts.indices] * counts.data * (K1 + 1) / (counts.data + norm[rows])
    queries = (vectorizer.transform(contexts) > 0).astype(np.float64)
    place = {text: number for number, text in enumerate(distinct)}
    return np.asarray(queries.multiply(counts[[place[text] for text in items]]).sum(1)).ravel()
