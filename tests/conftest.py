"""What is dear is made once a session: a tiny encoder, the small files, one finished run and its registry."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share a dear fixture go to one worker, so that it is made once."""
    for item in items:
        if "tiny_run" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("run"))
        elif "serving" in item.path.parts:
            item.add_marker(pytest.mark.xdist_group("serving"))
        else:
            item.add_marker(pytest.mark.xdist_group(str(item.path)))


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Real data, where there is some."""
    folder = os.environ.get("ASSAY_DATA", "")
    if not folder or not Path(folder).is_dir():
        pytest.skip("no real data here: set ASSAY_DATA to the folder that holds search_msrd_movies/")
    return Path(folder)


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory) -> Path:
    """A BERT of two narrow layers, random weights, with MiniLM's tokenizer: real code, no waiting."""
    import torch
    from assay.components.core.checkpoints import ENCODER, resolve
    from transformers import AutoTokenizer, BertConfig, BertModel

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("tiny") / "encoder"
    tokenizer = AutoTokenizer.from_pretrained(resolve(ENCODER))
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
    )
    BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


_COLOURS = ["red", "green", "blue", "black", "white", "yellow", "brown", "grey", "pink", "violet"]
_THINGS = ["shoe", "lamp", "chair", "kettle", "jacket", "phone", "knife", "tent", "bottle", "desk"]


def pairs_frame(groups: int = 40, items: int = 10, seed: int = 0) -> pd.DataFrame:
    """Graded pairs whose grade is in the words: 2 for colour and thing, 1 for the thing, 0 for neither."""
    rng = np.random.default_rng(seed)
    rows = []
    for group in range(groups):
        colour, thing = _COLOURS[group % 10], _THINGS[(group // 10 + group) % 10]
        for item in range(items):
            same_thing, same_colour = rng.random() < 0.5, rng.random() < 0.5
            item_thing = thing if same_thing else _THINGS[rng.integers(10)]
            item_colour = colour if same_colour else _COLOURS[rng.integers(10)]
            grade = (item_thing == thing) * (1 + (item_colour == colour))
            rows.append(
                {
                    "q": f"{colour} {thing} {group}",
                    "title": f"{item_colour} {item_thing} model {rng.integers(1000)}",
                    "grade": int(grade),
                    "pid": group * 100 + item,
                    "part": "even" if group % 2 else "odd",
                }
            )
    return pd.DataFrame(rows)


PAIRS_COLUMNS = "query=q,item=title,label=grade,item_id=pid,segment=part"


@pytest.fixture(scope="session")
def pairs_file(tmp_path_factory) -> Path:
    """A csv of 400 graded pairs in 40 lists."""
    file = tmp_path_factory.mktemp("pairs") / "pairs.csv"
    pairs_frame().to_csv(file, index=False)
    return file


def assay(
    *arguments: str, cwd: Path, timeout: float = 600, **environment: str
) -> subprocess.CompletedProcess:
    """Run the command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "assay.pipelines.cli", *map(str, arguments)],
        cwd=cwd,
        env={k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"} | environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def interrupt_at(steps: list[str], arguments, folder: Path) -> tuple[str, str]:
    """Start the command, press Ctrl-C when the first of some steps begins: nothing may be left alive.

    Returns that step and what was said.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "assay.pipelines.cli", *arguments],
        cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"},
    )  # fmt: skip
    seen = []
    for line in process.stderr:
        seen.append(line)
        begun = next((step for step in steps if step in line), None)
        if begun:
            break
    else:
        pytest.fail(f"none of {steps} began:\n{''.join(seen[-200:])}")
    # Within the step: the shortest take less than a second.
    time.sleep(0.1)
    family = psutil.Process(process.pid).children(recursive=True)
    assert family
    process.send_signal(signal.SIGINT)
    out, rest = process.communicate(timeout=60)
    assert process.returncode == 130, rest
    assert out == ""
    gone, alive = psutil.wait_procs(family, timeout=5)
    assert not alive
    return begun, "".join(seen) + rest


def tiny_arguments(pairs_file: Path, tiny_encoder: Path) -> list[str]:
    """A run that takes seconds of computing, and every step of the chain."""
    return [
        "run", "--data", str(pairs_file), "--columns", PAIRS_COLUMNS, "--model", str(tiny_encoder),
        "--noise", "0.2", "--budget", "0.4", "--epochs", "1", "--name", "tiny",
    ]  # fmt: skip


class Finished:
    """A finished tiny run.

    Attributes:
        folder: Where `assay` ran; `runs/mlflow.db` is in it.
        out: The run's folder.
        result: The finished process.
        summary: Its summary.json.
    """

    def __init__(self, folder: Path, result: subprocess.CompletedProcess):
        self.folder = folder
        self.result = result
        assert result.returncode == 0, result.stderr[-4000:]
        self.out = folder / Path(result.stdout.strip().splitlines()[-1]).parent
        self.summary = json.loads((self.out / "summary.json").read_text())


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory, pairs_file, tiny_encoder) -> Finished:
    """One run of the whole chain through the real local runner, with a registry of its own."""
    folder = tmp_path_factory.mktemp("run")
    return Finished(folder, assay(*tiny_arguments(pairs_file, tiny_encoder), "--with-full", cwd=folder))
