"""How fast requests are answered, and so how long one that comes now would wait."""

from __future__ import annotations

import time
from collections.abc import Callable

FEW = 20
"""Intervals from which a mean is told; about as many of the last ones count in it."""


class Pace:
    """Learns the seconds from one answer to the next, while there is always one to be made.

    The queue's tokens say how long the networks need. They do not say what waits before the queue, to be read
    and checked, and in an overload of small requests that is most of it. By Little's law a request waits for
    as many answers as there are requests before it.

    Args:
        clock: Seconds, for tests.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._seconds = 0.0
        self._intervals = 0
        self._last: float | None = None

    def answered(self, present: int, read: float) -> None:
        """A request that was let in is over.

        Args:
            present: How many others are let in and not over.
            read: When its body was here, by the clock. What comes long after the last answer was not waited
                for: those present may be callers who are slow to send.
        """
        now = self._clock()
        if self._last is not None:
            self._intervals += 1
            self._seconds += (now - max(self._last, read) - self._seconds) / min(self._intervals, FEW)
        # An interval in which nobody waited says how rare requests are, not how fast they are answered.
        self._last = now if present else None

    def wait(self, present: int) -> float:
        """Seconds to the answer of a request that comes after so many others; 0 where little is known.

        A mean of one or two long answers would turn away short ones that nothing keeps waiting.
        """
        return present * self._seconds if self._intervals >= FEW else 0.0
