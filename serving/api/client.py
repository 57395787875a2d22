"""A typed client of the service: deadlines, retries that are safe, and answers as objects.

    from assay.serving.api.client import Client

    with Client("http://localhost:3000") as client:
        best = client.rank("red shoe", {"a": "kettle", "b": "running shoe, red"}, top_k=1)
        client.feedback([{"action": "click", "item_id": best.items[0].id, "query_id": best.query_id}])

`AsyncClient` has the same methods, to be awaited.
"""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from assay.components.core.errors import BadInput
from assay.serving.api.answers import (
    EmbedAnswer,
    FeedbackAnswer,
    InfoAnswer,
    RankAnswer,
    ScoreAnswer,
)
from assay.serving.feedback.records import new_query_id
from pydantic import BaseModel

try:
    import httpx
except ImportError as error:  # pragma: no cover - the base install has no HTTP client
    raise ImportError("the client needs httpx: pip install 'assay-ranking[client]'") from error

Answer = TypeVar("Answer", bound=BaseModel)
AGAIN = (429, 502, 503)
"""Statuses after which the same request may well be answered: nothing was computed for it."""
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 5.0
"""Seconds before the second try, doubled from try to try, half of it by chance; and the most."""


class Refusal(RuntimeError):
    """The service said no.

    Attributes:
        status: Of the answer.
        detail: What is wrong with which field, where the body was.
    """

    def __init__(self, status: int, error: str, detail: Sequence[Mapping[str, Any]] = ()):
        where = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in detail)
        super().__init__(f"{status}: {error}" + (f" ({where})" if where else ""))
        self.status = status
        self.detail = list(detail)


class Unanswered(RuntimeError):
    """No answer within the deadline, however often it was asked."""


@dataclass(frozen=True)
class _Pause:
    seconds: float


_Plan = Generator["httpx.Request | _Pause", "httpx.Response | httpx.TransportError | None", Answer]


class _Asking:
    """What both clients do alike: bodies, retries, answers; the two differ in who sends.

    Args:
        url: Of the service.
        key: API key, where it wants one.
        timeout: Seconds of a call, retries included; told to the service as `X-Deadline-Ms`.
        retries: Tries after the first.

    Raises:
        BadInput: The timeout is not above 0, or the retries are below it.
    """

    def __init__(self, url: str, key: str = "", timeout: float = 5.0, retries: int = 3):
        if not timeout > 0:
            raise BadInput(f"timeout {timeout}: give seconds above 0")
        if retries < 0:
            raise BadInput(f"retries {retries}: give 0 or more")
        self.url = url.rstrip("/")
        self.timeout = timeout
        self.retries = retries
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    def _plan(
        self, route: str, body: dict[str, Any], kind: type[Answer], timeout: float | None
    ) -> _Plan[Answer]:
        """Requests to be sent and pauses to be made, until there is an answer."""
        seconds = self.timeout if timeout is None else timeout
        deadline = time.monotonic() + seconds
        # One id for all tries, so that logs show them as one call.
        headers = {**self._headers, "X-Request-Id": uuid.uuid4().hex}
        pause, last = FIRST_PAUSE, "nothing was sent"
        for attempt in range(self.retries + 1):
            left = deadline - time.monotonic()
            if left <= 0:
                break
            response = yield httpx.Request(
                "POST",
                self.url + route,
                json=body,
                headers={**headers, "X-Deadline-Ms": str(max(1, int(left * 1000)))},
                extensions={"timeout": httpx.Timeout(left).as_dict()},
            )
            wait = pause * (0.5 + random.random() / 2)
            if isinstance(response, httpx.Response):
                if response.is_success:
                    return kind.model_validate_json(response.content)
                if response.status_code not in AGAIN:
                    raise _refusal(response)
                last = str(_refusal(response))
                told = response.headers.get("Retry-After", "")
                wait = max(wait, float(told)) if told.isdigit() else wait
            else:
                last = f"{type(response).__name__}: {response}"
            if attempt == self.retries or time.monotonic() + wait >= deadline:
                break
            yield _Pause(wait)
            pause = min(2 * pause, LONGEST_PAUSE)
        raise Unanswered(f"{self.url}{route} within {seconds:g} s and {attempt + 1} tries: {last}")


def _refusal(response: httpx.Response) -> Refusal:
    try:
        said = response.json()
        return Refusal(response.status_code, said["error"], said.get("detail", ()))
    except (ValueError, KeyError, TypeError, AttributeError):
        # A balancer in between answers in its own way.
        return Refusal(response.status_code, response.reason_phrase)


def _rank(
    context: str, candidates: Mapping[str, str], query_id: str | None, **more: object
) -> dict[str, Any]:
    listed = [{"id": key, "text": text} for key, text in candidates.items()]
    body = {"context": context, "candidates": listed, "query_id": query_id or new_query_id()}
    return body | _given(more)


def _events(events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    # With an id of its own each: a retry must not count an event twice.
    written = [{"event_id": uuid.uuid4().hex, **_given(dict(event))} for event in events]
    for event in written:
        if isinstance(event.get("timestamp"), datetime):
            event["timestamp"] = event["timestamp"].isoformat()
    return {"events": written}


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _pairs(pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    return {"pairs": [{"context": context, "text": text} for context, text in pairs]}


class Client(_Asking):
    """Asks a service and waits for each answer; threads may share it. Arguments: those of `_Asking`."""

    def __init__(self, url: str, key: str = "", timeout: float = 5.0, retries: int = 3):
        super().__init__(url, key, timeout, retries)
        self._http = httpx.Client()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def rank(
        self,
        context: str,
        candidates: Mapping[str, str],
        *,
        top_k: int | None = None,
        diversity: float | None = None,
        query_id: str | None = None,
        user_id: str | None = None,
        session_id: str | None = None,
        timeout: float | None = None,
    ) -> RankAnswer:
        """Order candidates, {id: text}, for a context; a retry shows the same list."""
        body = _rank(
            context, candidates, query_id,
            top_k=top_k, diversity=diversity, user_id=user_id, session_id=session_id,
        )  # fmt: skip
        return self._ask("/rank", body, RankAnswer, timeout)

    def score(self, pairs: Sequence[tuple[str, str]], *, timeout: float | None = None) -> ScoreAnswer:
        """Score (context, text) pairs."""
        return self._ask("/score", _pairs(pairs), ScoreAnswer, timeout)

    def embed(self, texts: Sequence[str], *, timeout: float | None = None) -> EmbedAnswer:
        """Vectors of texts."""
        return self._ask("/embed", {"texts": list(texts)}, EmbedAnswer, timeout)

    def feedback(
        self, events: Sequence[Mapping[str, Any]], *, timeout: float | None = None
    ) -> FeedbackAnswer:
        """Tell what was clicked and bought; an event without `event_id` is given one: retries count once."""
        return self._ask("/feedback", _events(events), FeedbackAnswer, timeout)

    def info(self, *, timeout: float | None = None) -> InfoAnswer:
        """What is served, and its limits."""
        return self._ask("/info", {}, InfoAnswer, timeout)

    def _ask(self, route: str, body: dict[str, Any], kind: type[Answer], timeout: float | None) -> Answer:
        plan = self._plan(route, body, kind, timeout)
        step = next(plan)
        try:
            while True:
                came: httpx.Response | httpx.TransportError | None = None
                if isinstance(step, _Pause):
                    time.sleep(step.seconds)
                else:
                    try:
                        came = self._http.send(step)
                    except httpx.TransportError as error:
                        came = error
                step = plan.send(came)
        except StopIteration as end:
            return end.value


class AsyncClient(_Asking):
    """The same, to be awaited."""

    def __init__(self, url: str, key: str = "", timeout: float = 5.0, retries: int = 3):
        super().__init__(url, key, timeout, retries)
        self._http = httpx.AsyncClient()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def rank(
        self,
        context: str,
        candidates: Mapping[str, str],
        *,
        top_k: int | None = None,
        diversity: float | None = None,
        query_id: str | None = None,
        user_id: str | None = None,
        session_id: str | None = None,
        timeout: float | None = None,
    ) -> RankAnswer:
        """Order candidates, {id: text}, for a context; a retry shows the same list."""
        body = _rank(
            context, candidates, query_id,
            top_k=top_k, diversity=diversity, user_id=user_id, session_id=session_id,
        )  # fmt: skip
        return await self._ask("/rank", body, RankAnswer, timeout)

    async def score(self, pairs: Sequence[tuple[str, str]], *, timeout: float | None = None) -> ScoreAnswer:
        """Score (context, text) pairs."""
        return await self._ask("/score", _pairs(pairs), ScoreAnswer, timeout)

    async def embed(self, texts: Sequence[str], *, timeout: float | None = None) -> EmbedAnswer:
        """Vectors of texts."""
        return await self._ask("/embed", {"texts": list(texts)}, EmbedAnswer, timeout)

    async def feedback(
        self, events: Sequence[Mapping[str, Any]], *, timeout: float | None = None
    ) -> FeedbackAnswer:
        """Tell what was clicked and bought; an event without `event_id` is given one: retries count once."""
        return await self._ask("/feedback", _events(events), FeedbackAnswer, timeout)

    async def info(self, *, timeout: float | None = None) -> InfoAnswer:
        """What is served, and its limits."""
        return await self._ask("/info", {}, InfoAnswer, timeout)

    async def _ask(
        self, route: str, body: dict[str, Any], kind: type[Answer], timeout: float | None
    ) -> Answer:
        plan = self._plan(route, body, kind, timeout)
        step = next(plan)
        try:
            while True:
                came: httpx.Response | httpx.TransportError | None = None
                if isinstance(step, _Pause):
                    await asyncio.sleep(step.seconds)
                else:
                    try:
                        came = await self._http.send(step)
                    except httpx.TransportError as error:
                        came = error
                step = plan.send(came)
        except StopIteration as end:
            return end.value
