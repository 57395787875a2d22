"""What is known of the request under way: until when it is worth answering, and by which version it was."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass

DEADLINES = (b"x-deadline-ms", b"x-envoy-expected-rq-timeout-ms")
"""Milliseconds that the caller still waits: ours, and what Envoy tells the services behind it."""


@dataclass
class Asked:
    """A request that was let in.

    Attributes:
        began: When it came, `time.monotonic()`.
        deadline: Until when it is worth answering.
        read: When its body was here whole; `began` before, and where it has none.
        version: Number of the model version that answers; "" before.
        status: Of the answer from behind the door; 0 before, and where there is none.
    """

    began: float
    deadline: float
    read: float
    version: str = ""
    status: int = 0


ASKED: ContextVar[Asked] = ContextVar("asked")
"""Of the task that answers."""


def asked(headers: Mapping[bytes, bytes], timeout: float) -> Asked:
    """What the headers say of a request.

    Args:
        headers: By lower-case name.
        timeout: Seconds that it may take at most, whatever the caller would wait.

    Raises:
        ValueError: A deadline is no whole number above 0; the message says which.
    """
    for name in DEADLINES:
        if text := headers.get(name, b"").strip():
            if not text.isdigit() or not int(text[:12]):
                raise ValueError(f"{name.decode()}: a whole number of milliseconds above 0 is needed")
            timeout = min(timeout, int(text[:12]) / 1000)
    began = time.monotonic()
    return Asked(began, began + timeout, began)
