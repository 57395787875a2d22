"""Under a real `bentoml serve`: metrics, logs and traces of requests, and nothing that a caller wrote."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.serving.telemetry.scraped import scraped, value

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


def log_lines(server) -> list[dict]:
    return [json.loads(line) for line in server.log.read_text().splitlines()]


def wait_for_line(server, **fields) -> dict:
    for _ in range(200):
        found = [line for line in log_lines(server) if all(line.get(k) == v for k, v in fields.items())]
        if found:
            return found[0]
        time.sleep(0.05)
    pytest.fail(f"no line with {fields} in\n{server.log.read_text()}")


def attributes(span) -> dict:
    return {a.key: a.value.string_value or a.value.int_value for a in span.attributes}


def test_bentomls_own_metrics_give_way_to_ours(caller):
    assert caller.post("/score", json={"texts": ["red shoe"]}).json() == [8.0]
    answer = caller.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    names = {name for name, _ in scraped(answer.text)}
    assert all(name.startswith(("assay_", "process_")) for name in names)
    assert value(answer.text, "assay_requests_total", route="/score", status="200") >= 1
    assert value(answer.text, "process_resident_memory_bytes") > 1e7
    assert value(answer.text, "assay_ready") == 1


def test_bentomls_middlewares_are_off():
    code = """if True:
        from assay.serving.telemetry.observed import without_bentoml_s
        from tests.serving.telemetry.noop import Noop
        app = Noop.to_asgi(is_main=True)
        without_bentoml_s(app)
        for middleware in app.user_middleware:
            print(middleware.cls.__name__)
    """
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    names = set(done.stdout.split())
    assert "Observed" in names
    assert not names & {
        "RunnerTrafficMetricsMiddleware",
        "AccessLogMiddleware",
        "OpenTelemetryMiddleware",
        "TimeoutMiddleware",
    }


def test_every_line_is_json_and_none_holds_what_a_caller_wrote(caller, noop):
    secret = "zanzibar-4711"
    caller.post("/score", json={"texts": [secret]})
    caller.post(f"/{secret}", json={})
    caller.get(f"/score?q={secret}")
    caller.post("/score", json={secret: 1})
    caller.post("/score", content=f'{{"texts": ["{secret}'.encode())
    caller.post("/score", json={"texts": ["a"]}, headers={"X-Request-ID": f"my {secret}"})
    assert (
        caller.post("/rank", json={"texts": [secret]}, headers={"X-Request-ID": "bad-1"}).status_code == 500
    )

    failure = wait_for_line(noop, request_id="bad-1", level="error")
    assert failure["message"].startswith("Exception on /rank [POST]: RuntimeError in noop.py:")
    line = wait_for_line(noop, request_id="bad-1", logger="assay.access")
    assert line["message"] == "POST /rank 500"
    assert (line["route"], line["status"], line["rejected"]) == ("/rank", 500, "invalid")
    assert line["seconds"] > 0
    assert len(line["trace_id"]) == 32
    # Those of BentoML too, of its supervisor and of its worker.
    lines = log_lines(noop)
    assert {"bentoml.serve", "assay.noop"} <= {line["logger"] for line in lines}
    assert all({"time", "level", "logger", "message"} <= set(line) for line in lines)
    assert wait_for_line(noop, logger="assay.noop")["version"] == "3"
    assert secret not in noop.log.read_text()
    assert "Traceback" not in noop.log.read_text()


def test_a_trace_of_a_request_its_stages_and_its_batch(caller, collector):
    answer = caller.post(
        "/score",
        json={"texts": ["zanzibar-4711", "shoe"]},
        headers={"traceparent": f"00-{TRACE}-{PARENT}-01", "X-Request-ID": "traced-1"},
    )
    version, trace, span_id, flags = answer.headers["traceresponse"].split("-")
    assert (version, trace, flags) == ("00", TRACE, "01")

    mine = collector.wait_for(lambda s: s.span_id.hex() == span_id)
    assert mine.name == "POST /score"
    assert (mine.trace_id.hex(), mine.parent_span_id.hex()) == (TRACE, PARENT)
    assert attributes(mine) == {
        "http.request.method": "POST",
        "http.route": "/score",
        "http.response.status_code": 200,
        "assay.request_id": "traced-1",
    }
    children = {
        name: collector.wait_for(lambda s, n=name: s.name == n and s.parent_span_id == mine.span_id)
        for name in ("parse", "tokenise", "queue", "model", "batch")
    }
    for child in children.values():
        assert child.trace_id == mine.trace_id
        assert child.end_time_unix_nano >= child.start_time_unix_nano
    # The batch and its requests lead to each other.
    batch = children["batch"]
    assert [link.span_id for link in batch.links] == [mine.span_id]
    assert [link.span_id for link in children["model"].links] == [batch.span_id]
    assert attributes(batch)["assay.batch.rows"] == 2
    assert attributes(batch)["assay.batch.tokens"] == 17
    assert attributes(batch)["assay.batch.padded_tokens"] == 26
    assert {r["service.name"] for r in collector.resources} == {"assay-serving"}
    assert not any(b"zanzibar" in body for body in collector.raw)


def test_a_failure_has_its_type_and_not_its_message(caller, collector):
    answer = caller.post("/rank", json={"texts": ["zanzibar-4711"]})
    span_id = answer.headers["traceresponse"].split("-")[2]
    span = collector.wait_for(lambda s: s.span_id.hex() == span_id)
    assert span.status.code == span.status.STATUS_CODE_ERROR
    assert attributes(span)["assay.rejected"] == "invalid"
    assert not any(b"zanzibar" in body for body in collector.raw)


def test_a_caller_that_samples_nothing_is_followed(caller):
    other = "1" * 32
    answer = caller.post("/score", json={"texts": ["a"]}, headers={"traceparent": f"00-{other}-{PARENT}-00"})
    assert answer.status_code == 200
    assert "traceresponse" not in answer.headers


def test_no_traces_unless_asked_and_the_rest_is_sent_at_the_end(start_noop, collector):
    server = start_noop(
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        OTEL_SERVICE_NAME="mine",
        # Nothing is sent before the end.
        OTEL_BSP_SCHEDULE_DELAY="600000",
        ASSAY_TELEMETRY_LOGS="text",
        ASSAY_TELEMETRY_ACCESS_LOG="errors",
    )
    import httpx

    assert httpx.post(f"{server.url}/score", json={"texts": ["a"]}).status_code == 200
    assert httpx.post(f"{server.url}/nothing", json={"texts": ["a"]}).status_code == 404
    assert server.stop() == 0
    assert any(resource.get("service.name") == "mine" for resource in collector.resources)
    log = server.log.read_text()
    assert "POST other 404" in log
    assert "POST /score 200" not in log
    assert '{"' not in log
