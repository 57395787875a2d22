"""Vectors of texts: each distinct text once, by an encoder and by TF-IDF."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize


def tfidf(texts: list[str], analyzer: str, fit: np.ndarray) -> sparse.csr_matrix:
    """TF-IDF rows of unit length. Returns (n, terms) float32.

    Args:
        texts: n texts.
        analyzer: `word` (one and two words) or `char` (3 to 5 characters within words, which forgives typos).
        fit: Numbers of the texts that terms and their rarity are taken from.
    """
    grams = {
        "word": {"analyzer": "word", "ngram_range": (1, 2), "token_pattern": r"(?u)\b\w+\b"},
        "char": {"analyzer": "char_wb", "ngram_range": (3, 5)},
    }[analyzer]
    vectorizer = TfidfVectorizer(**grams, sublinear_tf=True, dtype=np.float32)
    try:
        return vectorizer.fit([texts[i] for i in fit]).transform(texts).tocsr()
    except ValueError:
        # Not one token in any text: punctuation alone, say.
        return sparse.csr_matrix((len(texts), 1), dtype=np.float32)


def reduced(matrix: sparse.csr_matrix, dimensions: int, seed: int, fit: np.ndarray) -> np.ndarray:
    """Latent semantic vectors of unit length by truncated SVD. (n, terms) -> (n, <= dimensions) float32.

    Args:
        matrix: Rows of `tfidf`.
        dimensions: At most.
        seed: Of the randomised SVD.
        fit: Numbers of the rows it is fitted on.
    """
    dimensions = min(dimensions, len(fit) - 1, matrix.shape[1] - 1)
    if dimensions < 1:
        return np.zeros((matrix.shape[0], 1), dtype=np.float32)
    svd = TruncatedSVD(dimensions, random_state=seed)
    return normalize(svd.fit(matrix[fit]).transform(matrix)).astype(np.float32)
