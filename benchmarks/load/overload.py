"""Four times as many requests as the server can answer: what it still answers in time."""

from __future__ import annotations

import statistics
from typing import Any

from assay.components.core.progress import say

from . import bodies
from .found import Found
from .generator import closed, load, open_loop
from .model import bundle
from .servers import Server, ours, running

TIMES = 4
DEADLINE = 1.0
"""Seconds, told to the server in X-Deadline-Ms; an answer that comes later is no good to its caller."""

CALLERS = (16, 32, 64)
"""The peak is the most that any of these gets."""


def peak(server: Server, requests: list[bytes], seconds: float) -> dict[str, float]:
    """Answers a second within the deadline, of so many callers."""
    return {
        str(c): load(closed, server.target, requests, c, seconds).summary(DEADLINE)["good_per_second"]
        for c in CALLERS
    }


def overload(quick: bool) -> Found:
    """Goodput at four times the peak, of `/embed` of one title and of `/rank` of 20; Poisson arrivals.

    The peak and the overload are measured in the same round; latencies count from when a request was meant.
    """
    rounds, seconds = (1, 4.0) if quick else (3, 15.0)
    headers, texts = {"X-Deadline-Ms": str(int(DEADLINE * 1e3))}, bodies.Texts()
    figures: dict[str, Any] = {"times": TIMES, "deadline_seconds": DEADLINE, "rounds": rounds}
    budget: dict[str, tuple[float, str, float]] = {}
    with running(server := ours(bundle())):
        kinds = {
            "one title": [bodies.embed(texts.title(), headers) for _ in range(40_000)],
            "20 candidates": texts.ranks(2_000, headers),
        }
        for kind, requests in kinds.items():
            found = []
            for _ in range(rounds):
                peaks = peak(server, requests, seconds / 2)
                most = max(peaks.values())
                seen = load(open_loop, server.target, requests, TIMES * most, seconds, wait=DEADLINE + 4)
                told = seen.summary(DEADLINE) | {"peaks": peaks, "failed": seen.failed()}
                told["share"] = told["good_per_second"] / most
                found.append(told)
                say(
                    "serving",
                    f"{kind}: peak {most:.0f}/s, at {TIMES} times that {told['good_per_second']:.0f}/s good "
                    f"({told['share']:.2f}), p99 {told['p99_ms']:.0f} ms, {told['statuses']}",
                )
            figures[kind] = found
            share = statistics.median(each["share"] for each in found)
            p99 = statistics.median(each["p99_ms"] for each in found)
            budget |= {
                f"goodput at 4x / peak, {kind}": (share, ">=", 0.8),
                f"p99 of accepted at 4x, {kind}, ms": (p99, "<=", DEADLINE * 1e3),
            }
        figures["memory"] = server.memory()
    return Found(figures, budget)
