"""Against a real MLflow store: what a finished run left in its registry."""

import contextlib
import json
import shutil
import sqlite3

import mlflow
import numpy as np
import pandas as pd
import pytest
from assay.components.core import tracking
from assay.components.core.manifest import sha256_of
from assay.components.core.ranker import TextEncoder, open_ranker
from assay.components.core.samples import read_samples
from assay.components.register.register import _metrics, register
from assay.pipelines.erase import erase


@pytest.fixture
def registry(tiny_run, monkeypatch):
    """A client on the finished run's store."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tiny_run.folder / 'runs' / 'mlflow.db'}")
    return tracking.connect()


def test_the_version_holds_ranker_and_encoder_each_with_its_hash(tiny_run, registry):
    version = tracking.find_version(registry, "tiny", tiny_run.summary["model"]["version"])
    parts = tracking.download_version(registry, version)
    assert set(parts) == {"ranker", "encoder", "canary"}
    open_ranker(parts["ranker"])
    assert TextEncoder(parts["encoder"]).encode(["red shoe"]).shape == (1, 32)
    for part, folder in parts.items():
        assert version.tags[f"assay.{part}_sha256"] == sha256_of(folder)


def test_the_canary_set_is_what_the_registered_ranker_scores(tiny_run, registry):
    version = tracking.find_version(registry, "tiny", "1")
    parts = tracking.download_version(registry, version)
    rows = pd.read_parquet(parts["canary"] / "canary.parquet")
    about = json.loads((parts["canary"] / "canary.json").read_text())
    assert (about["metric"], about["task"]) == (version.tags["assay.metric"], "search")
    ranker = open_ranker(parts["ranker"])
    scores = ranker.score(ranker.tokenise(rows["context"].tolist(), rows["item"].tolist()))
    assert np.abs(scores - rows["score"]).max() < 1e-4
    lists = rows.groupby("group_id")["label"].agg(["nunique", "max", "size"])
    assert (lists["nunique"] > 1).all()
    assert (lists["max"] >= about["relevant_at"]).all()
    assert 0 < len(lists) <= 64
    test = set(read_samples(tiny_run.out / "samples", ["test"])["sample_id"])
    assert set(rows["sample_id"]) <= test


def test_an_erased_user_leaves_the_canary_set_and_the_version_still_opens(tiny_run, tmp_path, monkeypatch):
    shutil.copytree(tiny_run.folder / "runs", tmp_path / "runs")
    base = tmp_path / "runs" / "mlflow.db"
    with contextlib.closing(sqlite3.connect(base)) as store:
        # The copy's artifacts, not those of the run that other tests share.
        for table, column in (
            ("experiments", "artifact_location"),
            ("runs", "artifact_uri"),
            ("logged_models", "artifact_location"),
            ("model_versions", "source"),
            ("model_versions", "storage_location"),
        ):
            old, new = f"{tiny_run.folder}/runs/", f"{tmp_path}/runs/"
            store.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (old, new))
        store.commit()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{base}")
    client = tracking.connect()
    version = tracking.find_version(client, "tiny", "1")
    canary = tracking.download_version(client, version)["canary"]
    assert canary.is_relative_to(tmp_path)
    rows = pd.read_parquet(canary / "canary.parquet")
    theirs, others = (
        rows["sample_id"][rows["group_id"] == rows["group_id"][0]],
        rows["group_id"].nunique() - 1,
    )
    link = pd.DataFrame({"sample_id": theirs, "user_id": "user-0042"})
    link.to_parquet(tmp_path / "runs" / "people.parquet", index=False)
    done = erase("user-0042", tmp_path / "runs")
    assert done.left == []
    left = pd.read_parquet(canary / "canary.parquet")
    assert not set(left["sample_id"]) & set(theirs)
    assert left["group_id"].nunique() == others > 0
    changed = tracking.find_version(client, "tiny", "1")
    assert changed.tags["assay.canary_sha256"] != version.tags["assay.canary_sha256"]
    assert set(tracking.download_version(client, changed)) == {"ranker", "encoder", "canary"}


def test_lineage_is_in_the_tags_and_figures_in_the_run(tiny_run, registry):
    version = tracking.find_version(registry, "tiny", "1")
    assert version.tags["assay.data_sha256"] == tiny_run.summary["data"]["sha256"]
    assert version.tags["assay.verdict"] == tiny_run.summary["verdict"]
    run = registry.get_run(version.run_id)
    expected = tiny_run.summary["results"]["challenger"]["ndcg@10"]
    assert run.data.metrics["challenger.ndcg_at_10"] == pytest.approx(expected)
    assert run.data.metrics["version.ndcg_at_10"] == pytest.approx(expected)
    assert run.inputs.dataset_inputs[0].dataset.name == "samples"


def test_of_several_trainings_the_version_has_the_figure_of_its_own(tiny_run):
    evidence = {key: tiny_run.summary[key] for key in ("metric", "results", "comparisons", "noise")}
    own = evidence["results"]["challenger"]
    several = evidence["results"] | {"challenger": own | {"seeds": 2, "sd": 0.1, "first": 0.25}}
    found = _metrics(evidence | {"results": several})
    assert (found["version.ndcg_at_10"], found["challenger.ndcg_at_10"]) == (0.25, own["ndcg@10"])


def test_mlflow_can_score_with_the_version_and_nothing_is_pickled(tiny_run, registry, tmp_path):
    model = mlflow.pyfunc.load_model("models:/tiny/1")
    scores = model.predict(pd.DataFrame({"context": ["red shoe 1"], "item": ["red shoe model 5"]}))
    assert scores.shape == (1,)
    folder = mlflow.artifacts.download_artifacts("models:/tiny/1", dst_path=str(tmp_path))
    assert not [p for p in tmp_path.rglob("*") if p.suffix in (".pkl", ".bin", ".pt", ".cloudpickle")], folder


def test_registering_again_gives_the_same_version(tiny_run, registry):
    hash_ = registry.get_model_version("tiny", "1").tags["assay.run_hash"]
    [model] = tiny_run.out.glob("steps/*/for-loop-2-iteration-0/finetune*/model")
    steps = model.parents[2]
    folders = (
        steps / "evaluate" / "evidence",
        steps / "ingest" / "samples",
        model,
        steps / "embed" / "encoder",
        steps / "evaluate" / "predictions",
    )
    assert register("tiny", "search", hash_, *map(str, folders)) == "1"
    assert len(registry.search_model_versions("name = 'tiny'")) == 1
    newer = registry.create_model_version("tiny", str(model))
    try:
        registry.set_registered_model_alias("tiny", "challenger", newer.version)
        register("tiny", "search", hash_, *map(str, folders))
        assert str(tracking.version_by_alias(registry, "tiny", "challenger").version) == str(newer.version)
    finally:
        registry.set_registered_model_alias("tiny", "challenger", "1")
        registry.delete_model_version("tiny", newer.version)


def test_weights_that_were_changed_are_refused(tiny_run, registry):
    version = tracking.find_version(registry, "tiny", "1")
    weights = tracking.download_version(registry, version)["ranker"] / "model.safetensors"
    before = weights.read_bytes()
    try:
        weights.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
        with pytest.raises(ValueError, match="version 1: ranker has sha256 .*refused"):
            tracking.download_version(registry, version)
    finally:
        weights.write_bytes(before)
    assert tracking.download_version(registry, version)
