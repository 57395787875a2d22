import json
from pathlib import Path

import pytest
import yaml
from assay.pipelines.compiled import compile_pipeline, undeclared
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

COMMITTED = Path(__file__).parents[2] / "pipelines" / "importance.yaml"


@pytest.fixture(scope="module")
def spec():
    return next(yaml.safe_load_all(COMMITTED.read_text()))


def test_the_committed_pipeline_is_the_compiled_one(tmp_path):
    compile_pipeline(tmp_path / "importance.yaml")
    assert (tmp_path / "importance.yaml").read_text() == COMMITTED.read_text(), "run `make compile`"


def test_kubeflow_can_parse_it(spec):
    parsed = json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    assert parsed.pipeline_info.name == "importance"


def test_the_dag_is_the_designs(spec):
    tasks = spec["root"]["dag"]["tasks"]
    assert set(tasks) == {
        "ingest", "embed", "select", "warm-up", "for-loop-1", "score", "select-2",
        "for-loop-2", "evaluate", "register", "condition-3",
    }  # fmt: skip
    # Shards are measured side by side, the arms trained one after another.
    assert "iteratorPolicy" not in tasks["for-loop-1"]
    assert set(spec["components"]["comp-for-loop-1"]["dag"]["tasks"]) == {"measure"}
    assert tasks["for-loop-2"]["iteratorPolicy"] == {"parallelismLimit": 1}
    # The truth goes to evaluate alone.
    users = [n for n, t in tasks.items() if "truth" in json.dumps(t.get("inputs", {}))]
    assert users == ["evaluate"]


def test_steps_with_side_effects_are_never_cached(spec):
    components = spec["components"]
    promote = components["comp-condition-3"]["dag"]["tasks"]["promote"]
    for task in (spec["root"]["dag"]["tasks"]["register"], promote):
        assert not task["cachingOptions"].get("enableCache", False)
    assert spec["root"]["dag"]["tasks"]["ingest"]["cachingOptions"]["enableCache"]


def test_inputs_that_a_sub_dag_does_not_declare_are_found(spec):
    assert undeclared(spec) == []
    broken = json.loads(json.dumps(spec))
    loop = broken["components"]["comp-for-loop-2"]
    removed = next(iter(loop["inputDefinitions"]["parameters"]))
    del loop["inputDefinitions"]["parameters"][removed]
    assert any(removed in problem for problem in undeclared(broken))
    broken["root"]["dag"]["tasks"]["embed"]["inputs"]["artifacts"]["samples"]["taskOutputArtifact"][
        "producerTask"
    ] = "x"
    assert any("there is no task x" in problem for problem in undeclared(broken))


def test_every_image_is_ours_and_nothing_is_installed_at_run_time(spec):
    for name, executor in spec["deploymentSpec"]["executors"].items():
        assert "assay-python" in executor["container"]["image"], name
        assert "pip install" not in json.dumps(executor), name
