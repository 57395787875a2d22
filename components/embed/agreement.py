"""Whether query and title say the same of brand, colour, size and type."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from functools import lru_cache

import numpy as np
from assay.components.embed.labelling import lower_words
from assay.components.embed.tagger import Known, Mentions

ALIKE = 0.8
"""Likeness of two values that count as one: it forgives a typo, and no other size."""


@lru_cache(maxsize=100_000)
def same(one: str, other: str) -> bool:
    """Whether two values are one, but for a typo in a word; numbers must be equal."""
    if one == other:
        return True
    if any(c.isdigit() for c in one + other):
        return False
    return SequenceMatcher(None, one, other, autojunk=False).ratio() >= ALIKE


def tag_agreement(
    kinds: Sequence[str],
    said: Sequence[Mentions],
    known: dict[int, Known],
    left: np.ndarray,
    right: np.ndarray,
) -> dict[str, np.ndarray]:
    """Features of rows by their names in words.

    Of an item, what the log knows counts before what its title says.

    Args:
        kinds: What is compared.
        said: What each text says.
        known: {number of an item's text: what is known of it}.
        left: (n,) text of each context.
        right: (n,) text of each item.

    Returns:
        {words: (n,) float64}: a kind's agreement is +1 the same, -1 something else, 0 one is silent.
    """
    out = {}
    for kind in kinds:
        asked = [said[i].get(kind, ()) for i in range(len(said))]
        offered = [
            (" ".join(lower_words(known[i][kind])),) if known.get(i, {}).get(kind) else asked[i]
            for i in range(len(said))
        ]
        pairs = [(asked[a], offered[b]) for a, b in zip(left.tolist(), right.tolist(), strict=True)]
        out[f"{kind} of query and item"] = np.array([_agree(*pair) for pair in pairs], dtype=np.float64)
        out[f"the query names a {kind}"] = np.array([bool(a) for a, _ in pairs], dtype=np.float64)
        out[f"the title names a {kind}"] = np.array([bool(asked[i]) for i in right.tolist()], np.float64)
    return out


def _agree(asked: tuple[str, ...], offered: tuple[str, ...]) -> float:
    if not asked or not offered:
        return 0.0
    return 1.0 if any(same(*sorted((a, b))) for a in asked for b in offered) else -1.0
