"""The load: closed (so many callers, each waits for its answer) and open (so many a second, whatever comes).

Each runs in a process of its own by `load` or `Apart`. In the open loop a latency counts from when a request
was meant to be sent, so that a server that stalls is charged for all who would have asked meanwhile.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import multiprocessing
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .usage import cpu_seconds
from .wire import Connection, Idle, Lost

LOST, HUNG = 0, -1
"""Statuses of requests that got no whole answer, and none within the time that the caller waits."""

LOOKS = 0.2
"""Seconds between two looks at whether it is to stop."""

CONNECTIONS = 900
"""At one time, below the usual bound of open files."""


@dataclass(frozen=True)
class Target:
    """Where to send.

    Attributes:
        port: On 127.0.0.1.
        pid: Root of the server's process tree, whose CPU time is taken; None for none.
    """

    port: int
    pid: int | None = None


@dataclass
class Seen:
    """What a load saw, a row a request, and what it cost.

    Attributes:
        begun: (n,) when each was meant to be sent, in seconds of `time.monotonic`.
        seconds: (n,) from then to its answer.
        statuses: (n,) of the answers; `LOST` or `HUNG` for none.
        versions: (n,) values of X-Model-Version, "" for none.
        late: (n,) seconds from when it was meant to be sent to when it was.
        window: Seconds of the measured time; in the open loop, those in which requests were sent.
        server_cpu: CPU seconds of the server in that time.
        own_cpu: CPU seconds of the generator in that time.
        reasons: Why requests were lost, and how many.
    """

    begun: np.ndarray
    seconds: np.ndarray
    statuses: np.ndarray
    versions: np.ndarray
    late: np.ndarray
    window: float
    server_cpu: float
    own_cpu: float
    reasons: dict[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> np.ndarray:
        """(n,) bool: answered 200."""
        return self.statuses == 200

    def failed(self) -> int:
        """Requests that were neither answered 200 nor refused with 429."""
        return int((~np.isin(self.statuses, (200, 429))).sum())

    def p(self, percent: float, rows: np.ndarray | None = None) -> float:
        """Percentile of the latency of requests answered 200, in ms; nan for none."""
        chosen = self.seconds[self.ok if rows is None else self.ok & rows]
        return float(np.percentile(chosen, percent)) * 1e3 if len(chosen) else float("nan")

    def summary(self, deadline: float | None = None) -> dict[str, Any]:
        """Figures for people.

        Args:
            deadline: Seconds; an answer that came later is no good.
        """
        ok = int(self.ok.sum())
        good = int((self.ok & (self.seconds <= deadline)).sum()) if deadline else ok
        return {
            "sent": len(self.statuses),
            "statuses": {str(k): n for k, n in sorted(Counter(self.statuses.tolist()).items())},
            "lost": self.reasons,
            "per_second": ok / self.window,
            "good_per_second": good / self.window,
            "p50_ms": self.p(50),
            "p99_ms": self.p(99),
            "cpu_ms_per_answer": self.server_cpu / ok * 1e3 if ok else float("nan"),
            "server_cores": self.server_cpu / self.window,
            "generator_cores": self.own_cpu / self.window,
            "sent_late_p99_ms": float(np.percentile(self.late, 99)) * 1e3 if len(self.late) else 0.0,
        }


class _Notes:
    """Rows as they come, and the CPU seconds between two moments."""

    def __init__(self, target: Target):
        self.target = target
        self.rows: list[tuple[float, float, int, str, float]] = []
        self.reasons: Counter[str] = Counter()

    def start(self) -> None:
        self.rows.clear()
        self.reasons.clear()
        gc.freeze()  # Requests are many and live on: looking through them is a pause that is no server's.
        self._began = self._now()

    def stop(self) -> Seen:
        window, server, own = (b - a for a, b in zip(self._began, self._now(), strict=True))
        columns = list(zip(*self.rows, strict=True)) or [()] * 5
        begun, seconds, statuses, versions, late = (np.array(column) for column in columns)
        return Seen(begun, seconds, statuses, versions, late, window, server, own, dict(self.reasons))

    def _now(self) -> tuple[float, float, float]:
        server = cpu_seconds(self.target.pid) if self.target.pid else 0.0
        return time.monotonic(), server, time.process_time()

    async def send(
        self, connection: Connection | None, data: bytes, meant: float, wait: float
    ) -> Connection | None:
        """Send and note; the connection that can be used again, if one can."""
        sent, status, version = time.monotonic(), LOST, ""
        try:
            async with asyncio.timeout(wait):
                if connection is None:
                    connection = await Connection.to(self.target.port)
                answer = await connection.send(data)
            status, version = answer.status, answer.header("x-model-version") or ""
        except TimeoutError:
            status = HUNG
        except Lost as error:
            self.reasons[str(error)] += 1
        self.rows.append((meant, time.monotonic() - meant, status, version, sent - meant))
        if connection is None or not connection.open or status <= 0:
            if connection is not None:
                connection.close()
            return None
        return connection


def closed(
    target: Target,
    requests: Sequence[bytes],
    concurrency: int,
    seconds: float,
    warm: float = 1.0,
    wait: float = 30.0,
) -> Seen:
    """So many callers, each sending its next request when the last is answered.

    The warm-up's requests are all answered before the measured time begins, and the measured ones before its
    CPU time is read: no request counts by half.

    Args:
        target: Where to.
        requests: Sent in their order, over again when they end.
        concurrency: Callers, a connection each.
        seconds: Measured.
        warm: Seconds before that, not measured.
        wait: Seconds until a caller gives up.
    """

    async def run() -> Seen:
        notes, following = _Notes(target), itertools.cycle(requests)
        connections: list[Connection | None] = [None] * concurrency

        async def caller(number: int, end: float) -> None:
            while (now := time.monotonic()) < end:
                connections[number] = await notes.send(connections[number], next(following), now, wait)
                if connections[number] is None:
                    await asyncio.sleep(0.01)  # A server that is gone is not asked as fast as one can.

        for length in (warm, seconds):
            notes.start()
            end = time.monotonic() + length
            await asyncio.gather(*(caller(number, end) for number in range(concurrency)))
            seen = notes.stop()
            # Those that waited for the slowest of a warm-up may have been closed for resting too long.
            for number, connection in enumerate(connections):
                if connection is not None:
                    connection.close()
                connections[number] = None
        return seen

    return asyncio.run(run())


def open_loop(
    target: Target,
    requests: Sequence[bytes],
    rate: float,
    seconds: float,
    warm: float = 1.0,
    wait: float = 30.0,
    stop: str = "",
) -> Seen:
    """So many requests a second at random moments (Poisson), whether the last are answered or not.

    Args:
        target: Where to.
        requests: Sent in their order, over again when they end.
        rate: Requests a second.
        seconds: Measured.
        warm: Seconds before that at the same rate, not measured.
        wait: Seconds until a caller gives up.
        stop: A file; once it is there the load ends, and the answers that are out are waited for.
    """

    async def run() -> Seen:
        notes, following = _Notes(target), itertools.cycle(requests)
        idle = Idle()
        free = asyncio.Semaphore(CONNECTIONS)
        rng = np.random.default_rng(0)

        async def caller(meant: float) -> None:
            async with free:
                if connection := await notes.send(idle.take(), next(following), meant, wait):
                    idle.put(connection)

        async def drive(length: float) -> float:
            asked: set[asyncio.Task] = set()
            meant = looked = start = time.monotonic()
            while (meant := meant + rng.exponential(1 / rate)) < start + length:
                if stop and meant - looked > LOOKS:
                    looked = meant
                    if os.path.exists(stop):
                        break
                if (rest := meant - time.monotonic()) > 0:
                    await asyncio.sleep(rest)
                elif len(asked) % 16 == 0:
                    await asyncio.sleep(0)  # Behind: let answers in, or all of them would look late.
                asked.add(task := asyncio.ensure_future(caller(meant)))
                task.add_done_callback(asked.discard)
            asking = time.monotonic() - start
            await asyncio.gather(*asked)
            return asking

        for length in (warm, seconds):
            notes.start()
            asking = await drive(length)
        seen = notes.stop()
        seen.window = asking
        idle.close()
        return seen

    return asyncio.run(run())


class Apart:
    """A load that runs in a process of its own while the caller does something else; it ends with the block.

    Args:
        load: `closed` or `open_loop`.
        arguments: Of it.
        named: Of it.
    """

    def __init__(self, load: Callable[..., Seen], *arguments: Any, **named: Any):
        self._folder = tempfile.TemporaryDirectory()
        self._stop = Path(self._folder.name) / "stop"
        self._pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
        self._work = (load, arguments, named)

    def __enter__(self) -> Apart:
        """Start it."""
        load, arguments, named = self._work
        if load is open_loop:
            named = named | {"stop": str(self._stop)}
        self._future = self._pool.submit(load, *arguments, **named)
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._stop.touch()
        self._pool.shutdown()
        self._folder.cleanup()

    @property
    def ended(self) -> bool:
        """Whether it is over, by itself or by an error."""
        return self._future.done()

    def seen(self) -> Seen:
        """End an open loop, wait for a closed one, and give what it saw."""
        self._stop.touch()
        return self._future.result()


def load(kind: Callable[..., Seen], *arguments: Any, **named: Any) -> Seen:
    """A load in a process of its own, from its beginning to its end."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(kind, *arguments, **named).result()
