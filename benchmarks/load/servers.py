"""Servers under load: ours and its peers, each a process tree of its own, one torch thread and one worker."""

from __future__ import annotations

import asyncio
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

from record import ROOT

from . import bodies
from .generator import Target
from .usage import resident
from .wire import Answer, Connection, Lost, request

FOLDER = ROOT / "runs" / "bench-serving"
"""Where environments, bundles, registries and logs are."""

PEERS = ROOT / "benchmarks" / "peers"

STARTING = 600.0
"""Seconds that a server may take to be ready: a first start may export and measure backends."""

STOPPING = 60.0


async def _ask(port: int, data: bytes, wait: float) -> Answer:
    async with asyncio.timeout(wait):
        connection = await Connection.to(port)
        try:
            return await connection.send(data)
        finally:
            connection.close()


def ask(port: int, data: bytes, wait: float = 30.0) -> Answer:
    """One request on a connection of its own.

    Raises:
        Lost: No whole answer came.
        TimeoutError: None within `wait` seconds.
    """
    return asyncio.run(_ask(port, data, wait))


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@dataclass
class Server:
    """A running server.

    Attributes:
        name: For tables and the log.
        command: That started it.
        variables: Environment beside the caller's.
        port: Where it listens.
        ready_path: What answers 200 when it is ready.
        embed: The bytes of a request for the vector of a text.
        process: Its root.
    """

    name: str
    command: list[str]
    variables: dict[str, str]
    port: int
    ready_path: str = "/readyz"
    embed: Callable[[str], bytes] = bodies.embed
    process: subprocess.Popen | None = None

    @property
    def log(self) -> Path:
        """Where stdout and stderr go."""
        return FOLDER / "logs" / f"{self.name}-{self.port}.log"

    @property
    def target(self) -> Target:
        """For the generator."""
        return Target(self.port, self.process.pid if self.process else None)

    def start(self) -> Server:
        """Start it and return at once; again after it was stopped."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        # Our settings are those given here, and no others that happen to be set.
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("ASSAY_")}
        home = {"BENTOML_HOME": str(FOLDER / "bentoml" / str(self.port)), "BENTOML_DO_NOT_TRACK": "True"}
        threads = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")} | {"HF_HUB_OFFLINE": "1"}
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command,
                env=inherited | home | threads | self.variables,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=PEERS,
            )
        return self

    def is_ready(self) -> bool:
        """Whether it says so."""
        with contextlib.suppress(Lost, TimeoutError):
            return ask(self.port, request(self.ready_path, method="GET"), 5.0).status == 200
        return False

    def wait_until_ready(self) -> Server:
        """Return when it is.

        Raises:
            RuntimeError: It ended, or took too long; the end of its log is told.
        """
        end = time.monotonic() + STARTING
        while time.monotonic() < end:
            if self.is_ready():
                return self
            if self.process is None or self.process.poll() is not None:
                break
            time.sleep(0.2)
        tail = self.log.read_text(errors="replace")[-2000:]
        raise RuntimeError(f"{self.name} did not get ready; the end of {self.log}:\n{tail}")

    def memory(self) -> dict[str, float]:
        """Resident MB of its tree and of its worker."""
        return resident(self.process.pid) if self.process else {}

    def terminate(self) -> None:
        """SIGTERM."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def stop(self) -> int | None:
        """SIGTERM, and the exit code; SIGKILL to one that does not follow."""
        if self.process is None:
            return None
        self.terminate()
        try:
            return self.process.wait(STOPPING)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


@contextlib.contextmanager
def running(*servers: Server) -> Iterator[None]:
    """Servers that are ready, and stopped at the end whatever happens."""
    try:
        for server in servers:
            server.start()
        for server in servers:
            server.wait_until_ready()
        yield
    finally:
        for server in servers:
            server.terminate()
        for server in servers:
            server.stop()


def settings() -> dict[str, str]:
    """Environment of our service that the caller of the benchmark wants: SETTINGS="NAME=value NAME=value"."""
    return dict(pair.split("=", 1) for pair in os.environ.get("SETTINGS", "").split())


def ours(bundle: Path | str | None = None, *arguments: str, name: str = "assay", **variables: str) -> Server:
    """`assay serve` on a bundle, or as the arguments say.

    Args:
        bundle: Folder; None to let the arguments name a version.
        arguments: Of `python -m assay.serving.run`.
        name: For tables.
        variables: Environment, such as ASSAY_BACKEND_NAME.
    """
    port = free_port()
    command = [sys.executable, "-m", "assay.serving.run", "--port", str(port), *arguments]
    if bundle is not None:
        variables = {"ASSAY_BUNDLE": str(Path(bundle).resolve()), **variables}
    return Server(name, command, settings() | variables, port)


def fastapi() -> Server:
    """Plain FastAPI with a sync route."""
    port = free_port()
    # No access log: it would only make it slower.
    run = ["-m", "uvicorn", "fastapi_embed:app", "--port", str(port), "--no-access-log"]
    return Server("fastapi", [sys.executable, *run], {"MODEL": weights()}, port)


def bentoml_unbatched() -> Server:
    """BentoML as its examples are, without batching."""
    port = free_port()
    run = ["-m", "bentoml", "serve", "bentoml_unbatched:Embed", "--host", "127.0.0.1", "--port", str(port)]
    return Server("bentoml unbatched", [sys.executable, *run], {"MODEL": weights()}, port)


def infinity() -> Server:
    """infinity-emb, which batches, on torch."""
    environment = FOLDER / "infinity"
    if not (environment / ".ready").exists():
        subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
        pip = [str(environment / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", str(PEERS / "serving.txt")], check=True)
        (environment / ".ready").touch()
    port = free_port()
    command = [
        str(environment / "bin" / "infinity_emb"), "v2", "--model-id", weights(),
        "--served-model-name", bodies.MODEL, "--engine", "torch", "--device", "cpu", "--dtype", "float32",
        "--no-bettertransformer", "--host", "127.0.0.1", "--port", str(port), "--log-level", "warning",
    ]  # fmt: skip
    return Server(
        "infinity-emb", command, {"DO_NOT_TRACK": "1"}, port, ready_path="/health", embed=bodies.embed_openai
    )


def weights() -> str:
    """Folder of MiniLM, which all encode with."""
    from assay.components.core.checkpoints import ENCODER, resolve

    return str(resolve(ENCODER))
