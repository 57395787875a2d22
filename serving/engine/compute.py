"""Scores and vectors for the routes: through the cache, the tokenizer and the batcher."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from assay.serving.engine.batcher import Batcher, RowFailed
from assay.serving.engine.cache import Cache, Computed, content_key
from assay.serving.engine.served import OpenPart, ServedModel
from assay.serving.telemetry.request import current
from assay.serving.telemetry.telemetry import Telemetry

_INLINE = 16_000
"""Characters that are tokenised in the event loop, a few milliseconds; more of them in a thread."""


@dataclass(frozen=True)
class Values:
    """Numbers of rows.

    Attributes:
        values: (n,) logits or (n, d) vectors, float32.
        truncated: n flags: whether text of the row was cut.
    """

    values: np.ndarray
    truncated: list[bool]


class Compute:
    """Computes rows of requests with a version that is open.

    Floats of a batch depend a little (1e-7) on where a row stands in it. Each distinct row is computed once a
    request, so that equal rows get equal numbers, their tie is a tie, and a shuffled request gets the same
    answer.

    Args:
        batcher: Started.
        cache: Of results.
        telemetry: Is told of both.
    """

    def __init__(self, batcher: Batcher, cache: Cache, telemetry: Telemetry):
        self.batcher = batcher
        self.cache = cache
        self.telemetry = telemetry

    async def logits(self, model: ServedModel, rows: Sequence[tuple[str, str]], deadline: float) -> Values:
        """Logits of (context, item) rows, in their order.

        Args:
            model: Scores them.
            rows: n rows, n > 0.
            deadline: By the batcher's clock.

        Raises:
            Full, TooLate, RowFailed, Ended: As `Batcher.submit` does; the index is that of the row in `rows`.
        """
        if model.head is None:
            found = await self._computed(model.ranker, rows, deadline)
            return Values(
                np.array([found[row].values[0] for row in rows]), [found[r].truncated for r in rows]
            )
        both = [(text,) for row in rows for text in row]
        texts = await self._computed(model.ranker, both, deadline, each=2)
        left, right = (np.stack([texts[(row[side],)].values for row in rows]) for side in (0, 1))
        cut = [texts[(context,)].truncated or texts[(item,)].truncated for context, item in rows]
        return Values(model.head(left, right), cut)

    async def vectors(self, model: ServedModel, texts: Sequence[str], deadline: float) -> Values:
        """Vectors of texts by the encoder, in their order; raises as `logits` does."""
        found = await self._computed(model.encoder, [(text,) for text in texts], deadline)
        return Values(
            np.stack([found[(text,)].values for text in texts]), [found[(text,)].truncated for text in texts]
        )

    async def _computed(
        self, part: OpenPart, rows: Sequence[tuple[str, ...]], deadline: float, each: int = 1
    ) -> dict[tuple[str, ...], Computed]:
        """What is known of each of the rows, of which so many make one of the request."""
        found: dict[tuple[str, ...], Computed] = {}
        missing: list[tuple[tuple[str, ...], bytes]] = []
        for row in sorted(set(rows)):
            key = content_key(part.digest, row)
            known = self.cache.get(key)
            if known is None:
                missing.append((row, key))
            else:
                found[row] = known
        self.telemetry.cache(len(found), len(missing))
        if missing:
            wanted = [row for row, _ in missing]
            with self.telemetry.stage("tokenise"):
                if sum(len(text) for row in wanted for text in row) > _INLINE:
                    tokens = await asyncio.to_thread(part.tokenise, wanted)
                else:
                    tokens = part.tokenise(wanted)
            try:
                values = await self.batcher.submit(part, tokens, deadline, current.get())
            except RowFailed as failed:
                # The caller knows the rows by their places in the request.
                raise RowFailed(rows.index(wanted[failed.index]) // each, failed.why) from None
            for (row, key), one, numbers in zip(missing, tokens, values, strict=True):
                found[row] = result = Computed(numbers, one.truncated)
                self.cache.put(key, result)
        return found
