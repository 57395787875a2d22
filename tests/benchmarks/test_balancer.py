"""The balancer follows readiness and never retries."""

from __future__ import annotations

import asyncio
import time

import pytest
from load.balancer import Balancer
from load.generator import Target, closed
from load.servers import ask
from load.wire import request

from .conftest import ok

ASK = [request("/rank", b"{}")]


def until(condition) -> None:
    for _ in range(200):
        if condition():
            return
        time.sleep(0.05)
    pytest.fail("did not come about in 10 s")


def test_follows_readiness_and_spreads_the_load(small):
    first, second = small(), small()
    with Balancer([first.port, second.port]) as balancer:
        replicas = balancer.replicas
        until(lambda: all(each.ready for each in replicas.values()))
        seen = closed(Target(balancer.port), ASK, 4, 0.3, warm=0.0)
        assert seen.ok.all()
        both = first.asked["/rank"], second.asked["/rank"]
        assert sum(both) == len(seen.statuses)
        assert min(both) > 0.3 * max(both)
        first.ready = False
        until(lambda: not replicas[first.port].ready)
        before = first.asked["/rank"]
        assert closed(Target(balancer.port), ASK, 4, 0.2, warm=0.0).ok.all()
        assert first.asked["/rank"] == before
        first.ready = True
        until(lambda: replicas[first.port].ready)
        # As a terminating pod: it still says that it is ready.
        replicas[second.port].out = True
        before = second.asked["/rank"]
        assert closed(Target(balancer.port), ASK, 4, 0.2, warm=0.0).ok.all()
        assert second.asked["/rank"] == before
        assert not balancer.lost


def test_what_a_replica_loses_is_lost(small):
    async def respond(number: int) -> bytes | None:
        return None if number % 5 == 0 else ok(b'{"n": 1}', version="7")

    server = small(respond)
    with Balancer([server.port]) as balancer:
        until(lambda: balancer.replicas[server.port].ready)
        seen = closed(Target(balancer.port), ASK, 1, 0.3, warm=0.0)
    asked = server.asked["/rank"]
    # Each request reached the replica once.
    assert asked == len(seen.statuses)
    assert (seen.statuses == 502).sum() == asked // 5 == sum(balancer.lost.values())
    assert set(seen.versions[seen.ok].tolist()) == {"7"}


def test_with_no_replica_ready_it_says_so(small):
    server = small()
    server.ready = False
    with Balancer([server.port]) as balancer:
        until(lambda: server.asked["/readyz"] > 0)
        assert ask(balancer.port, ASK[0]).status == 503
    assert server.asked["/rank"] == 0


def test_a_connection_that_the_replica_ended_is_not_used_again(small):
    async def respond(number: int) -> bytes:
        await asyncio.sleep(0)
        return ok().replace(b"X-Model", b"Connection: close\r\nX-Model")

    server = small(respond)
    with Balancer([server.port]) as balancer:
        until(lambda: balancer.replicas[server.port].ready)
        seen = closed(Target(balancer.port), ASK, 2, 0.2, warm=0.0)
    assert seen.ok.all()
