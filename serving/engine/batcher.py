"""The batcher: rows of many requests, in batches of similar length under a token budget."""

from __future__ import annotations

import asyncio
import logging
import math
import statistics
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np

logger = logging.getLogger("bentoml.assay")
SHARE = 1 / 3
"""Of the time to a deadline that may be spent waiting, as foreseen: what is foreseen is an average."""
READ_SHARE = 2 / 3
"""The same for a request that is read and tokenised: most of what refusing it would save is spent."""
PACES = 9
"""Batches of which the pace is the median; told from half of them."""


class Row(Protocol):
    """A tokenised text or pair."""

    @property
    def ids(self) -> list[int]:
        """Its tokens."""


class Part(Protocol):
    """What computes rows: a network and the padding of its tokenizer. Compared by identity."""

    def compute(self, rows: Sequence[Row]) -> np.ndarray:
        """(n, width) float32 of n rows, in their order; called in the batcher's thread."""


class Watcher(Protocol):
    """Is told what the batcher does."""

    def batch(self, part: Part, rows: int, tokens: int, padded: int, seconds: float, whose: list) -> None:
        """A batch was computed: its rows, their tokens, the tokens with padding, and how long it took."""

    def queued(self, seconds: float, whose: object) -> None:
        """How long a request's first row waited."""

    def failed(self, part: Part, rows: int) -> None:
        """Rows that failed alone."""

    def cancelled(self, rows: int) -> None:
        """Rows that nobody waits for any more were dropped uncomputed."""


class Full(Exception):  # noqa: N818 - an answer, not a fault
    """The queue takes no more now.

    Attributes:
        seconds: After which it is worth asking again.
    """

    def __init__(self, seconds: float):
        super().__init__(f"the queue is full: ask again in {seconds:.1f} s")
        self.seconds = seconds


class TooLate(Exception):  # noqa: N818 - an answer, not a fault
    """The deadline passed before the rows were computed."""


class Ended(Exception):  # noqa: N818 - an answer, not a fault
    """The batcher was closed or had a fault of its own: nothing is computed any more."""


class RowFailed(Exception):  # noqa: N818 - named for what it says
    """A row cannot be computed, even alone.

    Attributes:
        index: Of the row among those that were submitted.
        why: Type of the exception.
    """

    def __init__(self, index: int, why: str):
        super().__init__(f"row {index} cannot be computed: {why}")
        self.index = index
        self.why = why


@dataclass(eq=False)
class _Waiting:
    """Rows of one request: those not yet taken are `left`, longest first."""

    part: Part
    rows: Sequence[Row]
    deadline: float
    whose: object
    entered: float
    future: asyncio.Future
    left: list[int]
    out: np.ndarray | None = None
    missing: int = 0
    begun: bool = False


class Batcher:
    """A bounded queue of rows before one computing thread.

    A batch holds the longest row of the request that has waited longest, and beside it the rows of all
    requests that are nearest to it in length: no request starves, and little is padded. A batch that fails is
    halved until the row is found that fails alone. Rows whose request was cancelled, or is too late, are
    dropped; at most the batch under way is computed for nobody.

    Args:
        batch_tokens: Of a batch, padding included; a longer row is a batch of its own.
        queue_tokens: That may wait; above it `submit` raises `Full`.
        watcher: Is told what happens.
        clock: Seconds, for tests.
    """

    def __init__(
        self,
        batch_tokens: int,
        queue_tokens: int,
        watcher: Watcher,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.batch_tokens = batch_tokens
        self.queue_tokens = queue_tokens
        self.watcher = watcher
        self.clock = clock
        self.waiting: deque[_Waiting] = deque()
        self.waiting_tokens = 0
        self.pace = 0.0
        """Seconds a token, the median of the last batches that were half full or more; 0 before some were."""
        self._paces: deque[float] = deque(maxlen=PACES)
        self._computing = 0
        self._closing = False
        self._wake = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="compute")
        self._task: asyncio.Task | None = None
        self._futures: set[asyncio.Future] = set()
        """Of all requests that are not answered."""

    def start(self) -> None:
        """Begin to compute; within the event loop that will submit."""
        self._task = asyncio.get_running_loop().create_task(self._work(), name="batcher")
        self._task.add_done_callback(self._on_end)

    async def close(self) -> None:
        """Compute what waits, then end."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await asyncio.wait([self._task])
        self._thread.shutdown(wait=True)

    @property
    def alive(self) -> bool:
        """Whether it computes; false for good after a fault of its own."""
        return self._task is not None and not self._task.done()

    @property
    def wait(self) -> float:
        """Seconds that a row would wait which came now, by the pace of the last batches."""
        return (self.waiting_tokens + self._computing) * self.pace

    def admit(self, tokens: int, deadline: float, share: float = SHARE) -> None:
        """Say no to what would not be answered in time.

        Args:
            tokens: That are to be queued; 0 where this is not known yet.
            deadline: By the clock.
            share: Of what is left until then that the queue may take.

        Raises:
            Full: The queue has no place, or its wait would take more than its share.
        """
        # What is larger than the whole queue is still computed when nothing else waits.
        if self.waiting and self.waiting_tokens + tokens > self.queue_tokens:
            raise Full(max(self.wait / 2, 0.1))
        # The rest is for what is not foreseen: a queue filled up to the deadline is late as a whole.
        late = self.wait + tokens * self.pace - (deadline - self.clock()) * share
        if self.waiting and late > 0:
            raise Full(max(late, 0.1))

    async def submit(
        self, part: Part, rows: Sequence[Row], deadline: float = math.inf, whose: object = None
    ) -> np.ndarray:
        """Compute rows.

        Args:
            part: What computes them.
            rows: n rows, n > 0.
            deadline: By the clock; rows not computed by then are dropped.
            whose: Given to the watcher with their batches.

        Returns:
            (n, width) float32, in the order of `rows`.

        Raises:
            Full: Not taken.
            TooLate: Dropped.
            RowFailed: A row fails even alone.
            Ended: Nothing is computed any more.
        """
        if not self.alive:
            raise Ended
        lengths = [len(row.ids) for row in rows]
        self.admit(sum(lengths), deadline, READ_SHARE)
        left = sorted(range(len(rows)), key=lengths.__getitem__)
        entry = _Waiting(
            part, rows, deadline, whose, self.clock(), asyncio.get_running_loop().create_future(), left,
            missing=len(rows),
        )  # fmt: skip
        self.waiting.append(entry)
        self.waiting_tokens += sum(lengths)
        self._futures.add(entry.future)
        self._wake.set()
        try:
            return await entry.future
        finally:
            self._futures.remove(entry.future)
            self._drop(entry)

    def _drop(self, entry: _Waiting) -> None:
        """Forget the rows of a request that are not taken yet."""
        if not entry.left:
            return
        self.waiting_tokens -= sum(len(entry.rows[i].ids) for i in entry.left)
        self.watcher.cancelled(len(entry.left))
        entry.left = []
        self.waiting.remove(entry)

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            batch = self._take()
            if not batch:
                if self._closing:
                    return
                self._wake.clear()
                await self._wake.wait()
                continue
            part, rows = batch[0][0].part, [entry.rows[i] for entry, i in batch]
            tokens = self._computing = sum(len(row.ids) for row in rows)
            padded = len(rows) * max(len(row.ids) for row in rows)
            started = self.clock()
            results = await loop.run_in_executor(self._thread, _computed, part, rows)
            seconds = self.clock() - started
            self._computing = 0
            self._learn(tokens, seconds)
            self.watcher.batch(part, len(rows), tokens, padded, seconds, [entry.whose for entry, _ in batch])
            if failed := sum(isinstance(result, Exception) for result in results):
                self.watcher.failed(part, failed)
            for (entry, i), result in zip(batch, results, strict=True):
                self._give(entry, i, result)

    def _on_end(self, task: asyncio.Task) -> None:
        """After a fault, let nobody wait for what will not be computed."""
        if task.cancelled() or (fault := task.exception()) is None:
            return
        # Nobody awaits the task, so nobody else would say why the process has to be started anew.
        logger.error("the batcher ended", exc_info=fault)
        for future in self._futures:
            if not future.done():
                future.set_exception(Ended())

    def _take(self) -> list[tuple[_Waiting, int]]:
        """The next batch, its rows taken out of the queue; empty where nothing waits."""
        now = self.clock()
        for entry in [each for each in self.waiting if each.deadline <= now]:
            if not entry.future.done():
                entry.future.set_exception(TooLate())
            self._drop(entry)
        if not self.waiting:
            return []
        first = self.waiting[0]
        longest = len(first.rows[first.left[-1]].ids)
        others: list[tuple[int, _Waiting, int]] = []
        # Enough to choose well from; the whole queue may be long.
        room = 8 * self.batch_tokens
        for entry in self.waiting:
            if entry.part is not first.part:
                continue
            for i in entry.left:
                length = len(entry.rows[i].ids)
                others.append((length, entry, i))
                room -= length
            if room <= 0:
                break
        others.sort(key=lambda one: one[0])
        place = max(k for k, one in enumerate(others) if one[1] is first and one[0] == longest)
        low = high = place
        while low > 0 and (high - low + 2) * longest <= self.batch_tokens:
            low -= 1
        # All that is shorter is in: longer rows may follow, while what they pad is within the budget.
        while (
            high + 1 < len(others) and low == 0
            and (high - low + 2) * others[high + 1][0] <= self.batch_tokens
        ):  # fmt: skip
            high += 1
        taken = others[low : high + 1]
        for length, entry, i in taken:
            entry.left.remove(i)
            self.waiting_tokens -= length
            if not entry.begun:
                entry.begun = True
                self.watcher.queued(now - entry.entered, entry.whose)
            if not entry.left:
                self.waiting.remove(entry)
        return [(entry, i) for _, entry, i in taken]

    def _learn(self, tokens: int, seconds: float) -> None:
        # A small batch, or one that is mostly padding, costs more a token, and says nothing of how fast a
        # queue would be worked off. Nor does a single one that the machine held up, as it does the first.
        if 2 * tokens >= self.batch_tokens:
            self._paces.append(seconds / tokens)
            if 2 * len(self._paces) > PACES:
                self.pace = statistics.median(self._paces)

    def _give(self, entry: _Waiting, index: int, result: np.ndarray | Exception) -> None:
        if entry.future.done():
            return
        if isinstance(result, Exception):
            # Its name alone: a message may quote the text.
            entry.future.set_exception(RowFailed(index, type(result).__name__))
            return
        if entry.out is None:
            entry.out = np.empty((len(entry.rows), len(result)), dtype=np.float32)
        entry.out[index] = result
        entry.missing -= 1
        if not entry.missing:
            entry.future.set_result(entry.out)


def _computed(part: Part, rows: list[Row]) -> list[np.ndarray | Exception]:
    """The result of each row, or why it has none: a batch that fails is halved until each row is alone."""
    try:
        out = part.compute(rows)
        if not np.isfinite(out).all():
            # A row whose numbers overflow may take the others of its batch with it.
            raise ArithmeticError("not finite numbers")
        return list(out)
    except Exception as error:
        if len(rows) == 1:
            return [error]
        half = len(rows) // 2
        return _computed(part, rows[:half]) + _computed(part, rows[half:])
