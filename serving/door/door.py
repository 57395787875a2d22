"""The door: what is turned away before BentoML reads it, and what stands in every answer."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Protocol

from assay.serving.door.asked import ASKED, Asked, asked
from assay.serving.door.keys import Keys
from assay.serving.door.pace import Pace
from assay.serving.door.refused import Refused
from assay.serving.engine.batcher import SHARE
from assay.serving.limits import Limits
from assay.serving.telemetry.observed import PROBES
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Inside(Protocol):
    """What the door asks of what is behind it, and tells it."""

    @property
    def draining(self) -> bool:
        """Whether the service is about to end, so that connections are better made elsewhere."""

    def admit(self, deadline: float) -> None:
        """Raises `Refused` where a request that comes now would not be answered by then."""

    def rejected(self, reason: str) -> None:
        """The request of this task is refused, for this reason."""


class Door:
    """ASGI middleware: bounds bodies and their number, wants JSON, keeps deadlines, knows keys.

    BentoML has no bound on a body and parses it in the event loop. Its index page loads a script from another
    host, which a service inside a company must not.

    Args:
        app: What is behind.
        limits: Of bodies, of requests at one time, of seconds.
        keys: That open it.
        inside: Says whether there is room.
        pace: Of answers; a new one learns it.
    """

    def __init__(self, app: ASGIApp, limits: Limits, keys: Keys, inside: Inside, pace: Pace | None = None):
        self.app = app
        self.limits = limits
        self.keys = keys
        self.inside = inside
        self.pace = pace or Pace()
        self.present = 0
        """Requests that were let in and are not answered yet."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it here."""
        if scope["type"] != "http" or scope["path"] in PROBES:
            return await self.app(scope, receive, send)
        try:
            await self._answered(scope, dict(scope["headers"]), receive, send)
        except Refused as refused:
            self.inside.rejected(refused.reason)
            headers = [*refused.headers, *self._leave()]
            await send({"type": "http.response.start", "status": refused.status, "headers": headers})
            await send({"type": "http.response.body", "body": refused.body})
        except _Gone:
            self.inside.rejected("gone")

    async def _answered(
        self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, send: Send
    ) -> None:
        scope, has_body = self._checked(scope, headers)
        try:
            this = asked(headers, self.limits.timeout_seconds)
        except ValueError as error:
            raise Refused(400, "invalid", str(error)) from None
        if has_body:
            self._admit(this)
        self.present += 1
        try:
            await self._let_in(scope, receive, send, this, has_body)
        finally:
            self.present -= 1
            if has_body and this.status not in (0, 429):  # What was refused says nothing of the pace.
                self.pace.answered(self.present, this.read)

    def _admit(self, this: Asked) -> None:
        if self.present >= self.limits.concurrency:
            raise Refused(429, "full", "too many requests at one time: ask again later", 1.0)
        late = self.pace.wait(self.present) - (this.deadline - this.began) * SHARE
        if late > 0:
            raise Refused(429, "full", f"no answer within the deadline: ask again in {late:.1f} s", late)
        self.inside.admit(this.deadline)

    async def _let_in(self, scope: Scope, receive: Receive, send: Send, this: Asked, has_body: bool) -> None:
        if has_body:
            receive = await self._read(this, receive)
            this.read = time.monotonic()

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                this.status = message["status"]
                version = [(b"x-model-version", this.version.encode())] if this.version else []
                message = {**message, "headers": [*message["headers"], *version, *self._leave()]}
            await send(message)

        token = ASKED.set(this)
        try:
            await self._watched(scope, receive, answer, this)
        finally:
            ASKED.reset(token)

    def _checked(self, scope: Scope, headers: dict[bytes, bytes]) -> tuple[Scope, bool]:
        """The request as it goes on, and whether its body is to be read."""
        method = scope["method"]
        if scope["path"] == "/":
            raise Refused(404, "invalid", "no page here: /info says what is served, /docs.json how to ask")
        if not self.keys.open(headers):
            raise Refused(401, "key", "an API key is needed: Authorization: Bearer KEY, or X-API-Key: KEY")
        if scope["path"] == "/info" and method in ("GET", "HEAD"):
            # BentoML's routes are POST alone; the body of this one is empty anyway.
            return {**scope, "method": "POST"}, False
        if method != "POST":
            return scope, False
        media_type = headers.get(b"content-type", b"application/json").split(b";")[0].strip().lower()
        if media_type != b"application/json":
            raise Refused(415, "invalid", "send JSON, with the header Content-Type: application/json")
        length = headers.get(b"content-length", b"0")
        if not length.isdigit():
            raise Refused(400, "invalid", "Content-Length is no number")
        if int(length) > self.limits.body_bytes:
            raise self._too_large
        return scope, True

    @property
    def _too_large(self) -> Refused:
        return Refused(413, "body", f"the body is larger than {self.limits.body_bytes} bytes")

    async def _read(self, this: Asked, receive: Receive) -> Receive:
        """Read the whole body; gives a `receive` that says it again, then waits for the caller to go."""
        body = bytearray()
        more = True
        try:
            async with asyncio.timeout(this.deadline - time.monotonic()):
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _Gone
                    body += message.get("body", b"")
                    more = message.get("more_body", False)
                    # A chunked body says its length nowhere.
                    if len(body) > self.limits.body_bytes:
                        raise self._too_large
        except TimeoutError:
            raise Refused(408, "deadline", "the body did not come within the deadline") from None
        try:
            body.decode()
        except UnicodeDecodeError as error:
            raise Refused(400, "invalid", f"the body is not UTF-8 at byte {error.start}") from None
        whole: Message | None = {"type": "http.request", "body": bytes(body), "more_body": False}

        async def replay() -> Message:
            nonlocal whole
            message, whole = whole, None
            return message if message is not None else await receive()

        return replay

    async def _watched(self, scope: Scope, receive: Receive, send: Send, this: Asked) -> None:
        """Answer until the deadline, or until the caller is gone: nobody computes for nobody."""
        task: Any = asyncio.current_task()
        watching, gone = True, False

        def leave(_: object) -> None:
            nonlocal gone
            if watching:
                gone = True
                task.cancel()

        async def once(message: Message) -> None:
            nonlocal watching
            watching = False
            bound.reschedule(None)
            await send(message)

        first = await receive()  # The body is here already, or there is none to wait for.
        left: asyncio.Future[Message] = asyncio.ensure_future(receive())
        left.add_done_callback(leave)

        async def again() -> Message:
            nonlocal first
            if first is not None:
                message, first = first, None  # type: ignore[assignment]
                return message
            return await asyncio.shield(left)

        try:
            async with asyncio.timeout(max(0.0, this.deadline - time.monotonic())) as bound:
                await self.app(scope, again, once)
        except TimeoutError:
            if not bound.expired():
                raise
            raise Refused(504, "deadline", f"no answer within {this.deadline - this.began:.3g} s") from None
        except asyncio.CancelledError:
            if not gone or task.cancelling() > 1:
                raise
            raise _Gone from None
        finally:
            watching = False
            left.cancel()
            if gone:
                task.uncancel()

    def _leave(self) -> list[tuple[bytes, bytes]]:
        """Tells the caller to come by another connection, which a balancer makes to another replica."""
        return [(b"connection", b"close")] if self.inside.draining else []


class _Gone(Exception):  # noqa: N818 - an end, not a fault
    """The caller closed the connection."""
