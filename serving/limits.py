"""What the service accepts, read once from the environment and frozen."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar

from assay.components.core.errors import BadInput
from assay.serving.settings import Settings

SUPERVISOR_SECONDS = 30
"""BentoML's supervisor kills a worker this long after SIGTERM: what is in flight must be answered before."""
MAY_BE_ZERO = ("cache_bytes", "drain_seconds")


@dataclass(frozen=True)
class Limits(Settings):
    """Bounds on one request and on the requests at one time; whole numbers.

    Each is set by `ASSAY_LIMIT_` and its name in capitals: `ASSAY_LIMIT_ITEMS=100`.

    Attributes:
        items: Candidates of a `/rank`, documents of a `/v1/rerank`, pairs of a `/score`, texts of an
            `/embed`, events of a `/feedback`.
        characters: Characters of one text. The tokenizer cuts far earlier; this bounds its work.
        body_bytes: Bytes of a request body.
        concurrency: Requests at one time, waiting included; more are answered 429.
        timeout_seconds: Seconds to an answer, waiting included; later is answered 504. A caller may ask for
            less.
        batch_tokens: Tokens of one forward pass, padding included.
        queue_tokens: Tokens that wait for one; more are answered 429.
        cache_bytes: Memory for scores and vectors of texts that come again; 0 keeps none.
        drain_seconds: Between "not ready" and the end, so that a balancer takes the service out first; 0 or
            more.
    """

    PREFIX: ClassVar = "ASSAY_LIMIT_"

    items: int = 256
    characters: int = 10_000
    body_bytes: int = 2 * 1024 * 1024
    concurrency: int = 256
    timeout_seconds: int = 20
    batch_tokens: int = 1024
    queue_tokens: int = 131_072
    cache_bytes: int = 64 * 1024 * 1024
    drain_seconds: int = 2

    def __post_init__(self):
        for field in fields(self):
            least = 0 if field.name in MAY_BE_ZERO else 1
            if getattr(self, field.name) < least:
                raise BadInput(f"{self.variable(field.name)} must be {least} or more")
        if self.drain_seconds + self.timeout_seconds >= SUPERVISOR_SECONDS:
            raise BadInput(
                f"ASSAY_LIMIT_TIMEOUT_SECONDS is {self.timeout_seconds}, ASSAY_LIMIT_DRAIN_SECONDS "
                f"{self.drain_seconds}: choose less than {SUPERVISOR_SECONDS} together, for that long after "
                "SIGTERM a worker is killed, and requests with it"
            )
