"""Scores that depend on the rows alone, not on the order or the number of times in which they were asked."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from assay.components.core.ranker import Ranker
    from assay.serving.api.contract import Item, Ranked

Row = TypeVar("Row", bound=Hashable)


def each_once(rows: Sequence[Row], compute: Callable[[list[Row]], np.ndarray]) -> np.ndarray:
    """Compute something for each distinct row once, in sorted order, and give it back for all.

    Floats of a batch depend a little (1e-7) on where a row stands in it. Sorted and distinct, equal rows get
    equal numbers, so that their tie is a tie, and a shuffled request gets the same answer.

    Args:
        rows: n rows, sortable.
        compute: m distinct rows -> (m, ...) array.

    Returns:
        (n, ...): the results in the order of `rows`.
    """
    distinct = sorted(set(rows))  # type: ignore[type-var]
    place = {row: index for index, row in enumerate(distinct)}
    return compute(distinct)[[place[row] for row in rows]]


def score_rows(ranker: Ranker, rows: Sequence[tuple[str, str]], batch_tokens: int) -> np.ndarray:
    """Logits of (context, item) rows, in their order. Returns (n,) float32."""

    def compute(distinct: list[tuple[str, str]]) -> np.ndarray:
        contexts, items = zip(*distinct, strict=True)
        return ranker.score(ranker.tokenise(contexts, items), token_budget=batch_tokens)

    return each_once(rows, compute)


def best_first(items: Sequence[Item], scores: Sequence[float]) -> list[Ranked]:
    """Items by falling score, ties by `item_id` as text."""
    from assay.serving.api.contract import Ranked

    ranked = [Ranked(item_id=item.item_id, score=score) for item, score in zip(items, scores, strict=True)]
    return sorted(ranked, key=lambda item: (-item.score, item.item_id))
