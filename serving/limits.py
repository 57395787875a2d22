"""What the service accepts, read once from the environment and frozen."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields

from assay.components.core.errors import BadInput

PREFIX = "ASSAY_LIMIT_"
SUPERVISOR_SECONDS = 30
"""BentoML's supervisor kills a worker this long after SIGTERM: what is in flight must be answered before."""
MAY_BE_ZERO = ("cache_bytes", "drain_seconds")


@dataclass(frozen=True)
class Limits:
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
                raise BadInput(f"{PREFIX}{field.name.upper()} must be {least} or more")
        if self.drain_seconds + self.timeout_seconds >= SUPERVISOR_SECONDS:
            raise BadInput(
                f"{PREFIX}TIMEOUT_SECONDS is {self.timeout_seconds}, {PREFIX}DRAIN_SECONDS "
                f"{self.drain_seconds}: choose less than {SUPERVISOR_SECONDS} together, for that long after "
                "SIGTERM a worker is killed, and requests with it"
            )

    @classmethod
    def variables(cls) -> dict[str, str]:
        """Environment variable of each limit: {"ASSAY_LIMIT_ITEMS": "items", ...}."""
        return {PREFIX + field.name.upper(): field.name for field in fields(cls)}

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Limits:
        """Limits as the environment sets them, the defaults for the rest.

        Raises:
            BadInput: A value is no whole number, is too small, or a variable names no limit.
        """
        variables = cls.variables()
        unknown = sorted(name for name in environment if name.startswith(PREFIX) and name not in variables)
        if unknown:
            raise BadInput(f"{unknown[0]} names no limit: choose from {', '.join(variables)}")
        values = {}
        for variable, name in variables.items():
            if text := environment.get(variable, "").strip():
                if not text.isascii() or not text.isdigit():
                    raise BadInput(f"{variable}={text}: a whole number is needed")
                values[name] = int(text)
        return cls(**values)
