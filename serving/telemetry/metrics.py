"""Every metric of the service, in one place: what it counts, its labels and their values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, NamedTuple, Protocol

from assay.serving.telemetry.instruments import Counter, Gauge, Histogram

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client.core import Metric

ROUTES = ("/rank", "/v1/rerank", "/score", "/embed", "/info", "/feedback")
"""Any other path is `other`: a caller must not be able to make label values."""

STAGES = ("parse", "tokenise", "queue", "model", "respond")
"""`model` is observed once a batch, the others once a request."""

REASONS = (
    "route",
    "key",
    "body",
    "invalid",
    "failed",
    "ended",
    "full",
    "deadline",
    "disk",
    "off",
    "gone",
    "other",
)
"""Why a request was turned away."""

SWAPS = ("swapped", "refused", "rolled_back", "other")
SHADOWS = ("compared", "skipped", "failed", "other")
EVENTS = ("accepted", "duplicate", "refused")
IMPRESSIONS = ("kept", "dropped")

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0)
STAGE_SECONDS = (0.0001, 0.00025, 0.0005, *SECONDS)
TOKENS = (64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
SHARES = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75)
CORRELATIONS = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 1.0)


class Queue(NamedTuple):
    """What waits in the batcher's queue, and how many tokens may."""

    requests: int
    tokens: int
    capacity_tokens: int


class FeedbackCounts(Protocol):
    """What is asked of a feedback log: `assay.serving.feedback.log.FeedbackLog` is one."""

    accepted: int
    duplicates: int
    refused: int
    impressions: int
    dropped: int
    bytes: int
    files: int
    failures: int

    @property
    def depth(self) -> int:
        """Rows that wait for the disk."""
        ...


class ShadowCounts(Protocol):
    """What is asked of a shadow: `assay.serving.versions.shadow.Shadow` is one."""

    skipped: int
    failed: int


def bounded(value: str, choices: tuple[str, ...]) -> str:
    """`value` if it is one of the choices, else `other`: a label must not grow."""
    return value if value in choices else "other"


def _each(*choices: str) -> list[tuple[str, ...]]:
    return [(choice,) for choice in choices]


def _histogram(name: str, description: str, *rest) -> Histogram:
    return field(default_factory=lambda: Histogram(name, description, *rest))


def _counter(name: str, description: str, *rest) -> Counter:
    return field(default_factory=lambda: Counter(name, description, *rest))


def _gauge(name: str, description: str, *rest) -> Gauge:
    return field(default_factory=lambda: Gauge(name, description, *rest))


@dataclass(frozen=True)
class Metrics:
    """The instruments. Names begin with `assay_`, units are seconds, bytes and tokens."""

    requests: Counter = _counter(
        "assay_requests_total", "Requests answered, by route and status.", ["route", "status"]
    )
    request_seconds: Histogram = _histogram(
        "assay_request_seconds",
        "Seconds from a request's arrival to its answer's last byte; without those answered 4xx.",
        SECONDS,
        ["route"],
    )
    in_flight: Gauge = _gauge("assay_requests_in_flight", "Requests that have arrived and are not answered.")
    rejected: Counter = _counter(
        "assay_rejected_total", "Requests turned away, by reason.", ["reason"], _each(*REASONS)
    )
    stage_seconds: Histogram = _histogram(
        "assay_stage_seconds",
        "Seconds of a stage: once a request; model once a batch.",
        STAGE_SECONDS,
        ["stage"],
        _each(*STAGES),
    )
    queue_requests: Gauge = _gauge("assay_queue_requests", "Requests that wait in the queue.")
    queue_tokens: Gauge = _gauge("assay_queue_tokens", "Tokens that wait in the queue.")
    queue_capacity: Gauge = _gauge("assay_queue_capacity_tokens", "Tokens that may wait in the queue.")
    batch_tokens: Histogram = _histogram(
        "assay_batch_tokens", "Tokens of one forward pass, padding included.", TOKENS
    )
    batch_rows: Histogram = _histogram("assay_batch_rows", "Rows of one forward pass.", ROWS)
    padding: Histogram = _histogram(
        "assay_batch_padding_share", "Share of a forward pass's tokens that is padding.", SHARES
    )
    model_rows: Counter = _counter(
        "assay_model_rows_total", "Rows that a version has computed, failed ones included.", ["version"]
    )
    model_tokens: Counter = _counter(
        "assay_model_tokens_total", "Tokens that a version has computed, without padding.", ["version"]
    )
    model_seconds: Counter = _counter(
        "assay_model_seconds_total", "Seconds of a version's forward passes.", ["version"]
    )
    failed_rows: Counter = _counter(
        "assay_failed_rows_total", "Rows that a version could not compute.", ["version"]
    )
    cancelled_rows: Counter = _counter(
        "assay_cancelled_rows_total",
        "Rows dropped from the queue: their caller left or their deadline passed.",
    )
    cache_hits: Counter = _counter("assay_cache_hits_total", "Rows found in the cache.")
    cache_misses: Counter = _counter("assay_cache_misses_total", "Rows that had to be computed.")
    model_info: Gauge = _gauge(
        "assay_model_info",
        "1 for each version that is open; its role is champion or challenger.",
        ["name", "version", "backend", "sha256", "role"],
    )
    swaps: Counter = _counter(
        "assay_swaps_total", "New versions that were offered, by outcome.", ["outcome"], _each(*SWAPS)
    )
    shadowed: Counter = _counter(
        "assay_shadow_total",
        "Lists for the challenger in the shadow, by outcome.",
        ["outcome"],
        _each(*SHADOWS),
    )
    shadow_correlation: Histogram = _histogram(
        "assay_shadow_score_correlation", "Correlation of challenger's and champion's scores.", CORRELATIONS
    )
    shadow_top1: Counter = _counter(
        "assay_shadow_top1_agreed_total", "Compared lists on whose first item both agree."
    )
    feedback_events: Counter = _counter(
        "assay_feedback_events_total", "Events that callers sent, by outcome.", ["outcome"], _each(*EVENTS)
    )
    feedback_impressions: Counter = _counter(
        "assay_feedback_impressions_total", "Shown items, by outcome.", ["outcome"], _each(*IMPRESSIONS)
    )
    feedback_bytes: Counter = _counter("assay_feedback_bytes_total", "Bytes written to the journal.")
    feedback_files: Counter = _counter("assay_feedback_files_total", "Parquet files that were published.")
    feedback_failures: Counter = _counter(
        "assay_feedback_publish_failures_total", "Tries to publish a Parquet file that failed."
    )
    feedback_queue: Gauge = _gauge("assay_feedback_queue_rows", "Rows that wait for the disk.")
    ready: Gauge = _gauge("assay_ready", "1 where /readyz answers 200, else 0.")

    def instruments(self) -> Iterator[Counter | Gauge | Histogram]:
        """All of them, in their order."""
        return (getattr(self, item.name) for item in fields(self))


class Exposition:
    """The text of `/metrics`: the instruments, and what the kernel says about this process.

    Args:
        metrics: The instruments.
    """

    def __init__(self, metrics: Metrics):
        self.metrics = metrics
        self.read_queue: Callable[[], Queue] | None = None
        self.feedback: FeedbackCounts | None = None
        self.shadow: ShadowCounts | None = None

    def collect(self) -> Iterator[Metric]:
        """Prometheus' metrics, read now."""
        from prometheus_client import ProcessCollector

        if self.read_queue is not None:
            queue = self.read_queue()
            self.metrics.queue_requests.set(queue.requests)
            self.metrics.queue_tokens.set(queue.tokens)
            self.metrics.queue_capacity.set(queue.capacity_tokens)
        if self.feedback is not None:
            self._take_feedback(self.feedback)
        if self.shadow is not None:
            self.metrics.shadowed.count_is(self.shadow.skipped, "skipped")
            self.metrics.shadowed.count_is(self.shadow.failed, "failed")
        for instrument in self.metrics.instruments():
            yield instrument.collect()
        yield from ProcessCollector(registry=None).collect()

    def _take_feedback(self, log: FeedbackCounts) -> None:
        for outcome, total in zip(EVENTS, (log.accepted, log.duplicates, log.refused), strict=True):
            self.metrics.feedback_events.count_is(total, outcome)
        for outcome, total in zip(IMPRESSIONS, (log.impressions, log.dropped), strict=True):
            self.metrics.feedback_impressions.count_is(total, outcome)
        self.metrics.feedback_bytes.count_is(log.bytes)
        self.metrics.feedback_files.count_is(log.files)
        self.metrics.feedback_failures.count_is(log.failures)
        self.metrics.feedback_queue.set(log.depth)

    def text(self) -> bytes:
        """UTF-8 in Prometheus' text format 0.0.4."""
        from prometheus_client import generate_latest

        return generate_latest(self)  # type: ignore[arg-type]
