"""A wrong body gets a 4xx that names the field; nothing that is sent makes a 500 or a log line."""

from __future__ import annotations

import json

import httpx
import pytest
from assay.serving.limits import Limits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

LIMITS = Limits()
ITEM = {"id": "a", "text": "shoe"}


def rank(**changed) -> dict:
    return {"context": "red", "candidates": [ITEM], **changed}


def item(**changed) -> dict:
    return rank(candidates=[ITEM, {**ITEM, "id": "b", **changed}])


WRONG = {
    "no context": ("/rank", {"candidates": [ITEM]}, ["context"]),
    "no items": ("/rank", {"context": "red"}, ["candidates"]),
    "empty items": ("/rank", rank(candidates=[]), ["candidates"]),
    "items null": ("/rank", rank(candidates=None), ["candidates"]),
    "items an object": ("/rank", rank(candidates={"a": "shoe"}), ["candidates"]),
    "items of texts": ("/rank", rank(candidates=["shoe"]), ["candidates", 0]),
    "too many items": (
        "/rank",
        rank(candidates=[{**ITEM, "id": str(i)} for i in range(257)]),
        ["candidates"],
    ),
    "context a number": ("/rank", rank(context=3), ["context"]),
    "context null": ("/rank", rank(context=None), ["context"]),
    "context too long": ("/rank", rank(context="x" * 10_001), ["context"]),
    "item missing": ("/rank", rank(candidates=[{"id": "a"}]), ["candidates", 0, "text"]),
    "item empty": ("/rank", item(text=""), ["candidates", 1, "text"]),
    "item blank": ("/rank", item(text=" \t\n"), ["candidates", 1, "text"]),
    "item too long": ("/rank", item(text="x" * 10_001), ["candidates", 1, "text"]),
    "item a list": ("/rank", item(text=["shoe"]), ["candidates", 1, "text"]),
    "id missing": ("/rank", rank(candidates=[{"text": "shoe"}]), ["candidates", 0, "id"]),
    "id empty": ("/rank", item(id=""), ["candidates", 1, "id"]),
    "id null": ("/rank", item(id=None), ["candidates", 1, "id"]),
    "id twice": ("/rank", rank(candidates=[ITEM, ITEM]), ["candidates"]),
    "extra field": ("/rank", rank(topk=3), ["topk"]),
    "extra field of an item": ("/rank", item(price=3), ["candidates", 1, "price"]),
    "top_k zero": ("/rank", rank(top_k=0), ["top_k"]),
    "top_k a text": ("/rank", rank(top_k="3"), ["top_k"]),
    "top_k a fraction": ("/rank", rank(top_k=1.5), ["top_k"]),
    "diversity above 1": ("/rank", rank(diversity=1.1), ["diversity"]),
    "no query": ("/v1/rerank", {"documents": ["shoe"]}, ["query"]),
    "no documents": ("/v1/rerank", {"query": "red", "documents": []}, ["documents"]),
    "document a number": ("/v1/rerank", {"query": "red", "documents": ["shoe", 3]}, ["documents", 1]),
    "document without text": ("/v1/rerank", {"query": "red", "documents": [{"t": "x"}]}, ["documents", 0]),
    "no events": ("/feedback", {"events": []}, ["events"]),
    "event of no known action": (
        "/feedback",
        {"events": [{"action": "stare", "item_id": "a"}]},
        ["events", 0, "action"],
    ),
    "event at no zone": (
        "/feedback",
        {"events": [{"action": "click", "item_id": "a", "timestamp": "2026-01-01T00:00:00"}]},
        ["events", 0, "timestamp"],
    ),
    "no pairs": ("/score", {}, ["pairs"]),
    "empty pairs": ("/score", {"pairs": []}, ["pairs"]),
    "pair as a list": ("/score", {"pairs": [["red", "shoe"]]}, ["pairs", 0]),
    "pair without item": ("/score", {"pairs": [{"context": "red"}]}, ["pairs", 0, "text"]),
    "empty texts": ("/embed", {"texts": []}, ["texts"]),
    "texts a text": ("/embed", {"texts": "shoe"}, ["texts"]),
    "a text empty": ("/embed", {"texts": ["shoe", ""]}, ["texts", 1]),
    "info of something": ("/info", {"of": "me"}, ["of"]),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_body_is_refused_by_the_name_of_its_field(client, case):
    route, body, field = WRONG[case]
    answer = client.post(route, json=body)
    assert answer.status_code == 400
    assert field in [problem["loc"] for problem in answer.json()["detail"]]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"3",
        b'"text"',
        b"{",
        b"\xff\xfe",
        b'{"context": "\\ud800"}',
        b"[" * 50_000,
        b"NaN",
    ],
    ids=[
        "nothing",
        "null",
        "list",
        "number",
        "text",
        "cut off",
        "no utf-8",
        "half a surrogate",
        "deep",
        "nan",
    ],
)
@pytest.mark.parametrize("route", ["/rank", "/score", "/embed"])
def test_what_is_no_object_is_refused(client, route, body):
    answer = client.post(route, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]


@pytest.mark.parametrize(
    "media_type",
    [
        "application/vnd.bentoml+pickle",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
    ],
)
def test_only_json_is_read(client, media_type):
    answer = client.post("/rank", content=json.dumps(rank()), headers={"Content-Type": media_type})
    assert answer.status_code == 415
    assert "application/json" in answer.json()["error"]


def test_a_large_body_is_turned_away_unread(client):
    answer = client.post("/embed", json={"texts": ["x" * LIMITS.body_bytes]})
    assert answer.status_code == 413
    assert str(LIMITS.body_bytes) in answer.json()["error"]


def test_a_large_body_of_unknown_length_is_turned_away(client):
    chunks = (b"x" * 65_536 for _ in range(LIMITS.body_bytes // 65_536 + 1))
    answer = client.post("/embed", content=chunks, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("method", "route", "status"), [("GET", "/rank", 405), ("PUT", "/rank", 405), ("POST", "/x", 404)]
)
def test_other_methods_and_routes(client, method, route, status):
    assert client.request(method, route, json={}).status_code == status


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "latin-1"])
def test_only_utf_8_is_read(client, encoding):
    body = json.dumps(rank(context="größer"), ensure_ascii=False).encode(encoding)
    answer = client.post("/rank", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400


@pytest.mark.parametrize("deadline", ["soon", "0", "-5", "1.5"])
def test_a_deadline_is_a_number_of_milliseconds(client, deadline):
    answer = client.post("/rank", json=rank(), headers={"X-Deadline-Ms": deadline})
    assert answer.status_code == 400
    assert "x-deadline-ms" in answer.json()["error"]


def test_a_deadline_is_kept(client):
    many = [{"id": str(i), "text": f"a shoe of colour {i} " * 60} for i in range(LIMITS.items)]
    late = client.post("/rank", json=rank(candidates=many), headers={"X-Deadline-Ms": "20"})
    assert late.status_code == 504
    assert "deadline" in late.json()["error"] or "within" in late.json()["error"]
    assert client.post("/rank", json=rank(), headers={"X-Deadline-Ms": "15000"}).status_code == 200


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
near = st.fixed_dictionaries(
    {},
    optional={
        "context": anything | st.text(),
        "candidates": anything
        | st.lists(st.fixed_dictionaries({"id": anything, "text": st.text()}), max_size=3),
        "pairs": st.lists(
            st.fixed_dictionaries({"context": st.text(), "text": st.text() | anything}), max_size=3
        ),
        "texts": st.lists(st.text() | anything, max_size=3),
        "top_k": anything,
        "query": anything | st.text(),
        "documents": st.lists(st.text() | anything, max_size=3) | anything,
        "events": st.lists(
            st.fixed_dictionaries({"action": st.just("click"), "item_id": anything}), max_size=3
        ),
    },
)


@given(
    body=near | anything,
    route=st.sampled_from(["/rank", "/v1/rerank", "/score", "/embed", "/feedback", "/info"]),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_body_makes_a_500(client, body, route):
    answer = client.post(route, json=body)
    assert answer.status_code in (200, 400, 404)
    assert answer.json()


def test_logs_hold_no_user_text(client, server):
    secret = "zanzibar-4711"
    assert client.post("/rank", json=rank(context=f"{secret} ok")).status_code == 200
    assert client.post("/rank", json=rank(context=secret, items=[])).status_code == 400
    assert client.post("/rank", json=rank(**{secret: 1})).status_code == 400
    assert client.post("/rank", json=item(text=[secret])).status_code == 400
    assert client.post("/rank", content=f'{{"context": "{secret}'.encode()).status_code == 400
    log = server.log.read_text()
    assert '"/rank"' in log
    assert secret not in log
    assert "Traceback" not in log


def test_a_client_that_goes_away_harms_nobody(client, server):
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{server.url}/rank",
            json=rank(candidates=[{"id": str(i), "text": f"shoe {i} " * 20} for i in range(60)]),
            timeout=0.05,
        )
    assert client.post("/rank", json=rank()).status_code == 200
