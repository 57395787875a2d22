"""Four times as many requests as the server can answer: what it still answers in time."""

from __future__ import annotations

import statistics
from typing import Any

from assay.components.core.progress import say

from . import bodies
from .found import Found
from .generator import load, open_loop
from .model import bundle
from .servers import ours, running
from .steady import FASTEST, answered

TIMES = 4
DEADLINE = 1.0
"""Seconds, told to the server in X-Deadline-Ms; an answer that comes later is no good to its caller."""

CALLERS = (4, 16, 32)
"""The peak is the most that any of these gets."""


def overload(quick: bool) -> Found:
    """Goodput at four times the peak, of `/score` of one title and of `/rank` of 20; Poisson arrivals.

    The peak is the most answers a second that waiting callers get who name no deadline. It and the overload
    are measured in the same round; latencies count from when a request was meant.
    """
    rounds, seconds = (1, 8.0) if quick else (3, 15.0)
    headers, texts = {"X-Deadline-Ms": str(int(DEADLINE * 1e3))}, bodies.Texts()
    kinds = {"one title": (texts.scores, FASTEST), "20 candidates": (texts.ranks, FASTEST // 5)}
    figures: dict[str, Any] = {"times": TIMES, "deadline_seconds": DEADLINE, "rounds": rounds}
    budget: dict[str, tuple[float, str, float]] = {}
    with running(server := ours(bundle(), ASSAY_LIMIT_CACHE_BYTES="0")):
        for kind, (drawn, fastest) in kinds.items():
            found = []
            for _ in range(rounds):
                # Drawn anew for each load: what was asked before is in the service's cache.
                peaks = {
                    str(c): answered(server, drawn(int((seconds / 2 + 1) * fastest)), c, seconds / 2)
                    for c in CALLERS
                }
                most = max(told["per_second"] for told in peaks.values())
                requests = drawn(int((seconds + 1) * TIMES * most * 1.2), headers)
                seen = load(open_loop, server.target, requests, TIMES * most, seconds, wait=DEADLINE + 4)
                told = seen.summary(DEADLINE) | {"failed": seen.failed()}
                told["share"] = told["good_per_second"] / most
                found.append(told | {"peaks": {c: peak["per_second"] for c, peak in peaks.items()}})
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
