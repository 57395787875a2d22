"""The client against a real service, and against one that fails as networks do."""

from __future__ import annotations

import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from assay.components.core.errors import BadInput
from assay.serving.api.client import AsyncClient, Client, Refusal, Unanswered

CANDIDATES = {"a": "kettle of steel", "b": "running shoe, red"}


def test_every_route_comes_back_typed(server):
    with Client(server.url, timeout=30) as client:
        ranked = client.rank("red shoe", CANDIDATES, top_k=1, diversity=0.2, user_id="u")
        assert ranked.version == "3"
        assert ranked.items[0].id in CANDIDATES
        pairs = [("red shoe", text) for text in CANDIDATES.values()]
        scores = client.score(pairs).scores
        assert ranked.items[0].score == pytest.approx(max(scores), abs=1e-5)
        assert len(client.embed(list(CANDIDATES.values())).vectors[0]) == client.info().dimensions

    async def main():
        async with AsyncClient(server.url, timeout=30) as client:
            return await asyncio.gather(*(client.score(pairs) for _ in range(5)))

    assert all(answer.scores == pytest.approx(scores, abs=1e-5) for answer in asyncio.run(main()))


def test_a_refusal_names_the_field(server):
    with Client(server.url) as client, pytest.raises(Refusal, match="candidates: .*at least 1") as told:
        client.rank("red", {})
    assert told.value.status == 400
    assert told.value.detail[0]["loc"] == ["candidates"]


class Flaky(BaseHTTPRequestHandler):
    """Answers as `plan` says, one entry a request: a status, or "drop" to close the connection."""

    plan: list = []
    seen: list = []

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).seen.append((dict(self.headers), body))
        step = type(self).plan.pop(0) if type(self).plan else 200
        if step == "drop":
            self.connection.close()
            return
        said = {"accepted": len(body.get("events", [])), "duplicates": 0} if step == 200 else {"error": "no"}
        data = json.dumps(said).encode()
        self.send_response(step)
        self.send_header("Content-Length", str(len(data)))
        if step == 429:
            self.send_header("Retry-After", "1")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture
def flaky():
    """(url, handler class) of a server that fails on request."""

    class Handler(Flaky):
        plan, seen = [], []

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}", Handler
        http.shutdown()
        thread.join()


def test_what_may_be_answered_later_is_asked_again_with_the_same_ids(flaky):
    url, handler = flaky
    handler.plan[:] = [503, "drop", 200]
    with Client(url, key="k" * 16) as client:
        assert client.feedback([{"action": "click", "item_id": "a"}]).accepted == 1
    headers, bodies = zip(*handler.seen, strict=True)
    assert len(bodies) == 3
    assert bodies[0] == bodies[1] == bodies[2]
    assert bodies[0]["events"][0]["event_id"]
    assert len({one["X-Request-Id"] for one in headers}) == 1
    assert {one["Authorization"] for one in headers} == {f"Bearer {'k' * 16}"}
    left = [int(one["X-Deadline-Ms"]) for one in headers]
    assert 5000 >= left[0] > left[1] > left[2] > 0


def test_what_is_wrong_is_not_asked_again(flaky):
    url, handler = flaky
    for status in (400, 413, 422, 500, 504):
        handler.plan[:] = [status]
        handler.seen.clear()
        with Client(url) as client, pytest.raises(Refusal, match=f"{status}: no"):
            client.feedback([])
        assert len(handler.seen) == 1


def test_the_deadline_bounds_retries_and_what_the_service_asks_for(flaky):
    url, handler = flaky
    handler.plan[:] = [429] * 9
    with Client(url, timeout=0.5) as client, pytest.raises(Unanswered, match="within 0.5 s and 1 tries: 429"):
        client.feedback([])
    handler.plan[:] = [503] * 9
    with Client(url, retries=2) as client, pytest.raises(Unanswered, match="3 tries"):
        client.feedback([])
    with Client("http://127.0.0.1:9", retries=1) as client, pytest.raises(Unanswered, match="Connect"):
        client.feedback([])


@pytest.mark.parametrize("wrong", [{"timeout": 0}, {"timeout": float("nan")}, {"retries": -1}])
def test_what_would_ask_nothing_is_refused(wrong):
    with pytest.raises(BadInput, match=next(iter(wrong))):
        Client("http://x", **wrong)
