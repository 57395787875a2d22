"""The whole service follows a real registry: it swaps under requests, and a spoilt version is left out."""

from __future__ import annotations

import threading
import time

import httpx
import pytest
from assay.components.core import tracking

from tests.serving.versions.conftest import scored, write_canary_set
from tests.serving.versions.registry import NAME, registered

BODY = {"pairs": [{"context": "red shoe", "text": f"shoe {i}"} for i in range(4)]}
PATIENCE = 150.0
"""Seconds for a version to be fetched and checked on a busy machine."""


@pytest.fixture
def registry(tiny, rankers, tmp_path):
    """Versions 1, 2, and 3 whose weights were changed after it was registered; 1 is the champion."""
    versions = [
        {
            "ranker": rankers(seed),
            "encoder": tiny.encoder,
            "canary": write_canary_set(tmp_path / str(seed) / "canary", scored(rankers(seed))),
        }
        for seed in (1, 2, 3)
    ]
    with registered(tmp_path, *versions, tags=[{}, {}, {"assay.ranker_sha256": "0" * 64}]) as client:
        yield client


class Asking:
    """Asks without a pause, and keeps what was answered."""

    def __init__(self, url):
        self.url, self.statuses, self.versions, self.failed = url, [], [], []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def _ask(self):
        with httpx.Client(base_url=self.url, timeout=60) as client:
            while not self._ended.is_set():
                try:
                    answer = client.post("/score", json=BODY)
                except httpx.HTTPError as error:
                    self.failed.append(repr(error))
                    continue
                self.statuses.append(answer.status_code)
                self.versions.append(answer.headers.get("X-Model-Version"))

    def until(self, condition, log):
        ends = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < ends, log.read_text()
            time.sleep(0.1)

    def end(self):
        self._ended.set()
        self._thread.join()


@pytest.mark.slow
def test_the_service_follows_the_champion_without_losing_a_request(registry, start, tmp_path):
    server = start(
        "--follow",
        "--shadow-share", "1",
        ASSAY_CACHE=str(tmp_path / "cache"),
        ASSAY_FOLLOW_SECONDS="0.5",
        ASSAY_FOLLOW_PROBATION_SECONDS="2",
        ASSAY_FOLLOW_SHADOW_LOG=str(tmp_path / "shadow.jsonl"),
        ASSAY_BACKEND_NAME="torch",
        MLFLOW_TRACKING_URI=tracking.default_uri(),
    )  # fmt: skip
    server.wait_until_ready()

    def info():
        return httpx.get(f"{server.url}/info", timeout=60).json()["versions"]

    asking = Asking(server.url)
    try:
        asking.until(lambda: "1" in asking.versions, server.log)
        # The challenger is scored beside, then promoted.
        registry.set_registered_model_alias(NAME, tracking.CHALLENGER, "2")
        asking.until(lambda: info()["challenger"], server.log)
        ranked = {
            "context": "red shoe",
            "candidates": [{"id": str(i), "text": f"shoe {i}"} for i in range(4)],
        }
        assert httpx.post(f"{server.url}/rank", json=ranked, timeout=60).headers["X-Model-Version"] == "1"
        asking.until(lambda: (tmp_path / "shadow.jsonl").is_file(), server.log)
        registry.set_registered_model_alias(NAME, tracking.CHAMPION, "2")
        asking.until(lambda: "2" in asking.versions, server.log)
        # One that was tampered with is refused, and told.
        registry.set_registered_model_alias(NAME, tracking.CHAMPION, "3")
        asking.until(lambda: info()["refused"], server.log)
        [reason] = info()["refused"].values()
        assert "registered was 0000" in reason
        assert info()["current"]["version"] == "2"
        # Back to the first.
        registry.set_registered_model_alias(NAME, tracking.CHAMPION, "1")
        asking.until(lambda: info()["current"]["version"] == "1", server.log)
    finally:
        asking.end()
    assert asking.failed == []
    assert set(asking.statuses) == {200}
    changes = [v for v, before in zip(asking.versions[1:], asking.versions, strict=False) if v != before]
    assert changes in (["2"], ["2", "1"])
    assert server.stop() == 0
    log = server.log.read_text()
    assert "version 2 replaces version 1" in log
    assert "red shoe" not in log + (tmp_path / "shadow.jsonl").read_text()

    # A registry that is down does not keep a service from starting again with what it served last.
    port = int(server.url.rpartition(":")[2])
    again = start(
        "--follow",
        port=port,
        ASSAY_CACHE=str(tmp_path / "cache"),
        ASSAY_BACKEND_NAME="torch",
        MLFLOW_TRACKING_URI="http://127.0.0.1:9",
        MLFLOW_HTTP_REQUEST_MAX_RETRIES="0",
    )
    again.wait_until_ready()
    assert httpx.post(f"{again.url}/score", json=BODY, timeout=60).headers["X-Model-Version"] == "1"
    assert again.stop() == 0
