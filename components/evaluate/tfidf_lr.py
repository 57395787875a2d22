"""The baseline that anybody trains first: TF-IDF and logistic regression, on all training rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix, hstack, vstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

STRENGTHS = (0.1, 1.0, 10.0)
"""Inverse regularisation strengths tried; the validation rows choose."""
WORDS = 30_000
"""Words at most, the most frequent ones."""
_TOKENS = r"(?u)[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+"
"""A word; of writing without spaces a character, pairs of which are words then."""


class TfidfLR:
    """Log-odds of (context, item): linear in the words of each, in those that both have, and in their cosine.

    Attributes:
        model: The regression, of the strength that fared best on the validation rows.
    """

    def __init__(self, contexts: Sequence[str], items: Sequence[str]):
        """Learn the words of the training rows."""
        self._tfidf = TfidfVectorizer(
            token_pattern=_TOKENS, ngram_range=(1, 2), max_features=WORDS, sublinear_tf=True, dtype=np.float32
        )
        self._tfidf.fit([*dict.fromkeys(contexts), *dict.fromkeys(items)] or [""])
        self.model: Any = None

    def fit(
        self,
        train: tuple[Sequence[str], Sequence[str], np.ndarray, np.ndarray],
        validation: tuple[Sequence[str], Sequence[str], np.ndarray, np.ndarray],
    ) -> TfidfLR:
        """Fit on contexts, items, labels in [0, 1] and weights; a label between is a row of each kind."""
        x, labels, weights = self._features(*train[:2]), train[2], train[3]
        either = np.repeat([1, 0], len(labels))
        weight = np.r_[labels * weights, (1 - labels) * weights]
        some = weight > 0
        x = vstack([x, x]).tocsr()[np.flatnonzero(some)]
        held = self._features(*validation[:2])
        best = np.inf
        for strength in STRENGTHS:
            model = LogisticRegression(C=strength, max_iter=300).fit(
                x, either[some], sample_weight=weight[some]
            )
            logits = model.decision_function(held)
            losses = np.logaddexp(0, logits) - validation[2] * logits
            loss = float(np.average(losses, weights=validation[3]))
            if loss < best:
                best, self.model = loss, model
        return self

    def pairs(self, contexts: Sequence[str], items: Sequence[str]) -> np.ndarray:
        """Log-odds of each row. (n,) float64."""
        return self.model.decision_function(self._features(contexts, items))

    def of_all(self, contexts: Sequence[str], items: Sequence[str]) -> np.ndarray:
        """Log-odds of every item for every context. (contexts, items) float32."""
        left, right = self._tfidf.transform(contexts), self._tfidf.transform(items)
        width, weights = left.shape[1], self.model.coef_[0]
        of_left, of_right, of_both = (weights[k * width : (k + 1) * width] for k in range(3))
        both = left.multiply(of_both + weights[-1]).tocsr() @ right.T
        out = both.toarray() + (left @ of_left)[:, None] + (right @ of_right)[None, :]
        return (out + self.model.intercept_[0]).astype(np.float32)

    def _features(self, contexts: Sequence[str], items: Sequence[str]) -> csr_matrix:
        left, right = self._of(contexts), self._of(items)
        both = left.multiply(right).tocsr()
        return hstack([left, right, both, csr_matrix(both.sum(axis=1))], format="csr")

    def _of(self, texts: Sequence[str]) -> csr_matrix:
        distinct = {text: number for number, text in enumerate(dict.fromkeys(texts))}
        return self._tfidf.transform(distinct)[[distinct[text] for text in texts]]
