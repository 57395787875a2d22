"""DSIR: rows whose words are those of the target."""

from __future__ import annotations

import numpy as np
import pandas as pd
from assay.components.select.baselines.given import Given
from assay.components.select.baselines.plain import highest

BUCKETS = 10_000
UNSEEN = 1e-8
"""Share of a bucket that holds nothing, as in the authors' package."""


def dsir(given: Given, count: int, seed: int) -> np.ndarray:
    """Ids of rows drawn, without replacement, by how much likelier the target is to say the same. (count,).

    Xie et al. 2023, "Data Selection for Language Models via Importance Resampling": words and pairs of
    neighbouring words, hashed into `BUCKETS`; the weight of a row is the ratio of its likelihoods under bags
    of them, of the target and of the training rows; Gumbel noise on the log weights makes the top a draw.
    Constants as in the authors' package. The words are split and hashed by scikit-learn's `HashingVectorizer`
    in place of NLTK and SHA-256. Labels are not looked at. Of a small target most buckets are empty, and then
    every word beyond it costs a row much: short rows are preferred.
    """
    from sklearn.feature_extraction.text import HashingVectorizer

    hashed = HashingVectorizer(
        n_features=BUCKETS,
        ngram_range=(1, 2),
        token_pattern=r"\w+|[^\w\s]+",
        alternate_sign=False,
        norm=None,
    )
    counts = hashed.transform(_texts(given.samples))
    ratio = np.log(_shares(hashed.transform(_texts(given.target)))) - np.log(_shares(counts))
    weights = np.asarray(counts @ ratio).ravel()
    uniform = np.clip(given.draws(f"assay-dsir-{seed}"), np.finfo(np.float64).tiny, None)
    return highest(given.ids, weights - np.log(-np.log(uniform)), count)


def _texts(rows: pd.DataFrame) -> list[str]:
    return (rows["context"] + " " + rows["item"]).tolist()


def _shares(counts) -> np.ndarray:
    """(BUCKETS,) share of each bucket in all of a (rows, BUCKETS) sparse matrix."""
    total = np.asarray(counts.sum(axis=0)).ravel()
    return total / max(total.sum(), 1.0) + UNSEEN
