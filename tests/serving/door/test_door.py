"""The door without a service behind it: who is let in, until when, and what is turned away."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field

import pytest
from assay.components.core.errors import BadInput
from assay.serving.door.asked import ASKED
from assay.serving.door.door import Door
from assay.serving.door.keys import Keys
from assay.serving.door.pace import Pace
from assay.serving.door.refused import Refused
from assay.serving.limits import Limits

KEY = "0123456789abcdef"


@dataclass
class Inside:
    draining: bool = False
    full: bool = False
    reasons: list[str] = field(default_factory=list)

    def admit(self, deadline):
        if self.full:
            raise Refused(429, "full", "full", 2.2)

    def rejected(self, reason):
        self.reasons.append(reason)


@dataclass
class Answer:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    async def __call__(self, message):
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            self.body += message.get("body", b"")

    @property
    def error(self) -> str:
        return json.loads(self.body)["error"]


class Caller:
    """Sends a body in chunks; a None keeps the service waiting for ever, "gone" closes the connection."""

    def __init__(self, *chunks):
        self.chunks = list(chunks)
        self.leaves = asyncio.Event()

    async def __call__(self):
        if self.chunks:
            chunk = self.chunks.pop(0)
            if chunk is None:
                await asyncio.Event().wait()
            if chunk == "gone":
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": chunk, "more_body": bool(self.chunks)}
        await self.leaves.wait()
        return {"type": "http.disconnect"}


async def echo(scope, receive, send):
    message = await receive()
    ASKED.get().version = "7"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": message["body"]})


class Stuck:
    """A service that does not answer; `ended` says that it was cancelled."""

    def __init__(self, begun=lambda: None):
        self.begun = begun
        self.ended = []

    async def __call__(self, scope, receive, send):
        await receive()
        self.begun()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.ended.append("cancelled")
            raise


def scope_of(path="/rank", method="POST", **headers):
    """What a server says of a request."""
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "path": path, "method": method, "headers": named}


def ask(app=echo, *chunks, inside=None, limits=None, keys=(), path="/rank", method="POST", **headers):
    """One request through a door; returns the answer and what was inside."""
    inside = inside or Inside()

    async def main():
        door = Door(app, limits or Limits(), Keys(list(keys)), inside)
        answer = Answer()
        scope = scope_of(path, method, **headers)
        await asyncio.wait_for(door(scope, Caller(*chunks or [b"{}"]), answer), 10)
        assert door.present == 0
        return answer

    return asyncio.run(main()), inside


def test_a_body_is_passed_on_whole_and_the_version_stands_in_the_headers():
    answer, _ = ask(echo, b'{"a', b'":1}')
    assert (answer.status, answer.body) == (200, b'{"a":1}')
    assert answer.headers == {"x-model-version": "7"}


def test_the_body_is_bounded_however_it_comes():
    limits = Limits(body_bytes=10)
    for chunks, headers in (([b"x" * 11], {}), ([b"x" * 6, b"x" * 6], {}), ([], {"content_length": "11"})):
        answer, inside = ask(echo, *chunks, limits=limits, **headers)
        assert (answer.status, inside.reasons) == (413, ["body"])
        assert "10 bytes" in answer.error
    assert ask(echo, b"x" * 10, limits=limits)[0].status == 200


def test_a_body_that_does_not_come_is_not_waited_for():
    answer, inside = ask(echo, b"{", None, x_deadline_ms="50")
    assert (answer.status, inside.reasons) == (408, ["deadline"])


def test_an_answer_that_does_not_come_is_cancelled_at_the_deadline():
    slow = Stuck()
    answer, inside = ask(slow, x_deadline_ms="50")
    assert (answer.status, inside.reasons, slow.ended) == (504, ["deadline"], ["cancelled"])


def test_envoy_may_say_the_deadline_and_the_shortest_counts():
    seen = []

    async def app(scope, receive, send):
        seen.append(ASKED.get().deadline - ASKED.get().began)
        await echo(scope, receive, send)

    ask(app, x_envoy_expected_rq_timeout_ms="3000")
    ask(app, x_envoy_expected_rq_timeout_ms="3000", x_deadline_ms="500")
    ask(app, x_deadline_ms="99999999999")
    assert seen == pytest.approx([3.0, 0.5, 20.0])


def test_nobody_computes_for_a_caller_who_left():
    caller = Caller(b"{}")
    slow = Stuck(caller.leaves.set)

    async def main():
        inside, answer = Inside(), Answer()
        door = Door(slow, Limits(), Keys([]), inside)
        scope = scope_of()
        async with asyncio.timeout(10) as bound:
            await door(scope, caller, answer)
        assert not bound.expired()
        return inside.reasons, answer.status, door.present, asyncio.current_task().cancelling()

    assert asyncio.run(main()) == (["gone"], 0, 0, 0)
    assert slow.ended == ["cancelled"]


def test_an_answer_that_has_begun_is_ended_whatever_the_time_or_the_caller():
    caller = Caller(b"{}")

    async def slow(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        caller.leaves.set()
        await asyncio.sleep(0.1)
        await send({"type": "http.response.body", "body": b"whole"})

    async def main():
        answer = Answer()
        scope = scope_of(x_deadline_ms="50")
        await Door(slow, Limits(), Keys([]), Inside())(scope, caller, answer)
        return answer.status, answer.body, asyncio.current_task().cancelling()

    assert asyncio.run(main()) == (200, b"whole", 0)


def test_who_is_cancelled_from_outside_leaves_nothing_behind():
    slow = Stuck()

    async def main():
        scope = scope_of()
        request = asyncio.create_task(
            Door(slow, Limits(), Keys([]), Inside())(scope, Caller(b"{}"), Answer())
        )
        await asyncio.sleep(0.01)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        return list(slow.ended)

    assert asyncio.run(main()) == ["cancelled"]


def test_a_full_queue_is_told_before_the_body_is_read():
    answer, inside = ask(echo, None, inside=Inside(full=True))
    assert (answer.status, answer.headers["retry-after"], inside.reasons) == (429, "3", ["full"])


def test_no_more_requests_at_one_time_than_allowed():
    async def main():
        inside, gate = Inside(), asyncio.Event()

        async def held(scope, receive, send):
            await gate.wait()
            await echo(scope, receive, send)

        door = Door(held, Limits(concurrency=2), Keys([]), inside)
        scope = scope_of()
        answers = [Answer() for _ in range(4)]
        sent = [asyncio.create_task(door(scope, Caller(b"{}"), answer)) for answer in answers]
        await asyncio.sleep(0.05)
        refused = [answer.status for answer in answers]
        # The probes of the cluster are answered all the same.
        probe = asyncio.create_task(
            door({**scope, "path": "/readyz", "method": "GET"}, Caller(b""), Answer())
        )
        await asyncio.sleep(0)
        gate.set()
        with pytest.raises(LookupError):
            await probe
        await asyncio.gather(*sent)
        return refused, [answer.status for answer in answers]

    assert asyncio.run(main()) == ([0, 0, 429, 429], [200, 200, 429, 429])


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": "Bearer wrong"}, 401),
        ({"authorization": f"Basic {KEY}"}, 401),
        ({"authorization": f"bearer {KEY}"}, 200),
        ({"x_api_key": KEY}, 200),
        ({"x_api_key": KEY + "x"}, 401),
    ],
)
def test_a_key_opens_the_door(headers, status):
    answer, inside = ask(keys=["f" * 16, KEY], **headers)
    assert answer.status == status
    assert inside.reasons == ([] if status == 200 else ["key"])
    if status == 401:
        assert "API key" in answer.error


def test_keys_come_from_the_environment_or_a_file(tmp_path):
    file = tmp_path / "keys"
    file.write_text(f"{KEY}\n\n")
    assert Keys.from_environment({}).open({})
    by_file = Keys.from_environment({"ASSAY_API_KEYS_FILE": str(file), "ASSAY_API_KEYS": "f" * 16})
    assert by_file.open({b"x-api-key": KEY.encode()})
    assert by_file.open({b"x-api-key": b"f" * 16})
    assert not by_file.open({})
    file.write_text("\n")
    for wrong in (
        {"ASSAY_API_KEYS_FILE": str(file)},
        {"ASSAY_API_KEYS_FILE": "/nowhere"},
        {"ASSAY_API_KEYS": "x"},
        {"ASSAY_API_KEYS": " , "},
    ):
        with pytest.raises(BadInput, match="key|KEYS"):
            Keys.from_environment(wrong)


def test_while_it_drains_it_answers_and_asks_for_another_connection():
    answer, _ = ask(inside=Inside(draining=True))
    assert (answer.status, answer.headers["connection"]) == (200, "close")


def test_info_may_be_got_and_the_index_is_closed():
    assert ask(path="/info", method="GET")[0].status == 200
    assert ask(path="/", method="GET")[0].status == 404


def test_who_would_be_too_late_is_not_let_in():
    class Slow(Pace):
        def wait(self, present):
            return 0.3 * present

    async def main():
        gate = asyncio.Event()

        async def held(scope, receive, send):
            await gate.wait()
            await echo(scope, receive, send)

        door = Door(held, Limits(), Keys([]), Inside(), Slow())
        answers = [Answer() for _ in range(4)]
        sent = []
        for answer in answers:
            scope = scope_of(x_deadline_ms="2000")
            sent.append(asyncio.create_task(door(scope, Caller(b"{}"), answer)))
            await asyncio.sleep(0.01)
        gate.set()
        await asyncio.gather(*sent)
        return [answer.status for answer in answers], answers[-1].headers["retry-after"]

    # The fourth would wait for three, 0.9 s of the 0.67 s that are a third of its time.
    assert asyncio.run(main()) == ([200, 200, 200, 429], "1")


@pytest.mark.parametrize(("status", "counted"), [(200, 1), (422, 1), (429, 0)])
def test_what_is_refused_behind_the_door_says_nothing_of_the_pace(status, counted):
    """Refusals are quick: counted, an overload would look like a fast service, and more be let in."""

    class Counting(Pace):
        answers = 0

        def answered(self, present, read):
            self.answers += 1

    async def answered(scope, receive, send):
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    pace = Counting()
    door = Door(answered, Limits(), Keys([]), Inside(), pace)
    scope = scope_of()
    asyncio.run(door(scope, Caller(b"{}"), Answer()))
    assert pace.answers == counted


def test_the_time_in_which_a_body_comes_is_not_the_pace():
    class Sender(Caller):
        async def __call__(self):
            message = await super().__call__()
            self.sent = time.monotonic()
            return message

    class Told(Pace):
        def answered(self, present, read):
            self.read = read

    sender, pace = Sender(b"{", b"}"), Told()
    asyncio.run(Door(echo, Limits(), Keys([]), Inside(), pace)(scope_of(), sender, Answer()))
    assert pace.read >= sender.sent
