"""A version is compared with what it was when it was registered, and with the one in service."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from assay.serving.versions.canary import check, compare
from assay.serving.versions.canary_set import CanarySet
from assay.serving.versions.probe import ROWS, Probe

from tests.serving.versions.by_core import ByCore
from tests.serving.versions.conftest import CANARY_ROWS, scored, write_canary_set

BOUNDS = {"tolerance": 0.02, "difference": 1e-3}


def test_a_version_that_scores_as_it_did_may_serve_and_leaves_a_probe(bundles):
    bundle = bundles("1", 1)
    found = check(bundle, ByCore(bundle), ByCore(bundle), **BOUNDS)
    assert found.objection == ""
    assert (found.metric, found.value, found.registered, found.current) == ("ndcg@10", 1.0, 1.0, 1.0)
    assert found.apart < 1e-5
    probe = Probe.read(bundle)
    assert (probe.backend, len(probe.rows), len(set(probe.rows))) == ("torch-fp32", ROWS, ROWS)
    assert set(probe.rows) <= set(CANARY_ROWS)
    assert probe.objection(ByCore(bundle), 1e-3) == ""


def test_a_version_without_a_set_may_serve(bundles):
    bundle = bundles("1", 1, canary=None)
    assert check(bundle, ByCore(bundle), None, **BOUNDS).objection == ""
    assert Probe.read(bundle) is None


def test_other_weights_than_those_that_were_scored_are_refused(bundles, rankers, tmp_path):
    other = write_canary_set(tmp_path / "canary", scored(rankers(2)))
    bundle = bundles("1", 1, canary=other)
    found = check(bundle, ByCore(bundle), None, **BOUNDS)
    # By its scores, or where they are near by their order.
    assert "registered" in found.objection


def test_worse_than_the_version_in_service_is_refused(bundles, rankers, tmp_path):
    """Its scores are what was registered; but what is relevant is what the version in service puts first."""
    current = bundles("1", 1)
    graded = write_canary_set(tmp_path / "canary", scored(rankers(-1)), graded_by=scored(rankers(1)))
    bundle = bundles("2", -1, canary=graded)
    found = check(bundle, ByCore(bundle), ByCore(current), **BOUNDS)
    assert found.current == 1.0
    worse = f"{found.value:.4f}, that of the version in service 1.0000"
    assert found.objection == f"ndcg@10 on the canary set is {worse}"
    assert check(bundle, ByCore(bundle), None, **BOUNDS).objection == ""
    assert check(bundle, ByCore(bundle), ByCore(current), tolerance=1.0, difference=1e-3).objection == ""


@pytest.fixture
def canary(bundles) -> CanarySet:
    return CanarySet.read(bundles("1", 1))


def test_chance_decides_between_two_versions(canary):
    """One list of eight turned over is worse than allowed, and within what eight lists leave to chance."""
    scores = canary.registered.copy()
    scores[:6] *= -1
    alike = CanarySet(canary.rows, scores, canary.lists, canary.metric)
    found = compare(alike, "torch-fp32", scores, canary.registered, tolerance=0.001, difference=1e-3)
    assert found.value < found.current - 0.001
    assert found.objection == ""
    all_turned = CanarySet(canary.rows, -canary.registered, canary.lists, canary.metric)
    found = compare(all_turned, "torch-fp32", -canary.registered, canary.registered, 0.001, 1e-3)
    assert "that of the version in service 1.0000" in found.objection


def test_a_backend_of_lower_precision_is_judged_by_the_metric(canary):
    rough = canary.registered + np.tile([0.004, -0.004], len(canary.rows) // 2)
    assert "away" in compare(canary, "onnx-fp32", rough, None, **BOUNDS).objection
    found = compare(canary, "onnx-int8", rough, None, tolerance=0.5, difference=1e-3)
    assert (found.objection, round(found.apart, 4)) == ("", 0.004)
    found = compare(canary, "onnx-int8", -canary.registered, None, **BOUNDS)
    assert "by onnx-int8, registered was 1.0000" in found.objection


def test_scores_that_are_no_numbers_or_all_the_same_are_refused(canary):
    scores = canary.registered.copy()
    scores[3] = np.nan
    assert compare(canary, "onnx-int8", scores, None, **BOUNDS).objection == (
        f"1 of {len(scores)} canary rows score no finite number"
    )
    flat = np.zeros(len(scores))
    assert "the same score" in compare(canary, "onnx-int8", flat, None, **BOUNDS).objection


def test_log_loss_is_worse_where_it_is_higher(canary):
    grades = canary.lists.grades
    sure = CanarySet(canary.rows, np.where(grades > 0, 3.0, -3.0), canary.lists, "log_loss")
    unsure = sure.registered / 10
    assert compare(sure, "onnx-int8", sure.registered, unsure, **BOUNDS).objection == ""
    assert "log_loss" in compare(sure, "onnx-int8", unsure, None, **BOUNDS).objection


def test_a_set_whose_rows_were_all_erased_is_none(bundles, tmp_path):
    folder = write_canary_set(tmp_path / "canary", scored(bundles("1", 1).ranker))
    table = pd.read_parquet(folder / "canary.parquet")
    table[:0].to_parquet(folder / "canary.parquet", index=False)
    assert CanarySet.read(bundles("2", 1, canary=folder)) is None


def test_the_probe_looks_at_scores_of_the_same_backend_closely(bundles):
    bundle = bundles("1", 1)
    model, probe = ByCore(bundle), Probe.read(bundle)
    assert probe.objection(model, 1e-3) == ""
    near = Probe(probe.rows, probe.registered, "torch-fp32", tuple(s + 0.002 for s in probe.registered))
    assert "when it was checked" in near.objection(model, 1e-3)
    model.backend = "onnx-int8"
    assert near.objection(model, 1e-3) == ""
    coarse = Probe(probe.rows, probe.registered, "onnx-int8", tuple(s + 0.2 for s in probe.registered))
    assert "when it was checked" in coarse.objection(model, 1e-3)
