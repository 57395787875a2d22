"""What the serving benchmark sends is what the service takes, what it spoils is spoilt; results are kept."""

from __future__ import annotations

import json

import pytest
from assay.examples.store.config import StoreConfig
from hypothesis import HealthCheck, find, given, settings
from load import bodies
from load.found import Found
from load.hostile import RIGHT, SHARES, strategies
from load.scenarios import SCENARIOS, merged

DOCUMENT = {
    "openapi": "3.0.2",
    "info": {"title": "small", "version": "1"},
    "paths": {
        "/embed": {
            "post": {
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {
                            "schema": {
                                "type": "object",
                                "required": ["texts"],
                                "properties": {"texts": {"type": "array", "items": {"type": "string"}}},
                            }
                        }
                    },
                },
                "responses": {"200": {"description": "Vectors."}},
            }
        }
    },
}


def body_of(data: bytes) -> bytes:
    head, _, body = data.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}\r\n".encode() in head + b"\r\n"
    return body


def test_requests_are_what_the_service_takes():
    from assay.serving.api import contract

    models = {
        "/rank": contract.RankRequest,
        "/score": contract.ScoreRequest,
        "/embed": contract.EmbedRequest,
        "/v1/rerank": contract.RerankRequest,
    }
    for data in RIGHT:
        models[data.split(b" ")[1].decode()].model_validate_json(body_of(data))


def test_texts_do_not_come_twice(monkeypatch, request):
    monkeypatch.setattr(bodies, "STORE", StoreConfig(queries=500))
    bodies.titles.cache_clear()
    request.addfinalizer(bodies.titles.cache_clear)
    texts = bodies.Texts()
    sent = [*texts.ranks(20), *texts.scores(40), *texts.embeds(bodies.embed, 100)]
    told = b" ".join(sent).decode()
    titles = [title for title in bodies.titles() if json.dumps(title, ensure_ascii=False) in told]
    assert len(titles) >= 20 * bodies.CANDIDATES + 40 + 100
    assert len(set(sent)) == len(sent)


@pytest.mark.parametrize("kind", SHARES)
def test_every_kind_gives_requests(kind):
    pytest.importorskip("schemathesis")
    strategy = strategies(DOCUMENT)[kind]
    seen = set()

    @settings(max_examples=30, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(strategy)
    def each(data: bytes) -> None:
        assert isinstance(data, bytes)
        seen.add(data)
        if kind != "http":
            body_of(data)

    each()
    assert len(seen) > 5
    assert not seen & set(RIGHT) or kind in ("numbers", "types", "schema, valid")


def test_a_spoilt_body_can_be_no_json_at_all():
    pytest.importorskip("schemathesis")

    def no_json(data: bytes) -> bool:
        try:
            json.loads(body_of(data))
        except (ValueError, RecursionError):
            return True
        return False

    kinds = strategies(DOCUMENT)
    for kind in ("cut", "texts", "numbers", "deep", "bytes"):
        assert find(kinds[kind], no_json, settings=settings(database=None, deadline=None))


def test_a_scenario_replaces_its_own_part_and_no_other():
    first = merged({}, "base", Found({"a": 1}, {"x": (0.3, "<=", 0.35)}, {"fastapi": {"cpu": 2}}))
    before = {
        "figures": first.figures,
        "peers": first.peers,
        "budget": {"x": {"value": 0.3, "op": "<=", "bound": 0.35, "met": True}},
    }
    both = merged(before, "swaps", Found({"b": 2}, {"failed": (0, "<=", 0)}))
    assert both.figures["base"] == first.figures["base"]
    assert both.budget == {"x": (0.3, "<=", 0.35), "failed": (0, "<=", 0)}
    before |= {
        "figures": both.figures,
        "budget": {k: dict(zip(("value", "op", "bound"), v, strict=True)) for k, v in both.budget.items()},
    }
    again = merged(before, "base", Found({"a": 3}, {"y": (1.0, "<=", 2.0)}))
    assert set(again.budget) == {"failed", "y"}
    assert again.figures["base"]["a"] == 3
    assert again.figures["swaps"]["b"] == 2
    assert again.peers == {"base": {"fastapi": {"cpu": 2}}}


def test_every_scenario_is_there():
    from importlib import import_module

    for name, (module, _) in SCENARIOS.items():
        assert callable(getattr(import_module(f"load.{module}"), name))
