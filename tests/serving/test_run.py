"""The process: it starts only on sound weights, is ready when warm, and ends without losing a request."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from assay.components.core.manifest import sha256_of
from assay.serving.run import _passing_signals_on
from assay.serving.versions.bundle import write_bundle

from tests.serving.telemetry.scraped import value

BODY = {"context": "red shoe", "candidates": [{"id": str(i), "text": f"shoe {i} " * 12} for i in range(48)]}


def in_flight(url: str) -> float:
    """Requests that the service has taken in and not answered, by its own count."""
    return value(httpx.get(f"{url}/metrics", timeout=30).text, "assay_requests_in_flight")


def test_tampered_weights_are_refused(start, tiny, tmp_path):
    bundle = write_bundle(tmp_path / "bundle", "assay-search", "3", tiny.ranker, tiny.encoder)
    with (bundle.ranker / "model.safetensors").open("r+b") as weights:
        weights.seek(1_000_000)
        weights.write(b"tampered")
    server = start(ASSAY_BUNDLE=str(bundle.folder))
    assert server.process.wait(timeout=60) == 2
    log = server.log.read_text()
    assert "error: assay-search version 3: ranker" in log
    assert "refused" in log
    assert "Traceback" not in log


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("ASSAY_LIMIT_ITEMS", "lots", "ASSAY_LIMIT_ITEMS=lots: a whole number is needed"),
        ("ASSAY_BACKEND_NAME", "fast", "ASSAY_BACKEND_NAME is 'fast': choose auto, torch, onnx, onnx-int8"),
    ],
)
def test_a_wrong_setting_is_told_before_anything_starts(start, bundle, variable, value, told):
    server = start(ASSAY_BUNDLE=str(bundle.folder), **{variable: value})
    assert server.process.wait(timeout=60) == 2
    assert server.log.read_text() == f"error: {told}\n"


@pytest.mark.slow
def test_weights_that_cannot_score_end_the_process_instead_of_restarting_it_for_ever(start, tiny, tmp_path):
    from safetensors.torch import load_file, save_file

    bundle = write_bundle(tmp_path / "bundle", "assay-search", "3", tiny.ranker, tiny.encoder)
    file = bundle.ranker / "model.safetensors"
    weights = load_file(file)
    weights["classifier.bias"].fill_(float("nan"))
    save_file(weights, file, metadata={"format": "pt"})
    about = json.loads((bundle.folder / "bundle.json").read_text())
    about["sha256"]["ranker"] = sha256_of(bundle.ranker)
    (bundle.folder / "bundle.json").write_text(json.dumps(about))

    server = start(ASSAY_BUNDLE=str(bundle.folder))
    assert server.process.wait(timeout=120) == 2
    assert "not finite numbers" in server.log.read_text()


@pytest.mark.slow
def test_a_taken_port_ends_the_process(start, server, bundle):
    second = start(port=int(server.url.rpartition(":")[2]), ASSAY_BUNDLE=str(bundle.folder))
    assert second.process.wait(timeout=120) == 1
    assert httpx.get(f"{server.url}/readyz").status_code == 200


def test_a_signal_while_the_service_is_being_started_leaves_no_process(monkeypatch):
    started = []

    class Popen(subprocess.Popen):
        def __init__(self, *given, **more):
            super().__init__(*given, **more)
            started.append(self)
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("assay.serving.run.subprocess.Popen", Popen)
    with _passing_signals_on() as run:
        try:
            assert run(["sleep", "60"], dict(os.environ)) == 0
        finally:
            [child] = started
            ended = child.poll()
            child.kill()
    assert ended == -signal.SIGTERM


# Last in the file: it ends the shared server.
@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_signal_loses_no_request_in_flight(server, number):
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(httpx.post, f"{server.url}/rank", json=BODY, timeout=60) for _ in range(8)]
        while in_flight(server.url) + sum(answer.done() for answer in answers) < len(answers):
            time.sleep(0.05)
        unanswered = sum(not answer.done() for answer in answers)
        server.process.send_signal(number)
        assert [answer.result().status_code for answer in answers] == [200] * len(answers)
    assert unanswered >= 2
    assert server.process.wait(timeout=60) == 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{server.url}/livez")
