"""Scores of rows without the batcher: for the gate, warm-ups, comparisons and benchmarks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from assay.serving.engine.backends.cosine import ScaledCosine
from assay.serving.engine.tokens import Tokenizer, Tokens

_TOKENS = 512
"""Of a batch, padding included."""


class Computes(Protocol):
    """What makes numbers of a padded batch: a `Network`, or the part of a version that holds one."""

    @property
    def width(self) -> int:
        """Columns of the output."""
        ...

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """(b, t) int64 each -> (b, width) float32."""
        ...


def computed(network: Computes, tokenizer: Tokenizer, rows: Sequence[Tokens]) -> np.ndarray:
    """Logits or vectors of tokenised rows, in batches by length: (n, width) float32, in their order."""
    out = np.empty((len(rows), network.width), dtype=np.float32)
    left = sorted(range(len(rows)), key=lambda i: len(rows[i].ids))
    while left:
        batch = [left.pop()]
        longest = max(1, len(rows[batch[0]].ids))
        while left and (len(batch) + 1) * longest <= _TOKENS:
            batch.append(left.pop())
        out[batch] = network(tokenizer.pad([rows[i] for i in batch]))
    return out


def scored(
    network: Computes, tokenizer: Tokenizer, head: ScaledCosine | None, rows: Sequence[tuple[str, str]]
) -> np.ndarray:
    """A ranker's logits of (context, item) rows: (n,) float32.

    Args:
        network: Of the ranker.
        tokenizer: Of the ranker.
        head: Of a bi-encoder; None for a cross-encoder.
        rows: n of them.
    """
    contexts, items = zip(*rows, strict=True)
    if head is None:
        return computed(network, tokenizer, tokenizer.pairs(contexts, items))[:, 0]
    texts = list(dict.fromkeys([*contexts, *items]))
    vectors = dict(zip(texts, computed(network, tokenizer, tokenizer.texts(texts)), strict=True))
    left, right = (np.stack([vectors[text] for text in side]) for side in (contexts, items))
    return head(left, right)
