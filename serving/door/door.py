"""The door: what is turned away before BentoML reads it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class Door:
    """ASGI middleware: bounds the body, wants JSON, lets `/info` be read with GET, closes the index page.

    BentoML has no bound on a body and parses it in the event loop. Its index page loads a script from another
    host, which a service inside a company must not.

    Args:
        app: What is behind.
        max_bytes: Of a request body.
    """

    def __init__(self, app: App, max_bytes: int):
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it here."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        if scope["path"] == "/":
            return await _answer(send, 404, "no page here: /info says what is served, /docs.json how to ask")
        if scope["path"] == "/info" and scope["method"] in ("GET", "HEAD"):
            # BentoML's routes are POST alone; the body of this one is empty anyway.
            return await self.app({**scope, "method": "POST"}, receive, send)
        if scope["method"] != "POST":
            return await self.app(scope, receive, send)

        headers = dict(scope["headers"])
        media_type = headers.get(b"content-type", b"application/json").split(b";")[0].strip().lower()
        if media_type != b"application/json":
            return await _answer(send, 415, "send JSON, with the header Content-Type: application/json")
        if int(headers.get(b"content-length", b"0")) > self.max_bytes:
            return await self._too_large(send)
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            more = message.get("more_body", False)
            # A chunked body says its length nowhere.
            if len(body) > self.max_bytes:
                return await self._too_large(send)

        whole: Message | None = {"type": "http.request", "body": bytes(body), "more_body": False}

        async def replay() -> Message:
            nonlocal whole
            message, whole = whole, None
            return message if message is not None else await receive()

        await self.app(scope, replay, send)

    async def _too_large(self, send: Send) -> None:
        await _answer(send, 413, f"the body is larger than {self.max_bytes} bytes")


async def _answer(send: Send, status: int, error: str) -> None:
    body = json.dumps({"error": error}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
