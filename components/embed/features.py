"""Features of (context, item) rows, made from the vectors of their texts; no label is looked at."""

from __future__ import annotations

import numpy as np
from sklearn.decomposition import PCA
from sklearn.feature_selection import VarianceThreshold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

REDUCED = 64
SIMILARITIES = {
    "encoder_cosine": "likeness to the encoder",
    "word_tfidf_cosine": "words in common",
    "char_tfidf_cosine": "letters in common",
    "latent_cosine": "likeness of topic",
    "length_ratio": "difference of lengths",
}
"""{name: in words} of the first features."""
INTERACTION = "meeting of both texts"
"""The others, in words: components of what the two vectors share and where they differ."""


def similarities(
    vectors: np.ndarray,
    word,
    char,
    latent: np.ndarray,
    lengths: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
) -> np.ndarray:
    """How alike both texts of each row are, by five measures, as named in `SIMILARITIES`.

    Args:
        vectors: (texts, d) unit-length encoder vectors.
        word: (texts, terms) sparse TF-IDF of words, unit length.
        char: (texts, terms) sparse TF-IDF of character n-grams, unit length.
        latent: (texts, r) unit-length latent semantic vectors.
        lengths: (texts,) characters.
        left: (n,) row of each context.
        right: (n,) row of each item.

    Returns:
        (n, 5) float32.
    """
    return np.column_stack(
        [
            np.einsum("ij,ij->i", vectors[left], vectors[right]),
            np.asarray(word[left].multiply(word[right]).sum(1)).ravel(),
            np.asarray(char[left].multiply(char[right]).sum(1)).ravel(),
            np.einsum("ij,ij->i", latent[left], latent[right]),
            np.log1p(lengths[left]) - np.log1p(lengths[right]),
        ]
    ).astype(np.float32)


def interactions(
    vectors: np.ndarray, left: np.ndarray, right: np.ndarray, reduced: int, seed: int, fit: np.ndarray
) -> np.ndarray:
    """Element-wise product and distance of both vectors, without constant columns, reduced by PCA.

    Args:
        vectors: (texts, d).
        left: (n,) row of each context.
        right: (n,) row of each item.
        reduced: Columns to reduce to at most.
        seed: Of the randomised PCA.
        fit: (n,) bool, the rows that selection of columns, scale and PCA are fitted on.

    Returns:
        (n, <= reduced) float32; the first column has variance 1 over those rows, the rest their share of it.
    """
    u, v = vectors[left], vectors[right]
    blocks = np.hstack([u * v, np.abs(u - v)]).astype(np.float64)
    if fit.sum() < 2 or not blocks[fit].var(axis=0).any():
        return np.zeros((len(blocks), 1), dtype=np.float32)
    blocks = make_pipeline(VarianceThreshold(), StandardScaler()).fit(blocks[fit]).transform(blocks)
    # numpy's Generator is not accepted; the seed makes the randomised solver repeatable.
    pca = PCA(min(reduced, int(fit.sum()), blocks.shape[1]), svd_solver="randomized", random_state=seed)
    scores = pca.fit(blocks[fit]).transform(blocks)
    return (scores / max(scores[fit, 0].std(), 1e-12)).astype(np.float32)


def standardised(matrix: np.ndarray, fit: np.ndarray) -> np.ndarray:
    """Columns of mean 0 and variance 1 over the rows `fit` (n,) bool; constant columns become 0. (n, k)."""
    matrix = matrix.astype(np.float64)
    return StandardScaler().fit(matrix[fit]).transform(matrix).astype(np.float32)
