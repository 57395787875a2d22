"""One bundle and one server for all serving tests: both take seconds to make."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from assay.components.core.checkpoints import resolve
from assay.components.core.ranker import TextEncoder, new_ranker, open_ranker
from assay.serving.versions.bundle import Bundle, write_bundle

ROOT = Path(__file__).parents[2]
STARTING = 90.0
"""Seconds that a service may take to be ready on a busy machine."""


@pytest.fixture(scope="session", autouse=True)
def _own_bentoml_home(tmp_path_factory) -> Iterator[None]:
    # BentoML keeps state in the user's home; tests leave that alone.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENTOML_HOME", str(tmp_path_factory.mktemp("bentoml")))
        patch.setenv("BENTOML_DO_NOT_TRACK", "True")
        yield


@dataclass(frozen=True)
class Parts:
    """Folders of a ranker and an encoder, as a step leaves them."""

    ranker: Path
    encoder: Path


@pytest.fixture(scope="session")
def parts(tmp_path_factory) -> Parts:
    """MiniLM with an untrained cross head, and MiniLM itself."""
    folder, weights = tmp_path_factory.mktemp("parts"), resolve("minilm")
    new_ranker("cross", weights, seed=7).save(folder / "ranker")
    TextEncoder(weights).save(folder / "encoder")
    return Parts(folder / "ranker", folder / "encoder")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Parts:
    """The same shape with one narrow layer of random weights, for tests that copy or register them."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertModel

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("tiny")
    config = BertConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    BertModel(config).save_pretrained(folder / "weights")
    AutoTokenizer.from_pretrained(resolve("minilm")).save_pretrained(folder / "weights")
    new_ranker("cross", folder / "weights", seed=7).save(folder / "ranker")
    TextEncoder(folder / "weights").save(folder / "encoder")
    return Parts(folder / "ranker", folder / "encoder")


@pytest.fixture(scope="session")
def bundle(parts, tmp_path_factory) -> Bundle:
    """The same as a bundle, version 3."""
    return write_bundle(
        tmp_path_factory.mktemp("bundle") / "3", "assay-search", "3", parts.ranker, parts.encoder
    )


@pytest.fixture(scope="session")
def ranker(bundle):
    """The ranker itself, opened without any service."""
    return open_ranker(bundle.ranker)


@pytest.fixture(scope="session")
def encoder(bundle):
    """The encoder itself."""
    return TextEncoder(bundle.encoder)


@dataclass
class Server:
    """A running `assay.serving.run`.

    Attributes:
        process: It.
        url: Where it listens.
        log: File of its output, stdout and stderr.
    """

    process: subprocess.Popen
    url: str
    log: Path

    def wait_until_ready(self) -> None:
        """Return when `/readyz` says so; fail with the log where the process ended or took too long."""
        for _ in range(int(STARTING / 0.2)):
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200:
                    return
            assert self.process.poll() is None, (
                f"ended with {self.process.returncode}:\n{self.log.read_text()}"
            )
            time.sleep(0.2)
        pytest.fail(f"not ready after {STARTING} s:\n{self.log.read_text()}")

    def stop(self) -> int:
        """SIGTERM and the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


@pytest.fixture(scope="session")
def start(tmp_path_factory) -> Iterator[Callable[..., Server]]:
    """Starts servers: `start(ASSAY_BUNDLE=folder, ...)`; those that still run at the end are stopped."""
    started: list[Server] = []

    def run(*arguments: str, module: str = "assay.serving.run", port: int = 0, **variables: str) -> Server:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = port or free.getsockname()[1]
        folder = tmp_path_factory.mktemp("server")
        log = folder / "log"
        # The developer's own settings stay out. A home each: a start wipes its home's metrics.
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("ASSAY_", "OTEL_"))}
        variables = {
            "BENTOML_HOME": str(folder / "bentoml"), "ASSAY_LIMIT_DRAIN_SECONDS": "0", **variables
        }  # fmt: skip
        command = [sys.executable, "-m", module, *arguments, "--port", str(port)]
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, env={**inherited, **variables}, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT
            )
        started.append(Server(process, f"http://127.0.0.1:{port}", log))
        return started[-1]

    yield run
    for server in started:
        if server.process.poll() is None:
            server.stop()


@pytest.fixture(scope="session")
def running() -> list[Server]:
    """The shared server, once it was started."""
    return []


@pytest.fixture
def server(start, bundle, running) -> Server:
    """The server that tests share, ready; a new one where a test has ended the last."""
    if not running or running[-1].process.poll() is not None:
        running.append(start(ASSAY_BUNDLE=str(bundle.folder), ASSAY_BACKEND_NAME="torch"))
        running[-1].wait_until_ready()
    return running[-1]


@pytest.fixture
def client(server) -> Iterator[httpx.Client]:
    """A client of the shared server."""
    with httpx.Client(base_url=server.url, timeout=60) as shared:
        yield shared
