"""A small balancer: it asks each replica's `/readyz`, sends to those that are ready, and never retries.

What a replica loses, the caller loses, as behind a Kubernetes Service, whose endpoints follow readiness.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
from collections import Counter
from dataclasses import dataclass, field

from .wire import LENGTH, Connection, Idle, Lost, request

EVERY = 0.1
"""Seconds between two looks at a replica's readiness."""

_PROBE = request("/readyz", method="GET")


@dataclass
class Replica:
    """One server behind the balancer.

    Attributes:
        port: On 127.0.0.1.
        ready: Whether requests go there.
        out: Taken out by hand, as a terminating pod is whatever it says of itself.
        busy: Requests on their way there.
        answered: Requests answered by it.
        idle: Connections that may be used again.
    """

    port: int
    ready: bool = False
    out: bool = False
    busy: int = 0
    answered: int = 0
    idle: Idle = field(default_factory=Idle)


class Balancer:
    """Runs in a thread of its own; `with Balancer(ports) as balancer:` and send to `balancer.port`.

    Args:
        ports: Of the replicas.

    Attributes:
        port: Where it listens.
        replicas: By port.
        lost: Why requests were answered 502 or 503 by the balancer itself, and how many.
    """

    def __init__(self, ports: list[int]):
        self.replicas = {port: Replica(port) for port in ports}
        self.lost: Counter[str] = Counter()
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Balancer:
        """Start it."""
        self._thread.start()
        self._up.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        self._ended = asyncio.Event()
        server = await asyncio.start_server(self._caller, "127.0.0.1", 0, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        watchers = [asyncio.ensure_future(self._watch(replica)) for replica in self.replicas.values()]
        self._up.set()
        await self._ended.wait()
        server.close()
        for watcher in watchers:
            watcher.cancel()
        await asyncio.gather(*watchers, return_exceptions=True)

    async def _watch(self, replica: Replica) -> None:
        while True:
            replica.ready = await self._says_ready(replica.port)
            if not replica.ready or replica.out:
                replica.idle.close()
            await asyncio.sleep(EVERY)

    async def _says_ready(self, port: int) -> bool:
        # Asked anew each time: a readiness probe opens a connection of its own.
        with contextlib.suppress(Lost, TimeoutError):
            async with asyncio.timeout(1.0):
                connection = await Connection.to(port)
                try:
                    return (await connection.send(_PROBE)).status == 200
                finally:
                    connection.close()
        return False

    async def _caller(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = LENGTH.search(head)
                body = await reader.readexactly(int(length[1])) if length else b""
                writer.write(await self._pass_on(head + body))
                await writer.drain()
        writer.close()

    async def _pass_on(self, data: bytes) -> bytes:
        able = [replica for replica in self.replicas.values() if replica.ready and not replica.out]
        if not able:
            self.lost["no replica is ready"] += 1
            return b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
        replica = min(able, key=lambda each: (each.busy, each.answered))
        replica.busy += 1
        try:
            connection = replica.idle.take() or await Connection.to(replica.port)
            answer = await connection.send(data)
            replica.answered += 1
            if connection.open:
                replica.idle.put(connection)
            # Its own connection may end with this answer; the caller's does not.
            kept = re.sub(rb"\r\nconnection:[^\r]*", b"", answer.head, flags=re.IGNORECASE)
            kept = re.sub(rb"\r\ntransfer-encoding:[^\r]*", b"", kept, flags=re.IGNORECASE)
            if not LENGTH.search(kept):
                kept += b"\r\nContent-Length: " + str(len(answer.body)).encode()
            return kept + b"\r\n\r\n" + answer.body
        except Lost as error:
            self.lost[f"port {replica.port}: {error}"] += 1
            return b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"
        finally:
            replica.busy -= 1
