"""`bentoml build` makes a bento that serves, with its own copy of the code and of the model version."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import yaml
from assay.serving.image.bento import requirements

WRITE = """
import sys
from assay.serving.image.bento import write_build_context
from assay.serving.versions.bundle import Bundle
print(write_build_context(Bundle.open(sys.argv[1]), sys.argv[2]))
"""


def python(*arguments: str | Path, folder: Path | None = None) -> str:
    # In a process of its own: BentoML settles on a store when it is first used.
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def home() -> Path:
    return Path(os.environ["BENTOML_HOME"])


def test_requirements_are_pinned_and_enough():
    pinned = dict(line.split("==") for line in requirements())
    assert {"bentoml", "torch", "transformers", "safetensors", "numpy", "pydantic", "mlflow"} <= set(pinned)
    assert "kfp" not in pinned


@pytest.fixture(scope="module")
def context(bundle, tmp_path_factory) -> Path:
    """A build context for the bundle, whose model is stored then."""
    folder = tmp_path_factory.mktemp("bento") / "context"
    assert python("-c", WRITE, bundle.folder, folder) == f"assay-search:3-{bundle.sha256['ranker'][:12]}"
    return folder


def test_a_bundle_is_stored_under_its_name_version_and_digest(bundle, context):
    [stored] = (home() / "models" / "assay-search").glob("3-*")
    assert stored.name == f"3-{bundle.sha256['ranker'][:12]}"
    assert (stored / "bundle.json").read_bytes() == (bundle.folder / "bundle.json").read_bytes()
    assert {"ranker", "encoder"} <= {path.name for path in stored.iterdir()}
    [model] = yaml.safe_load((context / "bentofile.yaml").read_text())["models"]
    assert model["tag"] == f"assay-search:{stored.name}"


@pytest.mark.slow
def test_a_built_bento_serves_its_own_code_and_model(client, start, bundle, context):
    python("-c", WRITE, bundle.folder, context)  # Again: the model is there already.
    python("-m", "bentoml", "build", "--version", "3", folder=context)
    bento = home() / "bentos" / "assay" / "3"
    [model] = yaml.safe_load((bento / "bento.yaml").read_text())["models"]
    assert model["tag"].startswith("assay-search:3-")
    assert (bento / "src" / "assay" / "components" / "core" / "ranker" / "models.py").is_file()
    installed = (bento / "env" / "python" / "requirements.txt").read_text()
    assert set(requirements()) <= set(installed.split())
    assert "FROM python:3.11" in (bento / "env" / "docker" / "Dockerfile").read_text()

    # The copy in the bento is what runs: the installed one does not have this line.
    service = bento / "src" / "assay" / "serving" / "service.py"
    service.write_text(service.read_text() + '\nlogger.info("from the bento")\n')
    server = start("serve", "assay:3", "--host", "127.0.0.1", module="bentoml", BENTOML_HOME=str(home()))
    server.wait_until_ready()
    body = {"context": "red shoe", "items": [{"item_id": str(i), "item": "shoe " * i} for i in range(1, 9)]}
    answer = httpx.post(f"{server.url}/rank", json=body, timeout=60).json()
    assert answer == client.post("/rank", json=body).json()
    assert "from the bento" in server.log.read_text()
    assert server.stop() == 0
