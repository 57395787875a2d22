"""Against a real MLflow store: what a finished run left in its registry."""

import mlflow
import pytest
from assay.components.core import tracking
from assay.components.core.manifest import sha256_of
from assay.components.core.ranker import TextEncoder, open_ranker
from assay.components.register.register import _metrics, register


@pytest.fixture
def registry(tiny_run, monkeypatch):
    """A client on the finished run's store."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tiny_run.folder / 'runs' / 'mlflow.db'}")
    return tracking.connect()


def test_the_version_holds_ranker_and_encoder_each_with_its_hash(tiny_run, registry):
    version = tracking.find_version(registry, "tiny", tiny_run.summary["model"]["version"])
    parts = tracking.download_version(registry, version)
    assert set(parts) == {"ranker", "encoder"}
    open_ranker(parts["ranker"])
    assert TextEncoder(parts["encoder"]).encode(["red shoe"]).shape == (1, 32)
    for part, folder in parts.items():
        assert version.tags[f"assay.{part}_sha256"] == sha256_of(folder)


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
    import pandas as pd

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
