"""The feedback log: takes lists and events from the event loop, keeps them, and publishes them.

served, add --> waiting --one write for all that wait--> journal --sealed--> parquet in the folder
                                   |
                                   `--> add returns: the event is kept
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from pathlib import Path

from assay.components.core.errors import BadInput
from assay.components.core.pseudonyms import id_key, pseudonym
from assay.serving.feedback.journal import Journal
from assay.serving.feedback.publishing import Folder
from assay.serving.feedback.records import (
    Accepted,
    Event,
    Served,
    Who,
    id_of,
    line_of_event,
    lines_of_list,
)
from assay.serving.feedback.settings import FeedbackSettings

logger = logging.getLogger("bentoml.assay.feedback")

REMEMBERED = 100_000
"""Events by whose ids one that is sent again is known; `ingest` knows the rest."""
TICK = 0.25
"""Seconds for which lists wait for others: nobody waits for them."""
RETRY = 5.0, 60.0
"""Seconds to the next try of a folder that cannot be reached: the first, doubled up to the last."""
_WRITE = 1 << 20
"""Bytes of one write, about: what waits may be large."""


class Full(RuntimeError):  # noqa: N818 - it says what the queue is
    """More waits than may wait: send it again later. Nothing of it is kept."""


class NotKept(RuntimeError):  # noqa: N818 - it says what became of the events
    """The disk did not take it: send it again. It may or may not be kept; its ids tell."""


class _Waiting:
    """Lists, or events that somebody waits for."""

    __slots__ = ("done", "rows", "write")

    def __init__(self, rows: int, write: Callable[[], bytes], done: asyncio.Future[None] | None) -> None:
        self.rows, self.write, self.done = rows, write, done


class FeedbackLog:
    """Keeps what was shown and what was done. Used from one event loop; disks are touched in two threads.

    Attributes:
        accepted: Events that were kept.
        duplicates: Events that were known already.
        refused: Events that were turned away, because too many waited or the disk did not take them.
        impressions: Shown items that were kept.
        dropped: Shown items that were not.
        bytes: Written to the journal.
        files: Parquet files published.
        failures: Tries to publish that failed.
    """

    def __init__(self, settings: FeedbackSettings) -> None:
        """Nothing is touched before `start`.

        Raises:
            BadInput: The settings name no folder, or one that no file system knows; or there is no key.
        """
        if not settings.on:
            raise BadInput("the feedback log is off: ASSAY_FEEDBACK_FOLDER names no folder")
        self.settings = settings
        self.accepted = self.duplicates = self.refused = 0
        self.impressions = self.dropped = 0
        self.bytes = self.files = self.failures = 0
        self._folder = Folder(settings.folder)
        self._journal = Journal(
            Path(settings.journal), settings.fsync, settings.rotate_rows, settings.rotate_seconds
        )
        self._who = _who(settings)
        self._waiting: list[_Waiting] = []
        self._depth = 0
        self._seen: OrderedDict[bytes, asyncio.Future[None] | None] = OrderedDict()
        self._over = False
        self._taking = False
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def depth(self) -> int:
        """Rows that wait for the disk."""
        return self._depth

    async def start(self) -> None:
        """Open the journal, take over what dead processes left, and begin.

        Raises:
            BadInput: The journal, or a local folder, cannot be written.
        """
        self._loop = asyncio.get_running_loop()
        self._disk = ThreadPoolExecutor(1, "feedback-journal")
        self._publisher = ThreadPoolExecutor(1, "feedback-publisher", _in_the_background)
        self._wake, self._ripe, self._stop = asyncio.Event(), asyncio.Event(), asyncio.Event()
        try:
            await self._loop.run_in_executor(self._disk, self._folder.check)
            await self._loop.run_in_executor(self._disk, self._journal.open)
        except BadInput:
            self._disk.shutdown()
            self._publisher.shutdown()
            raise
        self._taking = True
        self._ripe.set()
        self._tasks = [
            asyncio.create_task(work, name=f"feedback-{name}")
            for name, work in (
                ("write", self._writing()), ("tick", self._ticking()), ("publish", self._publishing()),
            )
        ]  # fmt: skip

    async def close(self) -> None:
        """Keep what waits, publish it, and end. What cannot be published is left for the next process."""
        if not self._taking:
            return
        self._taking = False
        writing, ticking, publishing = self._tasks
        self._stop.set()
        self._wake.set()
        self._ripe.set()
        await writing
        ticking.cancel()
        await asyncio.gather(ticking, publishing, return_exceptions=True)
        await self._loop.run_in_executor(self._disk, self._journal.seal)
        await self._publish()
        await self._loop.run_in_executor(self._disk, self._journal.close)
        self._disk.shutdown()
        self._publisher.shutdown()

    def served(self, impression: Served) -> None:
        """Keep a list soon. Never waits and never raises: what finds no room is dropped, and counted."""
        rows = len(impression.items)
        if not rows:
            return
        if not self._room(rows):
            self.dropped += rows
            return
        now = _now()
        self._wait(_Waiting(rows, lambda: lines_of_list(impression, now, self._who), None))

    async def add(self, events: Sequence[Event]) -> Accepted:
        """Keep events; returns when they are kept, as `fsync` says.

        Args:
            events: All of them are kept, or none is sure to be.

        Raises:
            Full: No room.
            NotKept: The disk did not take them.
        """
        now, fresh, others = _now(), [], []
        done: asyncio.Future[None] = self._loop.create_future()
        marks: list[bytes] = []
        for event in events:
            name = id_of(event, self._who)
            mark = _mark(name, event)
            if mark in self._seen or mark in marks:
                # It may be one that waits itself.
                others.append(self._seen.get(mark))
                continue
            marks.append(mark)
            fresh.append((event, name))
        if fresh:
            if not self._room(len(fresh)):
                self.refused += len(events)
                raise Full(f"{self._depth} rows wait for the disk: send the events again later")
            self._seen |= dict.fromkeys(marks, done)
            who = self._who
            self._wait(
                _Waiting(
                    len(fresh),
                    lambda: b"".join(line_of_event(event, name, now, who) for event, name in fresh),
                    done,
                )
            )
            self._wake.set()
            done.add_done_callback(lambda future: self._settled(future, marks))
            others.append(done)
        # A caller that hangs up takes nothing away from others who wait for the same event.
        for future in {future for future in others if future is not None}:
            try:
                await asyncio.shield(future)
            except OSError as error:
                self.refused += len(fresh)
                raise NotKept(f"the feedback journal cannot be written: {error.strerror}") from error
        self.duplicates += len(events) - len(fresh)
        return Accepted(len(fresh), len(events) - len(fresh))

    def _room(self, rows: int) -> bool:
        return self._taking and not self._over and self._depth + rows <= self.settings.queue_events

    def _wait(self, one: _Waiting) -> None:
        self._waiting.append(one)
        self._depth += one.rows

    def _settled(self, future: asyncio.Future[None], marks: list[bytes]) -> None:
        kept = future.exception() is None
        for mark in marks:
            if kept:
                self._seen[mark] = None
            else:
                self._seen.pop(mark, None)
        while len(self._seen) > REMEMBERED and next(iter(self._seen.values())) is None:
            self._seen.popitem(last=False)

    # -- the journal -----------------------------------------------------------------------------------------

    async def _writing(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                batch, self._waiting = self._waiting, []
                written = await self._loop.run_in_executor(self._disk, self._write, batch)
                for one, error in zip(batch, written, strict=True):
                    self._depth -= one.rows
                    self._tell(one, error)
                if self._journal.idle:
                    self._ripe.set()
            if self._stop.is_set():
                return

    def _tell(self, one: _Waiting, error: Exception | None) -> None:
        if one.done is not None:
            if error is None:
                self.accepted += one.rows
                one.done.set_result(None)
            else:
                one.done.set_exception(error)
        elif error is None:
            self.impressions += one.rows
        else:
            self.dropped += one.rows

    def _write(self, batch: list[_Waiting]) -> list[Exception | None]:
        """Why each could not be written; in the journal's thread."""
        errors: list[Exception | None] = []
        at = 0
        while at < len(batch):
            told: list[Exception | None] = []
            lines, rows, size = [], 0, 0
            while at < len(batch) and size < _WRITE:
                try:
                    lines.append(batch[at].write())
                    rows, size = rows + batch[at].rows, size + len(lines[-1])
                    told.append(None)
                except Exception as error:  # one that cannot be written takes nothing from the others
                    logger.error("feedback cannot be written as JSON: %s", type(error).__name__)
                    told.append(error)
                at += 1
            try:
                self._journal.append(b"".join(lines), rows)
                self.bytes += size
            except OSError as error:
                logger.error("the feedback journal cannot be written: %s", error.strerror)
                told = [one or error for one in told]
            errors += told
        return errors

    async def _ticking(self) -> None:
        looked = time.monotonic()
        while True:
            await asyncio.sleep(TICK)
            if time.monotonic() - looked > self.settings.rotate_seconds:
                looked = time.monotonic()
                await self._loop.run_in_executor(self._publisher, self._adopt)
                self._ripe.set()
            if self._waiting:
                self._wake.set()
            if self._journal.due():
                await self._loop.run_in_executor(self._disk, self._journal.seal)
                self._ripe.set()

    # -- the folder ------------------------------------------------------------------------------------------

    async def _publishing(self) -> None:
        pause = RETRY[0]
        while not self._stop.is_set():
            await self._ripe.wait()
            self._ripe.clear()
            if await self._publish():
                pause = RETRY[0]
                continue
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._stop.wait(), pause)
            pause = min(2 * pause, RETRY[1])
            self._ripe.set()

    async def _publish(self) -> bool:
        """Publish what is sealed; whether all of it was."""
        files, error, left = await self._loop.run_in_executor(self._publisher, self._publish_all)
        self.files += files
        self._over = left > self.settings.journal_bytes
        if error is not None:
            self.failures += 1
            logger.error("feedback cannot be published to %s: %s", self._folder.name, error)
        return error is None

    def _publish_all(self) -> tuple[int, Exception | None, int]:
        files = 0
        error: Exception | None = None
        for segment in self._journal.sealed():
            try:
                files += self._folder.publish(segment)
            except OSError as one:
                error = one
                break
            except Exception as one:  # a segment that cannot be read must not hold up those behind it
                error = one
        return files, error, self._journal.size()

    def _adopt(self) -> None:
        try:
            self._journal.adopt()
        except OSError as error:
            logger.error("journals of dead processes cannot be taken over: %s", error.strerror)


def _who(settings: FeedbackSettings) -> Who:
    if settings.users == "drop":
        return lambda value: None
    key = id_key()
    return lambda value: None if value is None else pseudonym(value, key)


def _mark(name: str, event: Event) -> bytes:
    """By what `ingest` tells events apart: the id, what was done, and to which item."""
    text = f"{name}\x1f{event.action}\x1f{event.item_id}"
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _now() -> int:
    return time.time_ns() // 1_000_000


def _in_the_background() -> None:
    # Publishing must not take the processor from the ranker.
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
