"""Shadow mode: the challenger scores what the champion has answered; figures are logged, texts are not."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from assay.serving.versions.opened import Opened
from assay.serving.versions.stage import Stage, step_back

logger = logging.getLogger("bentoml.assay.versions")
BYTES = 16 * 1024 * 1024
"""Of a log before it is renamed to `.1`, whose last content goes."""
WAITING = 8
"""Lists that may wait for the challenger."""


@dataclass(frozen=True)
class Shadowed:
    """What the challenger made of one list.

    Attributes:
        time: Seconds since 1970.
        request_id: Of the request.
        champion: Version that answered.
        challenger: Version that scored it too.
        rows: Items of the list.
        correlation: Spearman's, of the scores.
        top_agrees: Whether both put the same item first.
        ndcg: nDCG@10 of the challenger's order, the champion's scores, put on [0, 1], being the gains.
    """

    time: float
    request_id: str
    champion: str
    challenger: str
    rows: int
    correlation: float
    top_agrees: bool
    ndcg: float


def compared(champion: np.ndarray, challenger: np.ndarray) -> tuple[float, bool, float]:
    """(correlation, top_agrees, ndcg) of two models' scores of one list, each (n,); n is 2 or more."""
    first, second = np.asarray(champion, float), np.asarray(challenger, float)
    left, right = _ranks(first), _ranks(second)
    varied = np.ptp(left) > 0 and np.ptp(right) > 0
    correlation = float(np.corrcoef(left, right)[0, 1]) if varied else float(np.ptp(left) == np.ptp(right))
    # One of several that the champion has put first is as good as another.
    agrees = bool(first[np.argmax(second)] == first.max())
    spread = np.ptp(first)
    if spread == 0:
        return correlation, agrees, 1.0
    gains = (first - first.min()) / spread
    discount = 1 / np.log2(np.arange(2, 12))[: len(first)]
    found = gains[np.argsort(-second, kind="stable")][:10] @ discount
    return correlation, agrees, float(found / (np.sort(gains)[::-1][:10] @ discount))


def _ranks(scores: np.ndarray) -> np.ndarray:
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts - 1) / 2)[place]


class Shadow:
    """Has the challenger score a share of the lists, after they were answered and behind all else.

    Args:
        stage: Holds the challenger, and says which requests it gets.
        file: JSON lines go there; None keeps none. Bounded: two files of 16 MB at most.
        busy: Whether the queue has better things to do; a list that comes then is left out.
        told: Is given each comparison; for metrics.

    Attributes:
        skipped: Lists left out, for the queue was busy or the challenger behind.
        failed: Lists that the challenger could not score.
    """

    def __init__(
        self,
        stage: Stage,
        file: Path | None = None,
        busy: Callable[[], bool] = lambda: False,
        told: Callable[[Shadowed], None] = lambda found: None,
    ):
        self._stage, self._file, self._busy, self._told = stage, file, busy, told
        self._thread = ThreadPoolExecutor(1, "assay-shadow", initializer=step_back)
        self._waiting = threading.BoundedSemaphore(WAITING)
        self.skipped = self.failed = 0

    def consider(
        self,
        key: str,
        request_id: str,
        champion: str,
        rows: Sequence[tuple[str, str]],
        scores: Sequence[float] | np.ndarray,
    ) -> None:
        """Take a list that was answered, perhaps. Returns at once.

        Args:
            key: As `Stage.using` took it.
            request_id: Of the request.
            champion: Version that answered.
            rows: (context, item) texts, two or more.
            scores: (n,) of the champion.
        """
        with contextlib.ExitStack() as held:
            model = held.enter_context(self._stage.shadowing(key))
            if model is None or len(rows) < 2:
                return
            if self._busy() or not self._waiting.acquire(blocking=False):
                self.skipped += 1
                return
            held.callback(self._waiting.release)
            kept = held.pop_all()
        try:
            self._thread.submit(
                self._score, kept, model, request_id, champion, list(rows), np.asarray(scores)
            )
        except RuntimeError:  # The process ends.
            kept.close()

    def close(self) -> None:
        """End the thread; what waits is left out."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _score(
        self,
        held: contextlib.ExitStack,
        model: Opened,
        request_id: str,
        champion: str,
        rows: list[tuple[str, str]],
        scores: np.ndarray,
    ) -> None:
        with held:
            try:
                theirs = model.score(rows)
                found = Shadowed(
                    round(time.time(), 3),
                    request_id,
                    champion,
                    model.version,
                    len(rows),
                    *compared(scores, theirs),
                )
                self._log(found)
                self._told(found)
            except Exception as error:  # The error's text may be a user's.
                self.failed += 1
                logger.error("the challenger could not score a list: %s", type(error).__name__)

    def _log(self, found: Shadowed) -> None:
        if self._file is None:
            return
        try:
            if self._file.exists() and self._file.stat().st_size > BYTES:
                os.replace(self._file, self._file.with_name(f"{self._file.name}.1"))
            with self._file.open("a") as lines:
                lines.write(json.dumps(asdict(found)) + "\n")
        except OSError as error:
            logger.error("the shadow log cannot be written: %s", error.strerror)
