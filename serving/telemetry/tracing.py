"""OpenTelemetry traces: a request, its stages, and the batches that serve many requests."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from assay.components.core.errors import BadInput
from assay.serving.telemetry.request import Request

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

SERVICE = "assay-serving"
"""`service.name` where `OTEL_SERVICE_NAME` says none."""


def wanted(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the standard variables ask for traces.

    They do where `OTEL_TRACES_EXPORTER` is `otlp`, or an endpoint is named and the exporter is not `none`.
    `OTEL_SDK_DISABLED=true` wins over both.

    Raises:
        BadInput: They ask for an exporter or a protocol that is not there.
    """
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = environment.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    named = environment.get("OTEL_EXPORTER_OTLP_ENDPOINT") or environment.get(
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
    )
    if exporter == "none" or not (exporter or named):
        return False
    if exporter not in ("", "otlp"):
        raise BadInput(f"OTEL_TRACES_EXPORTER={exporter}: choose otlp or none")
    for variable in ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        if protocol := environment.get(variable, "").strip():
            if protocol != "http/protobuf":
                raise BadInput(
                    f"{variable}={protocol}: http/protobuf alone is there, on port 4318 of a collector"
                )
            break
    return True


class Tracing:
    """Makes spans. It is only there where traces are wanted: elsewhere nothing of OpenTelemetry is imported.

    No span holds a text of a caller: attributes are routes, numbers and versions, and of a failure the
    exception's type.

    Args:
        provider: Where spans go.
    """

    def __init__(self, provider: TracerProvider):
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self.provider = provider
        self._tracer = provider.get_tracer("assay.serving")
        self._incoming = TraceContextTextMapPropagator()

    @classmethod
    def from_environment(cls) -> Tracing | None:
        """As the standard `OTEL_` variables say; None where they ask for no traces.

        The exporter, its endpoint and headers, the sampler, the batch processor and the resource read their
        own variables.

        Raises:
            BadInput: They ask for what is not there.
        """
        if not wanted():
            return None
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import SERVICE_NAME, Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as error:
            raise BadInput(
                "traces are asked for by OTEL_ variables: pip install opentelemetry-exporter-otlp-proto-http"
            ) from error

        # What is passed would win over the environment.
        named = os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in os.environ.get(
            "OTEL_RESOURCE_ATTRIBUTES", ""
        )
        resource = Resource.create({} if named else {SERVICE_NAME: SERVICE})
        # `shutdown` is called by the service, while its event loop still runs.
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        return cls(provider)

    def arrived(self, request: Request, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Begin the span of a request, in the trace that its `traceparent` names if it has one."""
        from opentelemetry.context import Context
        from opentelemetry.trace import SpanKind

        carrier = {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in headers
            if name in (b"traceparent", b"tracestate")
        }
        span = self._tracer.start_span(
            f"{request.method} {request.route}",
            # Of nothing that surrounds us: BentoML's middlewares have a context too.
            context=self._incoming.extract(carrier, Context()),
            kind=SpanKind.SERVER,
            attributes={
                "http.request.method": request.method,
                "http.route": request.route,
                "assay.request_id": request.id,
            },
        )
        request.trace_id = f"{span.get_span_context().trace_id:032x}"
        if span.is_recording():
            request.span = span

    def answered(self, request: Request) -> None:
        """End the span of a request."""
        from opentelemetry.trace import Status, StatusCode

        span = request.span
        span.set_attribute("http.response.status_code", request.status)
        if request.version:
            span.set_attribute("assay.version", request.version)
        if request.rejected:
            span.set_attribute("assay.rejected", request.rejected)
        if request.status >= 500:
            span.set_status(Status(StatusCode.ERROR))
        span.end()

    def traceresponse(self, request: Request) -> bytes:
        """The `traceresponse` header's value: which span this answer was."""
        context = request.span.get_span_context()
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}".encode()

    def stage(
        self, request: Request, name: str, seconds: float, failed: str = "", links: Iterable = ()
    ) -> None:
        """A span of `seconds` that ends now, below the request's.

        Args:
            request: With a span.
            name: Of the stage.
            seconds: That it took.
            failed: Type of the exception that ended it; empty if none did.
            links: OpenTelemetry links.
        """
        from opentelemetry.trace import Status, StatusCode, set_span_in_context

        ended = time.time_ns()
        span = self._tracer.start_span(
            name,
            context=set_span_in_context(request.span),
            start_time=ended - int(seconds * 1e9),
            links=list(links),
        )
        if failed:
            # Not `record_exception`: a message may quote what the caller sent.
            span.set_attribute("error.type", failed)
            span.set_status(Status(StatusCode.ERROR))
        span.end(end_time=ended)

    def batch(self, requests: Iterable[Request], seconds: float, attributes: Mapping[str, Any]) -> None:
        """The span of a forward pass that ends now, and a `model` span in each of its requests.

        A batch has many requests and a span one parent. It is the first request whose span is recorded, so
        that the sampler's choice for requests holds for batches too. The batch links to every such request,
        and the `model` span of each links to the batch.

        Args:
            requests: Whose rows were computed, each once; those without a span are left out.
            seconds: That the pass took.
            attributes: Numbers and the version.
        """
        from opentelemetry.trace import Link, set_span_in_context

        recorded = [request for request in requests if request.span is not None]
        if not recorded:
            return
        ended = time.time_ns()
        span = self._tracer.start_span(
            "batch",
            context=set_span_in_context(recorded[0].span),
            start_time=ended - int(seconds * 1e9),
            links=[Link(request.span.get_span_context()) for request in recorded],
            attributes={"assay.batch.requests": len(recorded), **attributes},
        )
        span.end(end_time=ended)
        for request in recorded:
            self.stage(request, "model", seconds, links=[Link(span.get_span_context())])

    def close(self) -> None:
        """Send what is left, and end."""
        self.provider.shutdown()
