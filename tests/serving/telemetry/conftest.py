"""An observed service under `bentoml serve`, and a small OTLP collector that it sends its spans to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.serving.conftest import Server


@dataclass
class Collector:
    """Reads OTLP over HTTP.

    Attributes:
        url: For `OTEL_EXPORTER_OTLP_ENDPOINT`.
        spans: All that came, in their order.
        resources: Attributes of those who sent them.
        raw: The bodies.
    """

    url: str = ""
    spans: list[Any] = field(default_factory=list)
    resources: list[dict[str, str]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)

    def take(self, body: bytes) -> None:
        self.raw.append(body)
        for sender in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resources.append({a.key: a.value.string_value for a in sender.resource.attributes})
            self.spans += [span for scope in sender.scope_spans for span in scope.spans]

    def wait_for(self, found: Callable[[Any], bool], seconds: float = 20.0) -> Any:
        """The first span that `found` says yes to; fails where none comes."""
        for _ in range(int(seconds / 0.05)):
            if spans := [span for span in self.spans if found(span)]:
                return spans[0]
            time.sleep(0.05)
        pytest.fail(f"no such span among {[span.name for span in self.spans]}")


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    taken = Collector()

    class Take(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            taken.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Take)
    taken.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield taken
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def start_noop(start) -> Callable[..., Server]:
    """Starts `noop.py`: `start_noop(OTEL_...=...)`; it is ready."""

    def run(**variables: str) -> Server:
        noop = "tests.serving.telemetry.noop:Noop"
        server = start("serve", noop, "--host", "127.0.0.1", module="bentoml", **variables)
        server.wait_until_ready()
        return server

    return run


@pytest.fixture(scope="session")
def noop(start_noop, collector) -> Server:
    """The shared one, traced."""
    return start_noop(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_BSP_SCHEDULE_DELAY="100")


@pytest.fixture
def caller(noop) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=noop.url, timeout=30) as shared:
        yield shared
