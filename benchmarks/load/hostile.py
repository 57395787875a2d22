"""Requests that nobody should send, each kind a hypothesis strategy of raw bytes.

The kinds by schema come from the service's own OpenAPI document through schemathesis; the others start from a
body that is right and spoil it, or are no bodies at all.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from . import bodies
from .wire import request

RIGHT = (
    bodies.rank("red shoe", ["running shoe, red", "kettle"]),
    bodies.score([("red shoe", "running shoe, red"), ("kettle", "kettle")]),
    bodies.embed("red shoe"),
    bodies.rerank("red shoe", ["running shoe, red", "kettle"]),
)
"""One right request of each route."""

SHARES = {
    "schema, valid": 10, "schema, invalid": 20, "bytes": 10, "cut": 10, "deep": 6, "numbers": 10,
    "types": 14, "texts": 10, "keys": 4, "sizes": 1, "headers": 3, "http": 2,
}  # fmt: skip
"""Of 100 requests."""

NUMBERS = (
    "1e400", "-1e400", "NaN", "Infinity", "-Infinity", "9" * 5000, "-0", "0." + "0" * 400 + "1", "1e-400",
    str(2**63), str(-(2**63) - 1), "1E+2", "0x10", "01", "1.", ".5", "true", "1_000",
)  # fmt: skip

TEXTS = (
    "\ud800", "\udfff\ud800", "\x00", "a\x00b", "\u202e\u202d", "e" + "\u0301" * 500, "\ufeff", "\ufffe",
    "👩\u200d👩\u200d👧", "x" * 10_001, " " * 9_999, "\u3000", "\x1b[2J", "</script>", "%s%n",
    "\r\nX: y",
)  # fmt: skip

HEADERS: tuple[dict[str, str], ...] = (
    *({"X-Deadline-Ms": value} for value in ("", "-1", "0", "NaN", "1e999", "abc", "9" * 400, "1,2", "٣")),
    *(
        {"Content-Type": value}
        for value in ("", "text/plain", "application/xml", "application/json; charset=utf-7")
    ),
    {"Content-Type": "application/vnd.bentoml+pickle"},
    {"Content-Encoding": "gzip"},
    {"Accept": "text/html"},
    {"Accept-Encoding": "br;q=2, *"},
    {"traceparent": "00-zz"},
    {"traceparent": "00-" + "0" * 32 + "-" + "0" * 16 + "-01"},
    {"Authorization": "Bearer " + "a" * 4000},
    {"X-Api-Key": "\x7f"},
    {"X-Request-Id": "a" * 4000},
    {"Bentoml-Payload-Meta": "{}"},
    {"Payload-Container": "NdarrayContainer"},
    {"Cookie": "=;=;"},
    {"Range": "bytes=0-1"},
    {"Expect": "nothing"},
)

RAW = (
    b"\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"POST /rank\r\n\r\n",
    b"\x16\x03\x01\x00\xa5\x01\x00",
    b"POST /rank HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n{}",
    b"POST /rank HTTP/1.1\r\nHost: a\r\nContent-Length: ten\r\n\r\n{}",
    b"POST /rank HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n{}",
    b"POST /rank HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    b"POST /rank HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{",
    b"POST /rank HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"POST /rank HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
    b"POST /rank HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
    b"POST /rank HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
    b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    *(f"{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".encode()
      for method in ("GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW")
      for path in ("/rank", "/", "/docs.json", "/%00", "/../../etc/passwd", "/rank/", "/rank?%ff", "*")),
)  # fmt: skip

JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
_MARK = "\x01spoilt\x01"


def strategies(document: dict[str, Any]) -> dict[str, SearchStrategy[bytes]]:
    """A strategy for each kind of `SHARES`.

    Args:
        document: The service's OpenAPI document.
    """
    right, place = st.sampled_from(RIGHT), st.integers(0, 30)
    depths = st.builds(_deep, st.integers(1, 100_000), st.booleans(), st.booleans())
    counts, lengths = st.sampled_from((0, 1, 255, 256, 257, 5_000)), st.sampled_from((1, 40, 2_000, 10_001))
    headers = st.lists(st.sampled_from(HEADERS), min_size=1, max_size=3)
    junk = st.binary(min_size=1, max_size=300).map(lambda data: data + b"\r\n\r\n")
    return {
        "schema, valid": _by_schema(document, valid=True),
        "schema, invalid": _by_schema(document, valid=False),
        "bytes": st.builds(_with, right, st.binary(max_size=2000)),
        "cut": st.builds(_cut, right, st.floats(0, 0.999)),
        "deep": st.builds(_spoilt, right, place, depths),
        "numbers": st.builds(_spoilt, right, place, st.sampled_from(NUMBERS)),
        "types": st.builds(_spoilt, right, place, JSONS.map(json.dumps)),
        "texts": st.builds(_spoilt, right, place, _odd_texts()),
        "keys": st.builds(_other_keys, right, st.integers(0, 5), st.text(max_size=40), JSONS),
        "sizes": st.builds(_of_size, st.integers(0, 3), counts, lengths),
        "headers": st.builds(_with_headers, right, headers),
        "http": st.sampled_from(RAW) | junk,
    }


def _by_schema(document: dict[str, Any], valid: bool) -> SearchStrategy[bytes]:
    import schemathesis
    from schemathesis import GenerationMode

    schema = schemathesis.openapi.from_dict(document)
    mode = GenerationMode.POSITIVE if valid else GenerationMode.NEGATIVE
    routes = [path for path, methods in document["paths"].items() if "post" in methods]

    def sent(case: Any) -> bytes:
        body = case.body
        if not isinstance(body, bytes):
            try:
                body = json.dumps(body).encode()
            except (TypeError, ValueError):
                body = repr(body).encode(errors="replace")
        return request(case.operation.path, body)

    return st.one_of(*(schema[path]["POST"].as_strategy(generation_mode=mode) for path in routes)).map(sent)


def _body(data: bytes) -> bytes:
    return data.partition(b"\r\n\r\n")[2]


def _path(data: bytes) -> str:
    return data.split(b" ", 2)[1].decode()


def _with(data: bytes, body: bytes) -> bytes:
    return request(_path(data), body)


def _cut(data: bytes, share: float) -> bytes:
    return _with(data, _body(data)[: int(share * len(_body(data)))])


def _with_headers(data: bytes, headers: list[dict[str, str]]) -> bytes:
    merged: dict[str, str] = {name: value for each in headers for name, value in each.items()}
    lines = [f"POST {_path(data)} HTTP/1.1", "Host: load", f"Content-Length: {len(_body(data))}"]
    if "Content-Type" not in merged:
        lines.append("Content-Type: application/json")
    lines += [f"{name}: {value}" for name, value in merged.items()]
    return "\r\n".join([*lines, "", ""]).encode() + _body(data)


def _spoilt(data: bytes, at: int, value: str | bytes) -> bytes:
    """A right body in which one value, perhaps the whole, is replaced by raw JSON or bytes."""
    root = {"body": json.loads(_body(data))}
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for key, inner in node.items() if isinstance(node, dict) else enumerate(node):
            places.append((node, key))
            if isinstance(inner, dict | list):
                walk(inner)

    walk(root)
    holder, key = places[at % len(places)]
    holder[key] = _MARK
    raw = value if isinstance(value, bytes) else value.encode()
    return _with(data, json.dumps(root["body"]).encode().replace(json.dumps(_MARK).encode(), raw))


def _deep(depth: int, lists: bool, ended: bool) -> str:
    begin, end = ("[", "]") if lists else ('{"a":', "}")
    return begin * depth + "1" + (end * depth if ended else "")


def _odd_texts() -> SearchStrategy[str | bytes]:
    known = st.sampled_from(TEXTS).map(json.dumps)
    # As they are, which is no UTF-8 for some, no JSON for others.
    bare = st.sampled_from(TEXTS).map(lambda text: ('"' + text + '"').encode("utf-8", "surrogatepass"))
    wide = st.sampled_from(("utf-16", "utf-32", "latin-1")).map(lambda name: '"müde"'.encode(name))
    return (
        known
        | bare
        | wide
        | st.binary(max_size=40).map(lambda b: b'"' + b + b'"')
        | st.text().map(json.dumps)
    )


def _other_keys(data: bytes, way: int, name: str, value: Any) -> bytes:
    body = json.loads(_body(data))
    first = next(iter(body))
    if way == 0:
        del body[first]
    elif way == 1:
        body[name] = value
    elif way == 2:
        body["__proto__"] = {"constructor": value}
    elif way == 3:
        body["k" * 20_000] = value
    elif way == 4:
        body = {key.upper(): inner for key, inner in body.items()}
    else:
        text = json.dumps(body)
        return _with(data, (text[:-1] + "," + json.dumps({first: value})[1:-1] + "}").encode())
    return _with(data, json.dumps(body).encode())


def _of_size(route: int, count: int, characters: int) -> bytes:
    texts = [f"{number} shoe ".ljust(characters, "x")[:characters] for number in range(count)]
    if route == 0:
        return bodies.rank("red shoe", texts)
    if route == 1:
        return bodies.score([("red shoe", text) for text in texts])
    if route == 2:
        return bodies.post("/embed", texts=texts)
    return bodies.rerank("red shoe", texts)
