"""The request that is being answered, as logs, metrics and traces see it."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Request:
    """One request from its arrival to its answer. It holds nothing of what the caller sent but an id.

    Attributes:
        id: The caller's `X-Request-ID` if it is a plain one, else a new one.
        route: One of the service's routes, or `other`.
        method: HTTP method, or `other`.
        started: `time.perf_counter()` at its arrival.
        status: Of the answer; 0 until it began.
        version: What `X-Model-Version` of the answer says; empty where there is none.
        rejected: Why it was turned away; empty if it was not.
        trace_id: 32 hex digits; empty where traces are off.
        span: Its OpenTelemetry span; None where it is not recorded.
    """

    id: str
    route: str
    method: str
    started: float
    status: int = 0
    version: str = ""
    rejected: str = ""
    trace_id: str = ""
    span: Any = None


current: ContextVar[Request | None] = ContextVar("request", default=None)
"""The request that this task answers; None outside of any."""
