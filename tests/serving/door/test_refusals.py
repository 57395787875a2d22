"""A wrong body gets a 4xx that names the field; nothing that is sent makes a 500 or a log line."""

from __future__ import annotations

import json

import httpx
import pytest
from assay.serving.limits import Limits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

LIMITS = Limits()
ITEM = {"item_id": "a", "item": "shoe"}


def rank(**changed) -> dict:
    return {"context": "red", "items": [ITEM], **changed}


def item(**changed) -> dict:
    return rank(items=[ITEM, {**ITEM, "item_id": "b", **changed}])


WRONG = {
    "no context": ("/rank", {"items": [ITEM]}, ["context"]),
    "no items": ("/rank", {"context": "red"}, ["items"]),
    "empty items": ("/rank", rank(items=[]), ["items"]),
    "items null": ("/rank", rank(items=None), ["items"]),
    "items an object": ("/rank", rank(items={"a": "shoe"}), ["items"]),
    "items of texts": ("/rank", rank(items=["shoe"]), ["items", 0]),
    "too many items": ("/rank", rank(items=[{**ITEM, "item_id": str(i)} for i in range(257)]), ["items"]),
    "context a number": ("/rank", rank(context=3), ["context"]),
    "context null": ("/rank", rank(context=None), ["context"]),
    "context too long": ("/rank", rank(context="x" * 10_001), ["context"]),
    "item missing": ("/rank", rank(items=[{"item_id": "a"}]), ["items", 0, "item"]),
    "item empty": ("/rank", item(item=""), ["items", 1, "item"]),
    "item blank": ("/rank", item(item=" \t\n"), ["items", 1, "item"]),
    "item too long": ("/rank", item(item="x" * 10_001), ["items", 1, "item"]),
    "item a list": ("/rank", item(item=["shoe"]), ["items", 1, "item"]),
    "id missing": ("/rank", rank(items=[{"item": "shoe"}]), ["items", 0, "item_id"]),
    "id empty": ("/rank", item(item_id=""), ["items", 1, "item_id"]),
    "id null": ("/rank", item(item_id=None), ["items", 1, "item_id"]),
    "id twice": ("/rank", rank(items=[ITEM, ITEM]), ["items"]),
    "extra field": ("/rank", rank(topk=3), ["topk"]),
    "extra field of an item": ("/rank", item(price=3), ["items", 1, "price"]),
    "top_k zero": ("/rank", rank(top_k=0), ["top_k"]),
    "top_k a text": ("/rank", rank(top_k="3"), ["top_k"]),
    "top_k a fraction": ("/rank", rank(top_k=1.5), ["top_k"]),
    "no pairs": ("/score", {}, ["pairs"]),
    "empty pairs": ("/score", {"pairs": []}, ["pairs"]),
    "pair as a list": ("/score", {"pairs": [["red", "shoe"]]}, ["pairs", 0]),
    "pair without item": ("/score", {"pairs": [{"context": "red"}]}, ["pairs", 0, "item"]),
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
    assert answer.json()["detail"]


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
        "items": anything
        | st.lists(st.fixed_dictionaries({"item_id": anything, "item": st.text()}), max_size=3),
        "pairs": st.lists(
            st.fixed_dictionaries({"context": st.text(), "item": st.text() | anything}), max_size=3
        ),
        "texts": st.lists(st.text() | anything, max_size=3),
        "top_k": anything,
    },
)


@given(body=near | anything, route=st.sampled_from(["/rank", "/score", "/embed", "/info"]))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_body_makes_a_500(client, body, route):
    answer = client.post(route, json=body)
    assert answer.status_code in (200, 400)
    assert answer.json()


def test_logs_hold_no_user_text(client, server):
    secret = "zanzibar-4711"
    assert client.post("/rank", json=rank(context=f"{secret} ok")).status_code == 200
    assert client.post("/rank", json=rank(context=secret, items=[])).status_code == 400
    assert client.post("/rank", json=rank(**{secret: 1})).status_code == 400
    assert client.post("/rank", json=item(item=[secret])).status_code == 400
    assert client.post("/rank", content=f'{{"context": "{secret}'.encode()).status_code == 400
    log = server.log.read_text()
    assert "path=/rank" in log
    assert secret not in log
    assert "Traceback" not in log


def test_a_client_that_goes_away_harms_nobody(client, server):
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{server.url}/rank",
            json=rank(items=[{"item_id": str(i), "item": f"shoe {i} " * 60} for i in range(99)]),
            timeout=0.05,
        )
    assert client.post("/rank", json=rank()).status_code == 200
