"""What the rest of serving calls: a few small methods, behind which are metrics, traces and logs."""

from __future__ import annotations

import contextlib
import random
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from assay.serving.telemetry import metrics as names
from assay.serving.telemetry.logs import log_access, write_logs
from assay.serving.telemetry.metrics import Exposition, FeedbackCounts, Metrics, Queue, ShadowCounts, bounded
from assay.serving.telemetry.request import Request, current
from assay.serving.telemetry.settings import TelemetrySettings
from assay.serving.telemetry.tracing import Tracing, wanted

PLAIN_ID = re.compile(rb"[A-Za-z0-9._:-]{1,64}")
"""An id of a caller that goes into logs as it is: too short and too plain for a sentence."""

REASON_OF = {400: "invalid", 404: "route", 405: "route", 499: "gone"}
"""What BentoML's own refusals are about."""

REFUSALS_LOGGED = 10
"""Answers 429 that are logged a second; `assay_rejected_total` has them all."""

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class Model(NamedTuple):
    """A version that is open; `role` is `champion` or `challenger`."""

    name: str
    version: str
    backend: str
    sha256: str
    role: str = "champion"


class Telemetry:
    """Metrics, traces and access log of one process.

    A new one counts for itself alone, traces nothing and logs nothing until `start`: what a unit test wants.
    Every method but `arrived` and `answered`, which are of the event loop, may be called from any thread, and
    none raises into a request.

    Args:
        settings: How logs are written.
    """

    def __init__(self, settings: TelemetrySettings | None = None):
        self.settings = settings or TelemetrySettings()
        self.metrics = Metrics()
        self.tracing: Tracing | None = None
        self._exposition = Exposition(self.metrics)
        self._in_flight = 0
        self._second = self._logged = 0
        self.metrics.in_flight.set(0)
        self.metrics.ready.set(0)

    @classmethod
    def from_environment(cls) -> Telemetry:
        """Settings from the environment, and logs written by them from now on.

        Raises:
            BadInput: A variable of ours or of OpenTelemetry asks for what is not there.
        """
        telemetry = cls(TelemetrySettings.from_environment())
        wanted()
        write_logs(telemetry.settings)
        return telemetry

    def start(self) -> None:
        """Begin to trace, if it is wanted. In the process that serves: an exporter has a thread."""
        self.tracing = self.tracing or Tracing.from_environment()

    def close(self) -> None:
        """Send the spans that are left; may take the exporter's timeout."""
        tracing, self.tracing = self.tracing, None
        if tracing is not None:
            tracing.close()

    # A request, called by the middleware `Observed`.

    def arrived(self, path: str, method: str, headers: Sequence[tuple[bytes, bytes]]) -> Request:
        """A request has come; give it to `answered` when it is over."""
        given = next((value for name, value in headers if name == b"x-request-id"), b"")
        request = Request(
            id=given.decode() if PLAIN_ID.fullmatch(given) else f"{random.getrandbits(64):016x}",
            route=bounded(path, names.ROUTES),
            method=bounded(method, METHODS),
            started=time.perf_counter(),
        )
        self._in_flight += 1
        self.metrics.in_flight.set(self._in_flight)
        if self.tracing is not None:
            self.tracing.arrived(request, headers)
        return request

    def answered(self, request: Request) -> None:
        """A request is over: count it, log it, end its span."""
        seconds = time.perf_counter() - request.started
        self._in_flight -= 1
        self.metrics.in_flight.set(self._in_flight)
        self.metrics.requests.inc(request.route, str(request.status))
        if not 400 <= request.status < 500:
            self.metrics.request_seconds.observe(seconds, request.route)
        elif not request.rejected:
            # BentoML has refused it, and tells nobody why.
            self._rejected(request, REASON_OF.get(request.status, "other"))
        if request.span is not None and self.tracing is not None:
            self.tracing.answered(request)
        if request.status != 429 or self._one_of_few():
            log_access(request, seconds, self.settings.access_log)

    def _one_of_few(self) -> bool:
        """Whether a request that was too many is still logged: a line costs as much as refusing it."""
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._logged = second, 0
        self._logged += 1
        return self._logged <= REFUSALS_LOGGED

    def rejected(self, reason: str) -> None:
        """The request of this task is turned away.

        Args:
            reason: One of `metrics.REASONS`.
        """
        self._rejected(current.get(), bounded(reason, names.REASONS))

    def _rejected(self, request: Request | None, reason: str) -> None:
        self.metrics.rejected.inc(reason)
        if request is not None:
            request.rejected = reason

    def parsed(self) -> None:
        """The body of this task's request is read and checked: all since its arrival was `parse`."""
        if (request := current.get()) is not None:
            self.took("parse", time.perf_counter() - request.started, request)

    # The engine.

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Times a stage of the request of this task.

        Args:
            name: One of `metrics.STAGES`.
        """
        request, failed, started = current.get(), "", time.perf_counter()
        try:
            yield
        except BaseException as error:
            failed = type(error).__name__
            raise
        finally:
            self.took(name, time.perf_counter() - started, request, failed)

    def took(self, name: str, seconds: float, request: Request | None, failed: str = "") -> None:
        """A stage of a request, or of none, has ended just now.

        Args:
            name: One of `metrics.STAGES`.
            seconds: That it took.
            request: Whose stage it was.
            failed: Type of the exception that ended it; empty if none did.
        """
        self.metrics.stage_seconds.observe(seconds, bounded(name, names.STAGES))
        if request is not None and request.span is not None and self.tracing is not None:
            self.tracing.stage(request, name, seconds, failed)

    def computed(
        self,
        rows: int,
        tokens: int,
        padded_tokens: int,
        version: str,
        seconds: float,
        requests: Iterable[Request | None] = (),
    ) -> None:
        """A batch was computed, just now.

        Args:
            rows: Of the batch, those that failed included.
            tokens: Of its rows, without padding.
            padded_tokens: Rows times width.
            version: That computed them.
            seconds: That it took.
            requests: Whose rows they are: `current.get()` of each when it was queued.
        """
        metrics = self.metrics
        metrics.stage_seconds.observe(seconds, "model")
        metrics.batch_tokens.observe(padded_tokens)
        metrics.batch_rows.observe(rows)
        metrics.padding.observe(1 - tokens / padded_tokens if padded_tokens else 0.0)
        metrics.model_seconds.inc(version, by=seconds)
        metrics.model_rows.inc(version, by=rows)
        metrics.model_tokens.inc(version, by=tokens)
        if self.tracing is not None:
            once = {id(request): request for request in requests if request is not None}
            about = {
                "assay.batch.rows": rows,
                "assay.batch.tokens": tokens,
                "assay.batch.padded_tokens": padded_tokens,
                "assay.version": version,
            }
            self.tracing.batch(once.values(), seconds, about)

    def failed_rows(self, rows: int, version: str) -> None:
        """Rows that failed alone."""
        self.metrics.failed_rows.inc(version, by=rows)

    def cancelled_rows(self, rows: int) -> None:
        """Rows that left the queue uncomputed."""
        self.metrics.cancelled_rows.inc(by=rows)

    def cache(self, hits: int, misses: int) -> None:
        """Look-ups in the cache of scores and vectors."""
        self.metrics.cache_hits.inc(by=hits)
        self.metrics.cache_misses.inc(by=misses)

    def queue_from(self, read: Callable[[], Queue]) -> None:
        """Ask the batcher at each scrape what waits."""
        self._exposition.read_queue = read

    # Versions.

    def ready(self, is_ready: bool) -> None:
        """What `/readyz` answers from now on."""
        self.metrics.ready.set(int(is_ready))

    def models(self, *models: Model) -> None:
        """All versions that are open from now on."""
        self.metrics.model_info.replace({tuple(model): 1.0 for model in models})
        for model in models:
            # Shown as 0 from the start: a rate does not see the step to a first sample.
            self.metrics.model_rows.inc(model.version, by=0)
            self.metrics.failed_rows.inc(model.version, by=0)

    def swap(self, outcome: str) -> None:
        """A version that was offered: one of `metrics.SWAPS`."""
        self.metrics.swaps.inc(bounded(outcome, names.SWAPS))

    def compared(self, correlation: float, top1: bool) -> None:
        """A list that the challenger has scored too.

        Args:
            correlation: Of the scores.
            top1: Whether both put the same item first.
        """
        self.metrics.shadowed.inc("compared")
        self.metrics.shadow_correlation.observe(correlation)
        if top1:
            self.metrics.shadow_top1.inc()

    def shadow_from(self, shadow: ShadowCounts) -> None:
        """Ask the shadow at each scrape for the lists that it left out, and those it failed on."""
        self._exposition.shadow = shadow

    # Feedback, and the page itself.

    def feedback_from(self, log: FeedbackCounts) -> None:
        """Ask the feedback log at each scrape what it has counted."""
        self._exposition.feedback = log

    def exposition(self) -> bytes:
        """The body of `/metrics`."""
        return self._exposition.text()
