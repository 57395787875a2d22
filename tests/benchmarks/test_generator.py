"""The load generator is right: it counts what a server did, and charges a stall to all who waited."""

from __future__ import annotations

import asyncio
import math
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from load import generator
from load.generator import HUNG, LOST, Apart, Seen, Target, closed, load, open_loop
from load.usage import cpu_seconds, resident
from load.wire import Connection, Lost, request

from .conftest import ok

ASK = [request("/score", b'{"n": %d}' % n) for n in range(7)]


def statuses(seen: Seen) -> dict[int, int]:
    values, counts = np.unique(seen.statuses, return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def test_closed_counts_every_request_and_keeps_to_its_callers(small):
    async def respond(_: int) -> bytes:
        await asyncio.sleep(0.002)
        return ok()

    server = small(respond)
    seen = closed(Target(server.port, os.getpid()), ASK, 5, 0.3, warm=0.0)
    assert statuses(seen) == {200: server.asked["/score"]}
    assert server.most == 5
    assert (seen.seconds >= 0.002).all()
    assert set(seen.versions.tolist()) == {"1"}
    # The server is this process here, and so is the generator.
    assert seen.server_cpu >= seen.own_cpu * 0.5 > 0


def test_the_warm_up_is_not_counted(small):
    server = small()
    seen = closed(Target(server.port), ASK, 2, 0.1, warm=0.1)
    assert 0 < len(seen.statuses) < server.asked["/score"]


def test_open_charges_a_stall_to_all_who_were_meant_to_ask_meanwhile(small):
    async def respond(number: int) -> bytes:
        if number == 40:
            time.sleep(0.5)  # The whole server stands still.
        return ok()

    seen = open_loop(Target(small(respond).port), ASK, 200.0, 1.0, warm=0.0)
    assert statuses(seen) == {200: len(seen.statuses)}
    # A hundred were meant in that half second. A generator that waits with it would count one slow answer.
    assert (seen.seconds > 0.1).sum() > 40
    assert seen.seconds.max() >= 0.4


def test_a_generator_that_is_late_itself_hides_nothing(small, monkeypatch):
    async def respond(_: int) -> bytes:
        await asyncio.sleep(0.02)
        return ok()

    monkeypatch.setattr(generator, "CONNECTIONS", 1)
    server = small(respond)
    seen = open_loop(Target(server.port), ASK, 200.0, 0.5, warm=0.0)
    # One connection answers 50 a second at most: the last of a hundred was sent more than a second late.
    assert server.most == 1
    assert seen.late.max() > 0.5
    assert seen.seconds.max() > seen.late.max()


def test_open_keeps_its_rate_where_the_server_does_not(small):
    async def respond(_: int) -> bytes:
        await asyncio.sleep(0.3)
        return ok()

    server = small(respond)
    seen = open_loop(Target(server.port), ASK, 300.0, 1.0, warm=0.0)
    # 200 to 400 is six standard deviations.
    assert 200 < len(seen.statuses) < 400
    assert server.most > 20


def test_refusals_and_losses_are_counted_apart_from_answers(small):
    async def respond(number: int) -> bytes | None:
        if number % 3 == 0:
            return ok(b'{"error": "full"}', status=429)
        return None if number % 7 == 0 else ok()

    server = small(respond)
    seen = closed(Target(server.port), ASK, 1, 0.3, warm=0.0)
    n = server.asked["/score"]
    sevenths = n // 7 - n // 21
    assert statuses(seen) == {LOST: sevenths, 200: n - n // 3 - sevenths, 429: n // 3}
    assert seen.failed() == sevenths == sum(seen.reasons.values())
    assert seen.summary()["per_second"] == pytest.approx(seen.ok.sum() / seen.window)


def test_who_waits_too_long_gives_up_and_others_go_on(small):
    async def respond(number: int) -> bytes:
        if number == 1:
            await asyncio.sleep(60)
        return ok(version=str(number))

    seen = closed(Target(small(respond).port), ASK, 1, 1.0, warm=0.0, wait=0.3)
    assert seen.statuses[0] == HUNG
    # What came late for the first is not taken for the second's answer.
    assert seen.versions[1] == "2"
    assert seen.failed() == 1


def test_nobody_listens(small):
    server = small()
    server.stop()
    seen = closed(Target(server.port), ASK, 1, 0.1, warm=0.0)
    assert set(statuses(seen)) == {LOST}
    assert math.isnan(seen.p(99))


def test_summary_knows_the_deadline():
    seconds = np.array([0.1, 0.2, 0.9, 0.05])
    seen = Seen(
        np.zeros(4), seconds, np.array([200, 200, 200, 429]), np.full(4, ""), np.zeros(4), 2.0, 0.6, 0.1
    )
    told = seen.summary(deadline=0.5)
    assert told["per_second"] == 1.5
    assert told["good_per_second"] == 1.0
    assert told["cpu_ms_per_answer"] == pytest.approx(200.0)
    assert told["p50_ms"] == pytest.approx(200.0)
    assert told["statuses"] == {"200": 3, "429": 1}


def test_in_a_process_of_its_own_and_stopped_early(small):
    server = small()
    assert load(closed, Target(server.port), ASK, 2, 0.2, warm=0.0).ok.all()
    with Apart(open_loop, Target(server.port), ASK, 50.0, 600.0, warm=0.1) as under:
        while server.asked["/score"] < 200:
            time.sleep(0.05)
        assert not under.ended
        seen = under.seen()
    assert seen.ok.all()
    assert seen.window < 300.0


def test_cpu_time_of_children_that_are_gone_is_counted():
    burn = "import time\nwhile time.process_time() < 0.45: pass"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}]); print(); input()"
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as process:
        process.stdout.read(1)
        assert cpu_seconds(process.pid) >= 0.4
        assert resident(process.pid)["tree_mb"] >= resident(process.pid)["worker_mb"] > 1
        process.stdin.write(b"\n")
    assert cpu_seconds(process.pid) == 0.0


@pytest.mark.parametrize("step", [1, 3, 10_000])
@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nX-A: b\r\n\r\nhello", 200, b"hello"),
        (b"HTTP/1.1 204 No Content\r\nContent-Length:0\r\nX-A: b\r\n\r\n", 204, b""),
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 413 No\r\nX-A: b\r\nContent-Length: 2\r\n\r\nno",
            413,
            b"no",
        ),
        (
            b"HTTP/1.1 200 OK\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"7\r\n0\r\n\r\nab\r\n3;x=y\r\ncde\r\n0\r\n\r\n",
            200,
            b"0\r\n\r\nabcde",
        ),
        (b"HTTP/1.0 200 OK\r\nX-A: b\r\n\r\nuntil the end", 200, b"until the end"),
    ],
)
def test_answers_come_in_pieces_and_forms(answer, status, body, step):
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        for at in range(0, len(answer), step):
            writer.write(answer[at : at + step])
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()

    async def run():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            connection = await Connection.to(server.sockets[0].getsockname()[1])
            return await connection.send(request("/", method="GET"))

    found = asyncio.run(run())
    assert (found.status, found.body, found.header("x-a")) == (status, body, "b")
    assert found.header("x-b") is None


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", b"what?\r\n\r\n"]
)
def test_what_is_no_whole_answer_is_lost(answer):
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async def run():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            connection = await Connection.to(server.sockets[0].getsockname()[1])
            await connection.send(request("/", method="GET"))

    with pytest.raises(Lost):
        asyncio.run(run())
