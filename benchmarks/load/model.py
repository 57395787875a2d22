"""What is served: two versions of a MiniLM ranker that has learnt a little of the simulated store."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from record import ROOT

from .servers import FOLDER

NAME = "assay-load"
KIND = os.environ.get("KIND", "bi")
"""Of ranker: `bi`, which a run trains if nothing else is asked for, or `cross`."""
STEPS = 80
"""Of training, in batches of 16; the second version has learnt four more: either may follow the other."""

VERSIONS = ("1", "2")
MOST = 20
"""Rows of a group of the canary set, and three times as many groups."""


def registry() -> str:
    """URI of a registry in sqlite that holds both versions, the first the champion; made once."""
    folder = FOLDER / f"registry-{KIND}"
    if not (folder / "ready").exists():
        shutil.rmtree(folder, ignore_errors=True)
        _apart("registry", str(folder))
    return f"sqlite:///{folder}/mlflow.db"


def bundle() -> Path:
    """Folder of the first version's bundle, or of the one that BUNDLE names.

    Each process makes it anew, as the code at hand makes it: what an older one derived must not be measured.
    """
    if named := os.environ.get("BUNDLE"):
        return Path(named).resolve()
    folder = FOLDER / f"bundle-{os.getpid()}"
    if not folder.exists():
        for old in FOLDER.glob("bundle-*"):
            shutil.rmtree(old, ignore_errors=True)
        _apart("bundle", str(folder), MLFLOW_TRACKING_URI=registry())
    return folder


def point(version: str) -> None:
    """Make a version the champion, as a promotion does. The registry must be in MLFLOW_TRACKING_URI."""
    from assay.components.core import tracking

    tracking.connect().set_registered_model_alias(NAME, tracking.CHAMPION, version)


def _apart(*arguments: str, **variables: str) -> None:
    # In a process of its own: torch and mlflow would stay with the load's.
    subprocess.run(
        [sys.executable, "-m", "load.model", *arguments],
        cwd=ROOT / "benchmarks",
        env=os.environ
        | {"OMP_NUM_THREADS": "1", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
        | variables,
        check=True,
    )


def _write_registry(folder: Path) -> None:
    import mlflow
    import numpy as np
    import pandas as pd
    import torch
    from assay.components import register
    from assay.components.core import tracking
    from assay.components.core.checkpoints import ENCODER, resolve
    from assay.components.core.manifest import sha256_of
    from assay.components.core.ranker import TextEncoder, new_ranker
    from assay.examples.store.config import StoreConfig
    from assay.examples.store.simulate import simulate

    folder.mkdir(parents=True)
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
    judged = simulate(StoreConfig(queries=200)).judgments
    groups = judged["query"].unique()
    shown = judged[judged["query"].isin(groups[: -3 * MOST])].sample(frac=1, random_state=0)
    kept = judged[judged["query"].isin(groups[-3 * MOST :])].groupby("query").head(MOST)

    ranker = new_ranker(KIND, resolve(ENCODER), 0)
    TextEncoder(resolve(ENCODER)).save(folder / "encoder")
    optimiser = torch.optim.AdamW(ranker.parameters(), lr=5e-5)
    rows = ranker.tokenise(
        shown["query"].tolist(), shown["title"].tolist(), (shown["grade"] > 1).to_numpy(dtype=np.float32)
    )
    checked = ranker.tokenise(kept["query"].tolist(), kept["title"].tolist())
    canary = pd.DataFrame(
        {
            "sample_id": [f"s{n}" for n in range(len(kept))],
            "task": "search",
            "group_id": kept["query"].to_numpy(),
            "context": kept["query"].to_numpy(),
            "item_id": [f"i{n}" for n in range(len(kept))],
            "item": kept["title"].to_numpy(),
            "label": kept["grade"].astype(float).to_numpy(),
        }
    )
    about = {"schema": 1, "task": "search", "metric": "ndcg@10", "gain": "exponential"}
    about |= {"relevant_at": 1.0, "scale": 0.0}
    client = tracking.connect()
    client.create_registered_model(NAME)
    batches = iter(np.arange(len(rows)).reshape(-1, 16)[: STEPS + 4].tolist())
    with mlflow.start_run(experiment_id=tracking.experiment_id(client, "load")):
        for version, steps in zip(VERSIONS, (STEPS, 4), strict=True):
            for _ in range(steps):
                optimiser.zero_grad()
                ranker.losses(rows.batch(next(batches))).mean().backward()
                optimiser.step()
            parts = {part: folder / part for part in tracking.PARTS} | {"canary": folder / "canary"}
            ranker.eval().save(parts["ranker"])
            parts["canary"].mkdir(exist_ok=True)
            canary.assign(score=ranker.score(checked).astype(float)).to_parquet(
                parts["canary"] / "canary.parquet", index=False
            )
            (parts["canary"] / "canary.json").write_text(json.dumps(about))
            ranker.train()
            logged = mlflow.pyfunc.log_model(
                name="ranker",
                python_model=str(Path(next(iter(register.__path__))) / "pyfunc_model.py"),
                artifacts={part: str(path) for part, path in parts.items()},
                pip_requirements=[],
            )
            tags = {"task": "search", "metric": "ndcg@10", "run_hash": f"load-{version}"}
            tags |= {f"{part}_sha256": sha256_of(path) for part, path in parts.items()}
            client.create_model_version(
                NAME,
                source=logged.model_uri,
                model_id=logged.model_id,
                tags={f"{tracking.TAG}{tag}": value for tag, value in tags.items()},
            )
    client.set_registered_model_alias(NAME, tracking.CHAMPION, VERSIONS[0])
    for part in ("ranker", "encoder", "canary"):
        shutil.rmtree(folder / part)
    (folder / "ready").touch()


def _write_bundle(folder: Path) -> None:
    from assay.serving.versions.bundle import make_bundle

    make_bundle(NAME, VERSIONS[0], folder)


if __name__ == "__main__":
    if sys.argv[1] == "registry":
        _write_registry(Path(sys.argv[2]))
    else:
        _write_bundle(Path(sys.argv[2]))
