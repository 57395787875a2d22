"""Vectors of texts: each distinct text once, by an encoder and by TF-IDF."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize


def tfidf(texts: list[str], analyzer: str = "word") -> sparse.csr_matrix:
    """TF-IDF rows of unit length. Returns (n, terms) float32.

    Args:
        texts: n texts.
        analyzer: `word` (one and two words) or `char` (3 to 5 characters within words, which forgives typos).
    """
    grams = {
        "word": {"analyzer": "word", "ngram_range": (1, 2), "token_pattern": r"(?u)\b\w+\b"},
        "char": {"analyzer": "char_wb", "ngram_range": (3, 5)},
    }[analyzer]
    vectorizer = TfidfVectorizer(**grams, sublinear_tf=True, dtype=np.float32)
    try:
        return vectorizer.fit_transform(texts).tocsr()
    except ValueError:
        # Not one token in any text: punctuation alone, say.
        return sparse.csr_matrix((len(texts), 1), dtype=np.float32)


def reduced(matrix: sparse.csr_matrix, dimensions: int, seed: int) -> np.ndarray:
    """Latent semantic vectors of unit length by truncated SVD. (n, terms) -> (n, <= dimensions) float32."""
    dimensions = min(dimensions, min(matrix.shape) - 1)
    if dimensions < 1:
        return np.zeros((matrix.shape[0], 1), dtype=np.float32)
    svd = TruncatedSVD(dimensions, random_state=seed)
    return normalize(svd.fit_transform(matrix)).astype(np.float32)
