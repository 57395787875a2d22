"""Sequence labelling of words: tags of the BIO scheme, and the most likely sequence that obeys it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np

# A run of letters, a number with its unit, or one sign; scripts without spaces go by the character.
WORD = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W_\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+|[^\w\s]"
)

Span = tuple[int, int]


class Scheme:
    """Tags of some kinds: 0 is outside, 1 + 2k begins kind k, 2 + 2k goes on with it.

    Args:
        kinds: Their names.
    """

    def __init__(self, kinds: Sequence[str]):
        self.kinds = tuple(kinds)

    @property
    def size(self) -> int:
        """Number of tags."""
        return 1 + 2 * len(self.kinds)

    @cached_property
    def allowed(self) -> np.ndarray:
        """(1 + tags, tags) bool: which tag may follow which; the first row is the start of a text."""
        out = np.ones((1 + self.size, self.size), dtype=bool)
        out[:, 2::2] = False
        for inside in range(2, self.size, 2):
            out[[inside, inside + 1], inside] = True
        return out

    def tags(self, words: int, entities: Iterable[tuple[int, int, str]]) -> np.ndarray:
        """(words,) int64 of entities (first word, word after the last, kind), the rest outside."""
        out = np.zeros(words, dtype=np.int64)
        for first, last, kind in entities:
            begin = 1 + 2 * self.kinds.index(kind)
            out[first], out[first + 1 : last] = begin, begin + 1
        return out

    def entities(self, tags: np.ndarray) -> list[tuple[int, int, str]]:
        """(first word, word after the last, kind) of a sequence that obeys the scheme."""
        found: list[tuple[int, int, str]] = []
        for place, tag in enumerate(tags.tolist()):
            if tag % 2:
                found.append((place, place + 1, self.kinds[tag // 2]))
            elif tag:
                first, _, kind = found[-1]
                found[-1] = (first, place + 1, kind)
        return found

    def decode(self, log_probabilities: np.ndarray) -> np.ndarray:
        """The likeliest sequence that obeys the scheme. (words, tags) -> (words,) int64.

        Viterbi 1967, "Error bounds for convolutional codes", transitions being allowed or not: what tag
        follows which is left to the word vectors, which have seen their neighbours.
        """
        words = len(log_probabilities)
        if not words:
            return np.zeros(0, dtype=np.int64)
        wall = np.where(self.allowed, 0.0, -np.inf)
        best = log_probabilities[0] + wall[0]
        back = np.zeros((words, self.size), dtype=np.int64)
        for place in range(1, words):
            through = best[:, None] + wall[1:]
            back[place] = through.argmax(0)
            best = through.max(0) + log_probabilities[place]
        out = np.empty(words, dtype=np.int64)
        out[-1] = best.argmax()
        for place in range(words - 1, 0, -1):
            out[place - 1] = back[place, out[place]]
        return out


def words_of(text: str) -> list[Span]:
    """Where the words of a text are: (start, end) characters."""
    return [match.span() for match in WORD.finditer(text)]


def lower_words(text: str) -> tuple[str, ...]:
    """The words of a text, without case."""
    return tuple(text[a:b].casefold() for a, b in words_of(text))


def word_vectors(spans: Sequence[Span], offsets: Sequence[Span], hidden: np.ndarray) -> np.ndarray:
    """Mean of the vectors of each word's tokens, 0 where the text was cut before it.

    Args:
        spans: w words, in characters.
        offsets: t tokens, likewise; marks have none.
        hidden: (>= t, d) token vectors.

    Returns:
        (w, d) float32.
    """
    token = np.asarray(offsets, dtype=np.int64).reshape(-1, 2)
    word = np.asarray(spans, dtype=np.int64).reshape(-1, 2)
    inside = (token[None, :, 0] < word[:, None, 1]) & (token[None, :, 1] > word[:, None, 0])
    inside &= (token[:, 1] > token[:, 0])[None]
    share = inside / np.maximum(inside.sum(1, keepdims=True), 1)
    return (share @ hidden[: len(token)]).astype(np.float32)


def shapes(text: str, spans: Sequence[Span]) -> np.ndarray:
    """What a word looks like and where it stands, which vectors of uncased encoders do not say. (w, 8)."""
    rows = []
    for place, (a, b) in enumerate(spans):
        word = text[a:b]
        rows.append(
            [
                word.isdigit(), any(c.isdigit() for c in word), word.isalpha(), word.isupper(),
                word[:1].isupper(), np.log(b - a), place == 0, place == len(spans) - 1,
            ]
        )  # fmt: skip
    return np.asarray(rows, dtype=np.float32).reshape(-1, 8)
