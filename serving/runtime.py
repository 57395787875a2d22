"""What one serving process holds: what is served, the engine, the feedback log; how it begins and ends."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from assay.serving.door.asked import ASKED
from assay.serving.door.refused import Refused
from assay.serving.engine.batcher import Batcher, Ended, Full, RowFailed, TooLate
from assay.serving.engine.cache import Cache
from assay.serving.engine.compute import Compute
from assay.serving.engine.served import ServedModel
from assay.serving.engine.watching import Watching
from assay.serving.feedback.log import FeedbackLog
from assay.serving.feedback.settings import FeedbackSettings
from assay.serving.limits import Limits
from assay.serving.telemetry.metrics import Queue
from assay.serving.telemetry.telemetry import Model, Telemetry
from assay.serving.versions.opening import open_stage
from assay.serving.versions.shadow import Shadow, Shadowed

logger = logging.getLogger("bentoml.assay")
SWITCH_SECONDS = 0.0005
"""How long a batch that is done waits for the event loop to let go, several times; by default 5 ms."""


class Runtime:
    """One process's engine; not started until `start`.

    Attributes:
        stage: Which version answers; there is none before `start`.
        compute: Scores and vectors.
        shadow: Has the challenger score a share of the lists too; there is none before `start`.
        feedback: Where lists and events are kept, or None.
        draining: Whether the end was asked for: not ready any more, though all that comes is still answered.
    """

    def __init__(self, limits: Limits, telemetry: Telemetry):
        self.limits = limits
        self.telemetry = telemetry
        self.batcher = Batcher(limits.batch_tokens, limits.queue_tokens, Watching(telemetry))
        self.compute = Compute(self.batcher, Cache(limits.cache_bytes), telemetry)
        self.feedback: FeedbackLog | None = None
        self.feedback_settings = FeedbackSettings.from_environment()
        self.draining = False

    async def start(self) -> None:
        """Open what is to be served, warm it up, and begin to answer.

        Raises:
            BadInput: The bundle is damaged, or the feedback folder cannot be used.
        """
        sys.setswitchinterval(SWITCH_SECONDS)
        self.stage = open_stage(self._version_changed)
        self._tell_versions()
        log = self.stage.settings.shadow_log
        self.shadow = Shadow(self.stage, Path(log) if log else None, self._busy, self._compared)
        self.telemetry.shadow_from(self.shadow)
        self.telemetry.start()
        self.batcher.start()
        self.telemetry.queue_from(
            lambda: Queue(len(self.batcher.waiting), self.batcher.waiting_tokens, self.limits.queue_tokens)
        )
        if self.feedback_settings.on:
            self.feedback = FeedbackLog(self.feedback_settings)
            await self.feedback.start()
            self.telemetry.feedback_from(self.feedback)
        self._watch = asyncio.create_task(self.stage.watch(), name="versions")
        self._drain_on_signal()
        # What is there now stays: looking through it again for garbage took a third of the event loop's time
        # in an overload, and stopped it for as long as a batch takes.
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 20)
        self.telemetry.ready(True)

    async def close(self) -> None:
        """Answer what waits, keep what was told, and end."""
        self._watch.cancel()
        await self.batcher.close()
        if self.feedback is not None:
            await self.feedback.close()
        self.shadow.close()
        self.stage.close()
        self.telemetry.close()

    @property
    def ready(self) -> bool:
        """Whether new requests are welcome."""
        return self.batcher.alive and not self.draining

    def admit(self, deadline: float) -> None:
        """Refuse what would not be answered by then.

        Raises:
            Refused: 429, with the seconds after which to ask again.
        """
        try:
            self.batcher.admit(0, deadline)
        except Full as full:
            raise _too_busy(full) from None

    def rejected(self, reason: str) -> None:
        """The request of this task was refused."""
        self.telemetry.rejected(reason)

    @contextlib.contextmanager
    def using(self, key: str) -> Iterator[ServedModel]:
        """The version that answers the request of this task; it stays open until the block ends.

        Args:
            key: What sticks to a version: of a user, a session, or else of the request.

        Raises:
            Refused: Of what the engine raises in the block: 429 where the queue is full, 504 where it was too
                late, 422 where a row cannot be computed, 503 where nothing is computed any more.
        """
        with self.stage.using(key) as model:
            ASKED.get().version = model.version
            try:
                yield model
            except Full as full:
                raise _too_busy(full) from None
            except TooLate:
                raise Refused(504, "deadline", "no answer within the deadline") from None
            except Ended:
                raise Refused(503, "ended", "the service is to be restarted: ask again", 5.0) from None
            except RowFailed as failed:
                raise Refused(422, "failed", f"{failed}; send the others without it") from None

    def _busy(self) -> bool:
        return self.batcher.waiting_tokens > self.limits.batch_tokens

    def _compared(self, found: Shadowed) -> None:
        self.telemetry.compared(found.correlation, found.top_agrees)

    def _version_changed(self, outcome: str, version: str) -> None:
        if outcome in ("swapped", "refused", "rolled back"):
            self.telemetry.swap(outcome.replace(" ", "_"))
        self._tell_versions()

    def _tell_versions(self) -> None:
        self.telemetry.models(
            *(
                Model(model.name, model.version, model.backend, model.sha256["ranker"], role)
                for role, model in self.stage.open_versions().items()
            )
        )

    def _drain_on_signal(self) -> None:
        """At SIGTERM first be not ready, so that a balancer sends the next requests elsewhere; then end.

        The server's own handler stops listening at once, and who connects then is turned away.
        """
        loop, end = asyncio.get_running_loop(), signal.getsignal(signal.SIGTERM)
        if not callable(end):
            return

        def drain(number: int, frame: FrameType | None) -> None:
            if self.draining or not self.limits.drain_seconds:
                # A second signal will not wait.
                self.draining = True
                end(number, frame)
                return
            self.draining = True
            self.telemetry.ready(False)
            loop.call_soon_threadsafe(lambda: loop.call_later(self.limits.drain_seconds, end, number, frame))

        signal.signal(signal.SIGTERM, drain)


def _too_busy(full: Full) -> Refused:
    return Refused(429, "full", str(full), full.seconds)
