"""When traces are on, and how a batch of many requests is told."""

from __future__ import annotations

import subprocess
import sys

import pytest
from assay.components.core.errors import BadInput
from assay.serving.telemetry.request import current
from assay.serving.telemetry.telemetry import Telemetry
from assay.serving.telemetry.tracing import Tracing, wanted
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}
SAMPLED, UNSAMPLED = ((b"traceparent", f"00-{'a' * 32}-{'b' * 16}-0{flag}".encode()) for flag in (1, 0))


@pytest.mark.parametrize(
    ("environment", "on"),
    [
        ({}, False),
        (ENDPOINT, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", **ENDPOINT}, False),
        ({"OTEL_SDK_DISABLED": "true", **ENDPOINT}, False),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", **ENDPOINT}, True),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, False),
    ],
)
def test_when_traces_are_on(environment, on):
    assert wanted(environment) is on


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER=zipkin: choose otlp or none"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", **ENDPOINT}, "PROTOCOL=grpc: http/protobuf alone is there"),
    ],
)
def test_what_is_not_there_is_told(environment, message):
    with pytest.raises(BadInput, match=message):
        wanted(environment)


def test_nothing_of_opentelemetry_is_imported_while_traces_are_off():
    code = (
        "import sys; from assay.serving.telemetry.telemetry import Telemetry; t = Telemetry(); t.start();"
        "r = t.arrived('/rank', 'POST', []); t.answered(r); t.exposition();"
        "print([m for m in sys.modules if m.startswith(('opentelemetry', 'bentoml'))])"
    )
    environment = {"PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.strip() == "[]"


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


def traced(exporter, sampler=None) -> Telemetry:
    provider = TracerProvider(sampler=sampler)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    telemetry = Telemetry()
    telemetry.tracing = Tracing(provider)
    return telemetry


def test_a_batch_of_many_requests_links_to_each_once(exporter):
    telemetry = traced(exporter)
    requests = [telemetry.arrived("/rank", "POST", []) for _ in range(3)]
    telemetry.computed(6, 60, 60, "3", 0.1, [*requests, *requests, None])
    spans = exporter.get_finished_spans()
    (batch,) = [span for span in spans if span.name == "batch"]
    models = [span for span in spans if span.name == "model"]
    own = [request.span.get_span_context().span_id for request in requests]
    assert [link.context.span_id for link in batch.links] == own
    assert [span.parent.span_id for span in models] == own
    assert {span.links[0].context.span_id for span in models} == {batch.context.span_id}
    assert batch.attributes["assay.batch.requests"] == 3


def test_a_batch_is_recorded_only_for_requests_that_are(exporter):
    telemetry = traced(exporter, ParentBased(ALWAYS_OFF))
    off = telemetry.arrived("/rank", "POST", [UNSAMPLED])
    telemetry.computed(1, 10, 10, "3", 0.1, [off])
    telemetry.took("queue", 0.1, off)
    assert exporter.get_finished_spans() == ()
    on = telemetry.arrived("/rank", "POST", [SAMPLED])
    telemetry.computed(2, 10, 10, "3", 0.1, [off, on])
    telemetry.answered(on)
    telemetry.answered(off)
    spans = exporter.get_finished_spans()
    assert sorted(span.name for span in spans) == ["POST /rank", "batch", "model"]
    assert {f"{span.context.trace_id:032x}" for span in spans} == {"a" * 32}
    # A log line names the trace all the same.
    assert off.trace_id == "a" * 32


def test_a_stage_that_fails_tells_its_type_alone(exporter):
    telemetry = traced(exporter)
    token = current.set(telemetry.arrived("/rank", "POST", []))
    try:
        with pytest.raises(ValueError, match="zanzibar"), telemetry.stage("tokenise"):
            raise ValueError("zanzibar")
    finally:
        current.reset(token)
    (span,) = exporter.get_finished_spans()
    assert span.attributes["error.type"] == "ValueError"
    assert "zanzibar" not in span.to_json()


@pytest.mark.parametrize("header", [b"", b"zanzibar", b"00-0-0-01", b"\xff\xfe"])
def test_a_traceparent_that_is_none_begins_a_new_trace(exporter, header):
    telemetry = traced(exporter)
    request = telemetry.arrived("/rank", "POST", [(b"traceparent", header)])
    assert request.span.parent is None
    assert len(request.trace_id) == 32
