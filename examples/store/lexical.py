"""The store's search engine: BM25 over titles by an inverted index."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

WORD = re.compile(r"\w+")


class LexicalIndex:
    """Okapi BM25 (Robertson and Zaragoza, 2009) with the idf of Lucene, which is never negative.

    Args:
        texts: the documents.
        k1: how soon a repeated word stops counting.
        b: how much long documents are punished, in [0, 1].
    """

    def __init__(self, texts: Sequence[str], k1: float = 1.2, b: float = 0.75) -> None:
        """Build the postings: for each word, the documents that hold it and what it adds to their scores."""
        counts = [Counter(words(text)) for text in texts]
        lengths = np.array([sum(count.values()) for count in counts], dtype=np.float64)
        norm = k1 * (1 - b + b * lengths / max(lengths.mean(), 1.0))
        found: dict[str, tuple[list[int], list[int]]] = {}
        for document, count in enumerate(counts):
            for word, times in count.items():
                documents, frequencies = found.setdefault(word, ([], []))
                documents.append(document)
                frequencies.append(times)
        self.size = len(counts)
        self._postings = {}
        for word, (documents, frequencies) in found.items():
            rows = np.array(documents)
            weights = np.array(frequencies, dtype=np.float64)
            idf = np.log(1 + (self.size - len(rows) + 0.5) / (len(rows) + 0.5))
            self._postings[word] = rows, idf * weights * (k1 + 1) / (weights + norm[rows])

    def scores(self, query: str) -> np.ndarray:
        """Score every document for one query; (size,) float64, 0 where no word is shared."""
        total = np.zeros(self.size)
        for word in words(query):
            if word in self._postings:
                rows, gains = self._postings[word]
                total[rows] += gains
        return total


def words(text: str) -> list[str]:
    """Cut a text into lower-case words."""
    return WORD.findall(text.lower())
