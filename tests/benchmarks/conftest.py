"""Benchmarks import each other by their file's name; a small server stands in for one under load."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator

import pytest

from tests.conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))


class Small:
    """An HTTP server in a thread, whose every answer a function of the request's number decides.

    Attributes:
        port: Where it listens.
        asked: Requests by path.
        most: At one time.
    """

    def __init__(self, respond: Callable[[int], Awaitable[bytes | None]]):
        self.respond, self.asked, self.most, self._busy = respond, Counter(), 0, 0
        self.ready = True
        self._loop, self._up = asyncio.new_event_loop(), threading.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()))
        self._thread.start()
        self._up.wait(10)

    async def _serve(self) -> None:
        self._ended = asyncio.Event()
        server = await asyncio.start_server(self._caller, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._up.set()
        await self._ended.wait()
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _caller(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = head.partition(b"content-length:")[2].split(b"\r\n")[0]
                await reader.readexactly(int(length or 0))
                path = head.split()[1].decode()
                self.asked[path] += 1
                if path == "/readyz":
                    answer: bytes | None = ok() if self.ready else ok(status=503)
                else:
                    self._busy += 1
                    self.most = max(self.most, self._busy)
                    try:
                        answer = await self.respond(self.asked[path])
                    finally:
                        self._busy -= 1
                if answer is None:
                    return
                writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def stop(self) -> None:
        """End it, connections and all."""
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(10)


def ok(body: bytes = b"{}", status: int = 200, version: str = "1") -> bytes:
    """An answer."""
    head = f"HTTP/1.1 {status} Said\r\nX-Model-Version: {version}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@pytest.fixture
def small() -> Iterator[Callable[..., Small]]:
    """Starts small servers; they are stopped at the end."""
    started: list[Small] = []

    def start(respond: Callable[[int], Awaitable[bytes | None]] | None = None) -> Small:
        async def at_once(_: int) -> bytes:
            return ok()

        started.append(Small(respond or at_once))
        return started[-1]

    yield start
    for server in started:
        server.stop()
