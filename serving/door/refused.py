"""An answer that says no: its status, its reason for people and for the metrics."""

from __future__ import annotations

import json
import math


class Refused(Exception):  # noqa: N818 - an answer, not a fault
    """The request is not answered.

    Attributes:
        status: Of the answer.
        reason: One word, for the metrics.
        retry_after: Seconds after which to ask again, or None.
        body: JSON: {"error": what is wrong and what to do}.
    """

    def __init__(self, status: int, reason: str, error: str, retry_after: float | None = None):
        super().__init__(error)
        self.status = status
        self.reason = reason
        self.retry_after = retry_after
        self.body = json.dumps({"error": error}).encode()

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """Of the answer."""
        found = [(b"content-type", b"application/json"), (b"content-length", str(len(self.body)).encode())]
        if self.retry_after is not None:
            # The header knows whole seconds alone.
            found.append((b"retry-after", str(max(1, math.ceil(self.retry_after))).encode()))
        return found
