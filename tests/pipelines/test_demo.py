"""The demo as a newcomer runs it, and its champion behind the endpoint."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request

import pandas as pd
import pytest
from assay.components.core import tracking
from assay.components.core.samples import read_samples
from assay.serving.api.client import Client

from tests.conftest import assay, interrupt_at

pytestmark = pytest.mark.slow


ARGUMENTS = ["run", "--noise", "0.3", "--budget", "0.3", "--out", "runs/demo"]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    result = assay(*ARGUMENTS, cwd=folder, timeout=1500)
    assert result.returncode == 0, result.stderr[-4000:]
    return folder, json.loads((folder / result.stdout.strip()).read_text())


def test_the_noise_is_found_and_the_challenger_beats_the_encoder_it_came_from(demo):
    _, summary = demo
    assert summary["noise"]["auroc"] >= 0.85
    assert summary["comparisons"]["challenger-base"]["low"] > 0
    # One seed proves no interval: benchmarks/arms.py measures them over seeds.
    assert summary["comparisons"]["challenger-control"]["difference"] > 0


def test_a_passed_gate_makes_a_champion(demo):
    _, summary = demo
    assert summary["gate"]["passed"]
    assert summary["model"]["alias"] == "champion"
    assert summary["seconds"]["promote"] > 0


@pytest.mark.parametrize(("backend", "allowed"), [("torch", 1e-4), ("auto", 0.3)])
def test_the_champion_ranks_as_it_did_in_the_run(demo, backend, allowed):
    """`assay serve` on the demo's champion gives the test rows the scores that the run reports.

    By itself it may choose int8, whose scores, between -5 and 1 here, are rounded: its gate is nDCG.
    """
    folder, summary = demo
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}
    environment |= {
        "ASSAY_BACKEND_NAME": backend,
        "ASSAY_CACHE": str(folder / "cache"),
        "BENTOML_HOME": str(folder / "bentoml"),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "assay.pipelines.cli", "serve", "--port", str(port)],
        cwd=folder,
        env=environment,
    )
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2)
                break
            except OSError:
                assert process.poll() is None
                time.sleep(0.5)
        samples = read_samples(folder / "runs" / "demo" / "samples", ["test"])
        predictions = pd.read_parquet(summary["files"]["predictions"]).set_index("sample_id")
        rows = samples[samples["group_id"] == samples["group_id"].iloc[0]]
        candidates = dict(zip(rows["item_id"], rows["item"], strict=True))
        with Client(f"http://127.0.0.1:{port}") as client:
            items = client.rank(rows["context"].iloc[0], candidates).items
        scores = {item.id: item.score for item in items}
        expected = dict(zip(rows["item_id"], predictions["challenger"].loc[rows["sample_id"]], strict=True))
        assert scores == pytest.approx(expected, abs=allowed)
        assert list(scores.values()) == sorted(scores.values(), reverse=True)
    finally:
        process.terminate()
        assert process.wait(timeout=60) == 0


def test_ctrl_c_while_promoting_and_the_same_command_promotes(demo, monkeypatch):
    folder, summary = demo
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'runs' / 'mlflow.db'}")
    name, version = summary["model"]["name"], summary["model"]["version"]
    tracking.connect().delete_registered_model_alias(name, tracking.CHAMPION)
    interrupt_at(["Executing task 'promote'"], ARGUMENTS, folder)
    result = assay(*ARGUMENTS, cwd=folder)
    assert result.returncode == 0, result.stderr[-4000:]
    assert "Executing task 'finetune" not in result.stderr
    client = tracking.connect()
    assert str(client.get_model_version_by_alias(name, tracking.CHAMPION).version) == version
    assert len(client.search_model_versions(f"name = '{name}'")) == 1
