"""10,000 requests that nobody should send: no 500, no hang, and no memory kept."""

from __future__ import annotations

import json
import os
import socket
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from assay.components.core.progress import say
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

from . import bodies
from .found import Found
from .generator import closed, load
from .hostile import RIGHT, SHARES, strategies
from .model import bundle
from .servers import Server, ask, ours, running
from .wire import request

REQUESTS = 10_000
WAIT = 25.0
"""Seconds without a byte after which a request hangs: more than the service's own bound on an answer."""

PART = 2.0
"""The same for what is no HTTP, or a part of a request: to close it or to wait for its rest is right."""

CHECKS = 200
"""Requests between two looks at whether a right request is still answered as at first."""

OWN = ("id", "query_id")
"""Fields of an answer that are new each time."""

SHOWN = 20
"""Requests at most that are kept to be looked at."""


def answer(port: int, data: bytes, wait: float = WAIT) -> tuple[int, float]:
    """Send raw bytes on a connection of their own, and read what comes back.

    Returns:
        The status (0: closed without one; -1: nothing came in time), and seconds until its first bytes.
    """
    began = time.monotonic()
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=wait) as connection:
            connection.sendall(data)
            first = connection.recv(4096)
    except TimeoutError:
        return -1, time.monotonic() - began
    except OSError:
        return 0, time.monotonic() - began
    status = first[9:12]
    return int(status) if first[:5] == b"HTTP/" and status.isdigit() else 0, time.monotonic() - began


def right_answers(server: Server) -> list[Any]:
    """What right requests are answered, numbers rounded to what does not depend on a batch."""

    def rounded(value: Any) -> Any:
        if isinstance(value, float):
            return round(value, 4)
        if isinstance(value, dict):
            return {key: rounded(inner) for key, inner in value.items() if key not in OWN}
        return [rounded(inner) for inner in value] if isinstance(value, list) else value

    answers = [ask(server.port, data) for data in RIGHT]
    return [(a.status, rounded(json.loads(a.body)) if a.status == 200 else None) for a in answers]


def each_of(strategy: SearchStrategy[bytes], count: int, use: Callable[[bytes], None]) -> None:
    """Call with so many examples, the same at each run; fewer where hypothesis has seen all."""

    @seed(0)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def run(data: bytes) -> None:
        use(data)

    run()


def fuzz(quick: bool) -> Found:
    """Requests of every kind of `hostile.SHARES`, one at a time, right ones between them."""
    total = int(os.environ.get("REQUESTS") or (1_000 if quick else REQUESTS))
    texts = bodies.Texts()
    with running(server := ours(bundle())):
        document = json.loads(ask(server.port, request("/docs.json", method="GET")).body)
        # What the service holds once it has done ordinary work is what it has to come back to.
        for requests in (texts.ranks(500), texts.embeds(bodies.embed, 2_000)):
            load(closed, server.target, requests, 8, 5.0)
        time.sleep(3.0)
        before, expected = server.memory(), right_answers(server)
        if expected[0][0] != 200:
            raise RuntimeError(f"a right request is answered {expected[0][0]}")
        statuses: dict[str, Counter[int]] = {kind: Counter() for kind in SHARES}
        bad: list[dict[str, Any]] = []
        distinct: set[int] = set()
        slowest, sent, wrong, peak = 0.0, 0, 0, before["worker_mb"]

        def send(kind: str, data: bytes) -> None:
            nonlocal slowest, sent, wrong, peak
            status, seconds = answer(server.port, data, WAIT if kind != "http" else PART)
            sent += 1
            statuses[kind][status] += 1
            distinct.add(hash(data))
            slowest = max(slowest, seconds)
            if (status >= 500 or (status <= 0 and kind != "http")) and len(bad) < SHOWN:
                bad.append({"kind": kind, "status": status, "request": repr(data[:300])})
                say("serving", f"{kind}: {status} to {data[:200]!r}")
            if sent % CHECKS == 0:
                wrong += right_answers(server) != expected
                peak = max(peak, server.memory()["worker_mb"])
                say("serving", f"{sent} requests, {sum(statuses.values(), Counter())}")

        for kind, strategy in strategies(document).items():
            each_of(strategy, round(total * SHARES[kind] / 100), partial(send, kind))
            say("serving", f"{kind}: {dict(statuses[kind])}")
        wrong += right_answers(server) != expected
        for requests in (texts.ranks(500), texts.embeds(bodies.embed, 2_000)):
            load(closed, server.target, requests, 8, 5.0)
        time.sleep(10.0)
        after = server.memory()
    together = sum(statuses.values(), Counter())
    growth = after["worker_mb"] / before["worker_mb"]
    figures = {
        "sent": sent,
        "distinct": len(distinct),
        "statuses": {kind: {str(k): n for k, n in sorted(c.items())} for kind, c in statuses.items()},
        "slowest_seconds": slowest,
        "bad": bad,
        "memory": {"before": before, "after": after, "most_seen_worker_mb": peak},
    }
    silent = sum(counts[0] + counts[-1] for kind, counts in statuses.items() if kind != "http")
    return Found(
        figures,
        {
            "fuzzed requests": (sent, ">=", 0.98 * total),
            "fuzzed: answers 500": (together[500], "<=", 0.0),
            "fuzzed: other answers of 5xx": (sum(n for k, n in together.items() if k > 500), "<=", 0.0),
            "fuzzed: hung, or closed without an answer": (silent, "<=", 0.0),
            "fuzzed: right requests answered otherwise": (wrong, "<=", 0.0),
            "fuzzed: memory after / before": (growth, "<=", 1.10),
        },
    )
