"""Progress of long work on stderr: a line now and then, readable in a log as well as on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
MARK = "assay|"
"""Starts each progress line, so that the launcher can tell it from other output."""


def say(step: str, text: str) -> None:
    """Print one progress line."""
    print(f"{MARK}{step}|{text}", file=sys.stderr, flush=True)


def steps(
    work: Iterable[T], step: str, unit: str, total: int | None = None, every: float = 3.0
) -> Iterator[T]:
    """Hand on the items of `work`, saying how many are done every few seconds.

    Args:
        work: Anything iterable.
        step: Name shown before the line.
        unit: What an item is.
        total: How many there will be, where known.
        every: Seconds between lines.
    """
    started = last = time.monotonic()
    for done, item in enumerate(work, start=1):
        yield item
        now = time.monotonic()
        if now - last >= every:
            last = now
            rate = done / (now - started)
            left = f" of {total}, {max(0.0, (total - done) / rate):.0f} s left" if total else ""
            say(step, f"{done}{left} {unit} ({rate:.1f}/s)")
