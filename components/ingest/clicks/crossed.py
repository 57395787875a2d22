"""Features of pairs of texts for a ranker that takes seconds: TF-IDF of words, crossed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from assay.components.core.errors import BadInput

WIDTH = 2**17
"""Columns that the products are hashed into."""
CHARS = 300
"""Characters of a text that are looked at; titles come first."""


def crossed(contexts: list[str], items: list[str]) -> Any:
    """Products of the weights of a word of the context and one of the item, and what both have in common.

    A linear model of them tells which words of an item go with which of a query; words by themselves could
    not rank one list otherwise than another.

    Args:
        contexts: (n,) texts.
        items: (n,) texts.

    Returns:
        (n, `WIDTH` + 1) sparse float64: products by a hash of both words, and the cosine.

    Raises:
        BadInput: scikit-learn is not installed.
        ValueError: No text has a word.
    """
    try:
        from scipy.sparse import csr_matrix, hstack
        from sklearn.feature_extraction.text import TfidfVectorizer
    except ImportError as error:
        raise BadInput(
            "policy.bias: whether a correction does harm is seen by rankers of scikit-learn, which is "
            "not there: pip install 'assay-ranking[train]', or leave policy.bias out"
        ) from error
    number, texts = pd.factorize(np.array([text[:CHARS] for text in [*contexts, *items]], dtype=object))
    words = TfidfVectorizer(token_pattern=r"(?u)\w+", max_features=50_000).fit_transform(texts.tolist())
    asked, shown = words[number[: len(contexts)]], words[number[len(contexts) :]]
    sizes = np.diff(shown.indptr)
    counts = np.diff(asked.indptr) * sizes
    row = np.repeat(np.arange(len(contexts)), counts)
    turn = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    one = asked.indptr[row] + turn // np.maximum(sizes[row], 1)
    other = shown.indptr[row] + turn % np.maximum(sizes[row], 1)
    mixed = asked.indices[one].astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= shown.indices[other].astype(np.uint64) * np.uint64(0xC2B2AE3D27D4EB4F)
    column = (mixed >> np.uint64(29)) % np.uint64(WIDTH)
    # 1 on average: the penalties of the ranker are meant for features of that size.
    weight = asked.data[one] * shown.data[other]
    weight /= weight.mean() if len(weight) else 1.0
    products = csr_matrix((weight, (row, column.astype(np.int64))), shape=(len(contexts), WIDTH))
    cosine = np.asarray(asked.multiply(shown).sum(axis=1)).reshape(-1, 1)
    return hstack([products, csr_matrix(cosine)]).tocsr()
