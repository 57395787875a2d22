"""The folder as a prefix of a bucket, on a server of its own."""

import asyncio
import socket
import subprocess
import sys
import time
import urllib.request

import pyarrow.fs as fs
import pytest
from assay.serving.feedback import log as module
from assay.serving.feedback.log import FeedbackLog
from assay.serving.feedback.records import Event, Served, new_query_id

from tests.serving.feedback.conftest import read, shown

pytest.importorskip("moto.server", reason="moto[server] is not installed")


class Store:
    """A server of S3, which keeps its port when it is started anew."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process: subprocess.Popen | None = None

    @property
    def uri(self) -> str:
        return f"s3://logs/feedback?endpoint_override=127.0.0.1:{self.port}&scheme=http"

    def start(self) -> None:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(600):
            try:
                made = urllib.request.Request(f"http://127.0.0.1:{self.port}/logs", method="PUT")
                urllib.request.urlopen(made, timeout=5)
                return
            except OSError:
                time.sleep(0.1)
        pytest.fail("the store did not start")

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.process = None


@pytest.fixture
def store(monkeypatch):
    for name, value in (
        ("ACCESS_KEY_ID", "me"),
        ("SECRET_ACCESS_KEY", "secret"),
        ("DEFAULT_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(f"AWS_{name}", value)
    server = Store()
    yield server
    server.stop()


def test_a_bucket_that_was_away(settings, tmp_path, store, monkeypatch):
    """Events are acknowledged while it is, and are there when it is back; ingest reads the objects."""
    monkeypatch.setattr(module, "RETRY", (0.1, 0.1))
    one = Served(new_query_id(), "shoe", "assay-search", "1", shown("a", "b"))

    async def write():
        log = FeedbackLog(settings(folder=store.uri, rotate_rows=2))
        await log.start()
        log.served(one)
        await log.add([Event("click", "a", one.query_id)])
        while not log.failures:
            await asyncio.sleep(0.05)
        await asyncio.to_thread(store.start)
        while not log.files:
            await asyncio.sleep(0.05)
        await log.add([Event("purchase", "a", one.query_id)])
        await log.close()
        return log

    log = asyncio.run(asyncio.wait_for(write(), 120))
    assert log.files == 2
    bucket, path = fs.FileSystem.from_uri(store.uri)
    (tmp_path / "copy").mkdir()
    fs.copy_files(path, str(tmp_path / "copy"), source_filesystem=bucket)
    tables, ledger = read(tmp_path / "copy")
    assert ledger.dropped == {}
    assert tables["impressions"]["item_id"].to_list() == ["a", "b"]
    assert tables["events"]["action"].to_list() == ["click", "purchase"]
    assert [path.name for path in (tmp_path / "journal").iterdir()] == ["lock"]
