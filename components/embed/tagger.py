"""A tagger of queries and titles, learnt from what the log says of its items, or opened from a checkpoint."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from assay.components.core.ranker import TextEncoder
from assay.components.embed.labelling import Scheme, lower_words, shapes, word_vectors, words_of
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

KINDS = ("brand", "colour", "size", "type")
LEARNT_FROM = 1_500
"""Titles at most, and as many queries."""
FEWEST = 20
"""Titles that say some attribute from which a tagger is learnt."""
FEWEST_OF_A_KIND = 5

Mentions = dict[str, tuple[str, ...]]
"""{kind: what a text says of it, without case}."""
Known = dict[str, str]
"""{kind: value} of an item."""


class Tagger:
    """Tags words by a linear classifier of their vectors (which have seen the text around them) and shapes.

    Args:
        scheme: Its tags.
        classifier: Predicts some of them.
    """

    def __init__(self, scheme: Scheme, classifier: LogisticRegression):
        self.scheme, self.classifier = scheme, classifier

    def tags(self, text: str, words: np.ndarray) -> np.ndarray:
        """(w,) int64 tags of a text's words, from `words_features` (w, d)."""
        scores = np.full((len(words), self.scheme.size), -1e9)
        if len(words):
            scores[:, self.classifier.classes_] = self.classifier.predict_log_proba(words)
        return self.scheme.decode(scores)

    def watch(self, encoder: TextEncoder, texts: Sequence[str], said: list[Mentions]) -> Callable:
        """What `TextEncoder.encode` calls with each batch: writes into `said` what its texts say."""

        def each(index: list[int], hidden: np.ndarray) -> None:
            chosen = [texts[i] for i in index]
            for i, text, offsets, vectors in zip(index, chosen, encoder.offsets(chosen), hidden, strict=True):
                tags = self.tags(text, words_features(text, offsets, vectors))
                said[i] = mentions(text, self.scheme, tags)

        return each


def words_features(text: str, offsets: Sequence[tuple[int, int]], hidden: np.ndarray) -> np.ndarray:
    """(w, d + 8) float32: unit-length vector and shape of each word."""
    spans = words_of(text)
    vectors = word_vectors(spans, offsets, hidden)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    # Times 4: as large as the shapes, so that regularisation treats both alike.
    return np.hstack([4 * vectors / np.maximum(length, 1e-9), shapes(text, spans)])


def mentions(text: str, scheme: Scheme, tags: np.ndarray) -> Mentions:
    """What a tagged text says."""
    words = lower_words(text)
    found: dict[str, list[str]] = {}
    for first, last, kind in scheme.entities(tags):
        found.setdefault(kind, []).append(" ".join(words[first:last]))
    return {kind: tuple(values) for kind, values in found.items()}


def located(text: str, known: Known) -> list[tuple[int, int, str]]:
    """Where a text says the known values: (first word, word after the last, kind), the longest first."""
    words, found = lower_words(text), []
    taken: set[int] = set()
    for value, kind in sorted(
        ((lower_words(v), k) for k, v in known.items()), key=lambda e: (-len(e[0]), e[1])
    ):
        for first in range(len(words) - len(value) + 1) if value else ():
            places = set(range(first, first + len(value)))
            if words[first : first + len(value)] == value and not places & taken:
                taken |= places
                found.append((first, first + len(value), kind))
                break
    return found


def learn(encoder: TextEncoder, titles: dict[str, Known], queries: Sequence[str]) -> Tagger:
    """A tagger by distant supervision (Mintz et al. 2009): a known value that a title says is tagged there.

    A title that does not say a known value may say it in words of its own: words that go with that value
    alone are then left out, all other words are outside. Queries are tagged by the values that are known of
    items, and have no words outside at all. Each text is learnt from in lower case too, as people type.

    Args:
        encoder: Frozen; gives the token vectors.
        titles: {text: what is known of the item}, in an order that decides which are learnt from.
        queries: Likewise.

    Raises:
        ValueError: Too few titles say what is known of them.
    """
    found = {text: located(text, known) for text, known in titles.items()}
    found = {text: entities for text, entities in found.items() if entities}
    counts = {kind: sum(any(e[2] == kind for e in es) for es in found.values()) for kind in KINDS}
    kinds = [kind for kind in KINDS if counts[kind] >= FEWEST_OF_A_KIND]
    if len(found) < FEWEST or not kinds:
        raise ValueError(
            f"{len(found)} titles say an attribute that is known of them, and {FEWEST} are needed"
        )
    scheme, lexicon = Scheme(kinds), _lexicon(titles, kinds)
    learnt = dict(list(found.items())[:LEARNT_FROM])
    tied = _tied(titles)
    asked = {text: _by_lexicon(text, lexicon) for text in list(queries)[:LEARNT_FROM] if text not in learnt}
    texts, tags = [], []
    for text, entities in learnt.items():
        silent = {k: v for k, v in titles[text].items() if k not in {e[2] for e in entities}}
        given = scheme.tags(len(words_of(text)), [e for e in entities if e[2] in kinds])
        other = [any(tied.get((k, w)) == v for k, v in silent.items()) for w in lower_words(text)]
        texts.append(text)
        tags.append(np.where((given == 0) & np.array(other, dtype=bool), -1, given))
    for text, entities in asked.items():
        if entities:
            given = scheme.tags(len(words_of(text)), entities)
            texts.append(text)
            tags.append(np.where(given == 0, -1, given))
    both = [*texts, *(text.lower() for text in texts)]
    # Lower case may have another number of words in some scripts: such a text is learnt from as it is.
    y = [t if len(words_of(text)) == len(t) else np.full(len(words_of(text)), -1)
         for text, t in zip(both, [*tags, *tags], strict=True)]  # fmt: skip
    x = _features(encoder, both)
    given = np.concatenate(y)
    used = given >= 0
    classifier = LogisticRegression(C=1.0, max_iter=100)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        classifier.fit(np.concatenate(x)[used], given[used])
    return Tagger(scheme, classifier)


def _features(encoder: TextEncoder, texts: list[str]) -> list[np.ndarray]:
    out: list[np.ndarray] = [np.zeros(0)] * len(texts)
    offsets = encoder.offsets(texts)

    def each(index: list[int], hidden: np.ndarray) -> None:
        for i, vectors in zip(index, hidden, strict=True):
            out[i] = words_features(texts[i], offsets[i], vectors)

    encoder.encode(texts, each=each)
    return out


def _tied(titles: dict[str, Known]) -> dict[tuple[str, str], str]:
    """{(kind, word): the one value of the kind that two titles or more with the word have}."""
    values: dict[tuple[str, str], set[str]] = {}
    counts: Counter[tuple[str, str]] = Counter()
    for text, known in titles.items():
        for word in set(lower_words(text)):
            for kind, value in known.items():
                values.setdefault((kind, word), set()).add(value)
                counts[kind, word] += 1
    return {key: next(iter(v)) for key, v in values.items() if len(v) == 1 and counts[key] > 1}


def _lexicon(titles: dict[str, Known], kinds: Sequence[str]) -> dict[tuple[str, ...], str]:
    """{words of a value: its kind}, without values of two kinds."""
    found: dict[tuple[str, ...], set[str]] = {}
    for known in titles.values():
        for kind, value in known.items():
            if kind in kinds and lower_words(value):
                found.setdefault(lower_words(value), set()).add(kind)
    return {value: next(iter(of)) for value, of in found.items() if len(of) == 1}


def _by_lexicon(text: str, lexicon: dict[tuple[str, ...], str]) -> list[tuple[int, int, str]]:
    words, found, place = lower_words(text), [], 0
    longest = max(map(len, lexicon), default=0)
    while place < len(words):
        for size in range(min(longest, len(words) - place), 0, -1):
            kind = lexicon.get(words[place : place + size])
            if kind is not None:
                found.append((place, place + size, kind))
                place += size
                break
        else:
            place += 1
    return found
