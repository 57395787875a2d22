"""What the engine, the door and the stage say ends up in the right metric, with labels that are bounded."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from assay.components.core.errors import BadInput
from assay.serving.telemetry import metrics as names
from assay.serving.telemetry.metrics import Queue
from assay.serving.telemetry.observed import Observed
from assay.serving.telemetry.request import current
from assay.serving.telemetry.telemetry import Model, Telemetry

from tests.serving.telemetry.scraped import scraped, value


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


def ask(telemetry, app, path="/rank", headers=(), method="POST") -> list[dict]:
    """One request through the middleware, without a server."""
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "path": path, "method": method, "headers": list(headers)}
    asyncio.run(Observed(app, telemetry)(scope, receive, send))
    return sent


def answering(status: int, headers=()):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})
        await send({"type": "http.response.body", "body": b"{}"})

    return app


def test_a_batch(telemetry):
    telemetry.computed(rows=4, tokens=90, padded_tokens=120, version="3", seconds=0.5)
    telemetry.failed_rows(1, "3")
    page = telemetry.exposition()
    assert value(page, "assay_batch_rows_sum") == 4
    assert value(page, "assay_batch_tokens_sum") == 120
    assert value(page, "assay_batch_padding_share_sum") == pytest.approx(0.25)
    assert value(page, "assay_model_rows_total", version="3") == 4
    assert value(page, "assay_model_tokens_total", version="3") == 90
    assert value(page, "assay_model_seconds_total", version="3") == 0.5
    assert value(page, "assay_stage_seconds_sum", stage="model") == 0.5
    assert value(page, "assay_failed_rows_total", version="3") == 1


def test_what_other_rooms_count(telemetry):
    telemetry.cache(hits=3, misses=2)
    telemetry.cancelled_rows(5)
    telemetry.queue_from(lambda: Queue(2, 300, 8192))
    log = SimpleNamespace(
        accepted=7, duplicates=0, refused=2, impressions=40, dropped=1, bytes=99, files=3, failures=5, depth=4
    )
    telemetry.feedback_from(log)
    telemetry.swap("rolled_back")
    telemetry.compared(correlation=0.97, top1=True)
    telemetry.shadow_from(SimpleNamespace(skipped=8, failed=6))
    telemetry.ready(True)
    telemetry.took("queue", 0.2, None)
    page = telemetry.exposition()
    for name, expected in {
        "assay_cache_hits_total": 3,
        "assay_cache_misses_total": 2,
        "assay_cancelled_rows_total": 5,
        "assay_queue_requests": 2,
        "assay_queue_tokens": 300,
        "assay_queue_capacity_tokens": 8192,
        "assay_feedback_bytes_total": 99,
        "assay_feedback_files_total": 3,
        "assay_feedback_publish_failures_total": 5,
        "assay_feedback_queue_rows": 4,
        "assay_shadow_top1_agreed_total": 1,
        "assay_shadow_score_correlation_count": 1,
        "assay_ready": 1,
    }.items():
        assert value(page, name) == expected, name
    assert value(page, "assay_feedback_events_total", outcome="accepted") == 7
    assert value(page, "assay_feedback_events_total", outcome="duplicate") == 0
    assert value(page, "assay_feedback_events_total", outcome="refused") == 2
    assert value(page, "assay_feedback_impressions_total", outcome="kept") == 40
    assert value(page, "assay_feedback_impressions_total", outcome="dropped") == 1
    assert value(page, "assay_swaps_total", outcome="rolled_back") == 1
    shadowed = {outcome: value(page, "assay_shadow_total", outcome=outcome) for outcome in names.SHADOWS}
    assert shadowed == {"compared": 1, "skipped": 8, "failed": 6, "other": 0}
    assert value(page, "assay_stage_seconds_sum", stage="queue") == pytest.approx(0.2)


def test_models_are_those_that_are_open_now(telemetry):
    telemetry.models(Model("m", "1", "torch-fp32", "aa"))
    telemetry.models(Model("m", "2", "onnx-int8", "bb"), Model("m", "3", "onnx-int8", "cc", "challenger"))
    shown = [dict(labels) for name, labels in scraped(telemetry.exposition()) if name == "assay_model_info"]
    assert {(labels["version"], labels["role"]) for labels in shown} == {
        ("2", "champion"),
        ("3", "challenger"),
    }


def test_no_caller_makes_a_label(telemetry):
    before = len(scraped(telemetry.exposition()))
    for i in range(20):
        ask(telemetry, answering(404), path=f"/secret{i}", method=f"M{i}")
        telemetry.rejected(f"reason {i}")
        telemetry.swap(f"outcome {i}")
        telemetry.took(f"stage {i}", 0.1, None)
    page = telemetry.exposition()
    assert "secret" not in page.decode()
    assert value(page, "assay_requests_total", route="other", status="404") == 20
    assert value(page, "assay_rejected_total", reason="other") == 20
    assert value(page, "assay_rejected_total", reason="route") == 20
    # One series of requests, and one histogram row of the unknown stage.
    assert len(scraped(page)) - before <= 1 + len(names.STAGE_SECONDS) + 3


def test_a_request_that_is_turned_away_has_no_latency(telemetry):
    ask(telemetry, answering(429))
    ask(telemetry, answering(200))
    page = telemetry.exposition()
    assert value(page, "assay_requests_total", route="/rank", status="429") == 1
    assert value(page, "assay_request_seconds_count", route="/rank") == 1
    assert value(page, "assay_requests_in_flight") == 0


@pytest.mark.parametrize(
    ("status", "reason"), [(400, "invalid"), (404, "route"), (405, "route"), (418, "other")]
)
def test_what_bentoml_refuses_has_a_reason_too(telemetry, status, reason):
    ask(telemetry, answering(status))
    assert value(telemetry.exposition(), "assay_rejected_total", reason=reason) == 1


def test_a_refusal_is_counted_once(telemetry):
    async def app(scope, receive, send):
        telemetry.rejected("full")
        await answering(429)(scope, receive, send)

    ask(telemetry, app)
    page = scraped(telemetry.exposition())
    counted = {
        dict(labels)["reason"]: n for (name, labels), n in page.items() if name == "assay_rejected_total"
    }
    assert {reason: n for reason, n in counted.items() if n} == {"full": 1}


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz"])
def test_probes_are_not_counted(telemetry, path):
    ask(telemetry, answering(200), path=path, method="GET")
    assert value(telemetry.exposition(), "assay_requests_total", route="other", status="200") == 0


def test_the_metrics_page_is_answered_by_the_middleware(telemetry):
    started, body = ask(telemetry, answering(500), path="/metrics", method="GET")
    assert started["status"] == 200
    assert body["body"] == telemetry.exposition() or b"assay_ready 0.0" in body["body"]


def test_an_id_that_is_plain_is_kept_and_another_replaced(telemetry):
    seen = []

    async def app(scope, receive, send):
        seen.append(current.get().id)
        await answering(200)(scope, receive, send)

    def answered(given: bytes) -> str:
        headers = ask(telemetry, app, headers=[(b"x-request-id", given)])[0]["headers"]
        return dict(headers)[b"x-request-id"].decode()

    assert answered(b"order-4711.a") == "order-4711.a"
    for wrong in (b"red shoes for my wife", b"x" * 65, b"", b"a\nb", "é".encode()):
        assert answered(wrong) != wrong.decode()
        assert len(seen[-1]) == 16
    assert current.get() is None


async def _leaves(scope, receive, send):
    return None


async def _fails(scope, receive, send):
    raise RuntimeError("no")


async def _is_cancelled(scope, receive, send):
    raise asyncio.CancelledError


@pytest.mark.parametrize(("app", "status"), [(_leaves, "499"), (_fails, "500"), (_is_cancelled, "504")])
def test_a_request_without_an_answer_is_counted(telemetry, app, status):
    if app is _leaves:
        ask(telemetry, app)
    else:
        with pytest.raises((RuntimeError, asyncio.CancelledError)):
            ask(telemetry, app)
    page = telemetry.exposition()
    assert value(page, "assay_requests_total", route="/rank", status=status) == 1
    assert value(page, "assay_requests_in_flight") == 0


def test_every_metric_has_a_plain_name_a_base_unit_and_few_labels(telemetry):
    for instrument in telemetry.metrics.instruments():
        assert instrument.name.startswith("assay_")
        assert instrument.description.endswith(".")
        assert not any(unit in instrument.name for unit in ("_ms", "milli", "percent", "_kb", "_mb"))
        assert len(instrument.labels) <= 2 or instrument.name == "assay_model_info"
        kind = type(instrument).__name__
        assert instrument.name.endswith("_total") == (kind == "Counter"), instrument.name


def test_a_variable_of_opentelemetry_that_cannot_be_followed_is_told(monkeypatch):
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "jaeger")
    with pytest.raises(BadInput, match="OTEL_TRACES_EXPORTER=jaeger: choose otlp or none"):
        Telemetry.from_environment()
