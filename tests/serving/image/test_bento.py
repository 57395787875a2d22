"""`bentoml build` in a context makes a bento that serves: its own copies of code and version."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import yaml
from assay.serving.image.context import write_context


def bentoml(*arguments: str, folder: Path) -> None:
    # In a process of its own: BentoML settles on a store when it is first used.
    command = [sys.executable, "-m", "bentoml", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_a_built_bento_serves_its_own_code_and_model(client, start, bundle, tmp_path):
    context = tmp_path / "context"
    write_context(bundle, context)
    bentoml("build", "--version", "3", folder=context)
    home = Path(os.environ["BENTOML_HOME"])
    bento = home / "bentos" / "assay" / "3"
    about = yaml.safe_load((bento / "bento.yaml").read_text())
    assert about["labels"]["assay.model"] == "assay-search"
    assert about["labels"]["assay.version"] == "3"
    source = bento / "src"
    inside, outside = (
        json.loads((folder / "bundle.json").read_text()) for folder in (source / "bundle", bundle.folder)
    )
    # The canary set stays outside.
    assert inside == {name: value for name, value in outside.items() if name != "canary_sha256"}
    assert (source / "assay" / "components" / "core" / "ranker" / "models.py").is_file()
    installed = (bento / "env" / "python" / "requirements.txt").read_text()
    assert set((context / "requirements.txt").read_text().split()) <= set(installed.split())
    assert "FROM python:3.11" in (bento / "env" / "docker" / "Dockerfile").read_text()

    # The copy in the bento is what runs: the installed one does not have this line.
    service = source / "assay" / "serving" / "service.py"
    service.write_text(service.read_text() + '\nlogger.info("from the bento")\n')
    server = start("serve", "assay:3", "--host", "127.0.0.1", module="bentoml", BENTOML_HOME=str(home))
    server.wait_until_ready()
    body = {"context": "red shoe", "candidates": [{"id": str(i), "text": "shoe " * i} for i in range(1, 9)]}
    answer, same = httpx.post(f"{server.url}/rank", json=body, timeout=60), client.post("/rank", json=body)
    ours, theirs = ({row["id"]: row["score"] for row in one.json()["items"]} for one in (answer, same))
    assert ours == pytest.approx(theirs, abs=1e-4)
    assert len(ours) == 8
    assert "from the bento" in server.log.read_text()
    assert server.stop() == 0
