"""HTTP/1.1 as cheap as Python allows: on two cores a client must not cost what the server does."""

from __future__ import annotations

import asyncio
import re
import time
from typing import NamedTuple

LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_CLOSES = re.compile(rb"\r\nconnection:[ \t]*close", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked", re.IGNORECASE)

IDLE_SECONDS = 2.0
"""A connection that rested longer is not used again: a server may close it just then."""


class Lost(Exception):
    """No whole answer came: refused, reset, closed before its end, or no HTTP."""


class Answer(NamedTuple):
    """What came back.

    Attributes:
        status: Of its first line.
        head: Its first line and headers, as they came, without the blank line.
        body: Its bytes.
    """

    status: int
    head: bytes
    body: bytes

    def header(self, name: str) -> str | None:
        """Value of the first header of that name, whatever its capitals."""
        found = re.search(rb"\r\n" + name.encode() + rb":[ \t]*([^\r]*)", self.head, re.IGNORECASE)
        return found[1].decode("latin-1").strip() if found else None


def request(
    path: str, body: bytes = b"", method: str = "POST", headers: dict[str, str] | None = None
) -> bytes:
    """The bytes of one request that keeps its connection open."""
    lines = [f"{method} {path} HTTP/1.1", "Host: load"]
    if body or method == "POST":
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Connection(asyncio.Protocol):
    """One connection, one request at a time.

    Attributes:
        open: Whether another request may be sent on it.
    """

    def __init__(self) -> None:
        self.open = False
        self._buffer = bytearray()
        self._waiting: asyncio.Future[Answer] | None = None
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def to(cls, port: int) -> Connection:
        """Connect to a port of this machine.

        Raises:
            Lost: Nobody listens.
        """
        try:
            _, connection = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        except OSError as error:
            raise Lost(f"connect: {type(error).__name__}") from None
        return connection

    async def send(self, data: bytes) -> Answer:
        """Send a request and wait for its answer.

        Raises:
            Lost: The connection ended first.
        """
        if not self.open or self._transport is None:
            raise Lost("the connection was closed")
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(data)
        try:
            return await self._waiting
        finally:
            # Given up while it was on its way: an answer that still comes belongs to nobody.
            if self._waiting.cancelled():
                self.close()

    def close(self) -> None:
        """End it."""
        self.open = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Of asyncio."""
        self._transport = transport  # type: ignore[assignment]
        self.open = True

    def connection_lost(self, error: Exception | None) -> None:
        """Of asyncio."""
        self.open = False
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(Lost(type(error).__name__ if error else "closed before the answer"))

    def eof_received(self) -> bool:
        """Of asyncio: a server that closes has no more to say."""
        self.open = False
        end = self._buffer.find(b"\r\n\r\n")
        if end >= 0 and not any(told.search(self._buffer, 0, end) for told in (LENGTH, _CHUNKED)):
            self._answer(end, bytes(self._buffer[end + 4 :]))
        return False

    def data_received(self, data: bytes) -> None:
        """Of asyncio."""
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        if self._buffer.startswith(b"HTTP/1.1 1"):
            # 100 Continue: the answer itself follows.
            del self._buffer[: end + 4]
            return self.data_received(b"")
        if found := LENGTH.search(self._buffer, 0, end):
            if len(self._buffer) >= end + 4 + int(found[1]):
                self._answer(end, bytes(self._buffer[end + 4 : end + 4 + int(found[1])]))
            return
        body = _whole(bytes(self._buffer[end + 4 :])) if _CHUNKED.search(self._buffer, 0, end) else None
        if body is not None:
            self._answer(end, body)

    def _answer(self, end: int, body: bytes) -> None:
        head = bytes(self._buffer[:end])
        self._buffer.clear()
        if _CLOSES.search(head):
            self.open = False
        if self._waiting is None or self._waiting.done():
            return self.close()
        if head[:7] != b"HTTP/1." or not head[9:12].isdigit():
            return self._waiting.set_exception(Lost("no HTTP"))
        self._waiting.set_result(Answer(int(head[9:12]), head, body))


class Idle:
    """Connections that may be used again."""

    def __init__(self) -> None:
        self._resting: list[tuple[Connection, float]] = []

    def put(self, connection: Connection) -> None:
        """Let one rest."""
        self._resting.append((connection, time.monotonic()))

    def take(self) -> Connection | None:
        """The one that rested shortest; None where none is left that can be used."""
        while self._resting:
            connection, since = self._resting.pop()
            if connection.open and time.monotonic() - since <= IDLE_SECONDS:
                return connection
            connection.close()
        return None

    def close(self) -> None:
        """Close all of them."""
        while self._resting:
            self._resting.pop()[0].close()


def _whole(chunks: bytes) -> bytes | None:
    """The body that chunks make, None while some are missing."""
    body, at = b"", 0
    while (end := chunks.find(b"\r\n", at)) >= 0:
        size = int(chunks[at:end].split(b";")[0], 16)
        if len(chunks) < end + size + 4:
            return None
        if size == 0:
            return body
        body, at = body + chunks[end + 2 : end + 2 + size], end + size + 4
    return None
