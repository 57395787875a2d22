import json
from pathlib import Path

import pytest
import yaml
from assay.pipelines.compiled import compile_pipelines, undeclared
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

COMMITTED = Path(__file__).parents[2] / "pipelines"
NAMES = {"importance": "importance", "budget_curve": "budget-curve", "ingest_log": "ingest-log"}


def committed(name):
    return next(yaml.safe_load_all((COMMITTED / f"{name}.yaml").read_text()))


@pytest.fixture(scope="module")
def spec():
    return committed("importance")


@pytest.fixture(scope="module")
def curve():
    return committed("budget_curve")


def test_the_committed_pipelines_are_the_compiled_ones(tmp_path):
    files = compile_pipelines(tmp_path)
    assert [file.stem for file in files] == list(NAMES)
    for file in files:
        assert file.read_text() == (COMMITTED / file.name).read_text(), "run `make compile`"


@pytest.mark.parametrize("name", NAMES)
def test_kubeflow_can_parse_them(name):
    parsed = json_format.ParseDict(committed(name), pipeline_spec_pb2.PipelineSpec())
    assert parsed.pipeline_info.name == NAMES[name]
    assert undeclared(committed(name)) == []


def test_the_curve_is_a_loop_over_arms_and_begins_as_a_run_does(spec, curve):
    tasks, whole = curve["root"]["dag"]["tasks"], spec["root"]["dag"]["tasks"]
    common = {"ingest", "embed", "select", "finetune-each", "for-loop-1", "score", "select-2"}
    assert set(tasks) == common | {"for-loop-2", "curve"}
    # Every arm and seed side by side, as many as a cluster has room for.
    assert "iteratorPolicy" not in tasks["for-loop-2"]
    assert set(curve["components"]["comp-for-loop-2"]["dag"]["tasks"]) == {"finetune-each-2"}
    for name in common - {"select-2"}:
        assert tasks[name] == whole[name], name


def test_the_dag_is_the_designs(spec):
    tasks = spec["root"]["dag"]["tasks"]
    assert set(tasks) == {
        "ingest", "embed", "select", "finetune-each", "for-loop-1", "score", "select-2",
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
