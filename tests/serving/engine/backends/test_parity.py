"""The gate lets pass what ranks as torch does, and nothing else."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from assay.components.core.metrics import Lists
from assay.serving.engine.backends.network import open_network
from assay.serving.engine.backends.parity import judge, judge_vectors
from assay.serving.engine.backends.scoring import scored
from assay.serving.engine.tokens import Tokenizer
from assay.serving.versions.canary_set import CanarySet
from safetensors.numpy import load_file, save_file

GROUPS, ROWS = 12, 8


@pytest.fixture
def canary() -> CanarySet:
    """Lists of eight, three of them relevant."""
    groups = np.repeat([f"g{number:02}" for number in range(GROUPS)], ROWS)
    ids = np.array([f"{number:04}" for number in range(GROUPS * ROWS)])
    labels = np.tile([1.0, 1, 1, 0, 0, 0, 0, 0], GROUPS)
    rows = [("a", "b")] * len(groups)
    return CanarySet(rows, labels, Lists(groups, labels, ids, 0.5), "ndcg@10")


@pytest.fixture
def right() -> np.ndarray:
    """Scores in the order of the labels."""
    return np.tile(np.arange(ROWS, 0, -1, dtype=np.float32), GROUPS)


def test_equal_scores_pass_with_the_figures(canary, right):
    found = judge("onnx-int8", right, right, right[:5], canary)
    assert (found.refused, found.apart, found.alone, found.value, found.reference) == ("", 0, 0, 1.0, 1.0)
    assert (found.metric, found.rows) == ("ndcg@10", GROUPS * ROWS)


def test_one_list_upside_down_is_refused(canary, right):
    turned = right.copy()
    turned[:ROWS] = turned[:ROWS][::-1]
    assert "ndcg@10 is 0.9" in judge("onnx-int8", turned, right, turned[:5], canary).refused
    # As much better is another model too.
    assert "ndcg@10 is 1.0000" in judge("onnx-int8", right, turned, right[:5], canary).refused


def test_a_logit_that_moves_is_refused_in_fp32_and_allowed_in_8_bits(canary, right):
    moved = right + np.float32(0.002)
    assert "a logit is 0.002 off" in judge("onnx-fp32", moved, right, moved[:5], canary).refused
    assert judge("onnx-int8", moved, right, moved[:5], canary).refused == ""


def test_a_score_that_depends_on_its_batch_is_refused_but_in_bfloat16(canary, right):
    alone = right[:5] + np.float32(1e-4)
    for backend in ("onnx-fp32", "onnx-int8"):
        assert "depends on its batch" in judge(backend, right, right, alone, canary).refused
    assert judge("torch-bf16", right, right, alone, canary).refused == ""


def test_without_a_canary_set_8_bits_are_refused_and_fp32_is_not(right):
    assert "no canary set" in judge("onnx-int8", right, right, right[:5], None).refused
    assert judge("onnx-fp32", right, right, right[:5], None).refused == ""


@pytest.mark.parametrize("where", ["found", "alone"])
def test_what_is_no_number_is_refused(canary, right, where):
    broken = right.copy()
    broken[0] = np.nan
    given = (broken, right[:5]) if where == "found" else (right, broken[:5])
    assert "not finite" in judge("onnx-int8", given[0], right, given[1], canary).refused
    assert "not finite" in judge_vectors("x", given[0][:, None], right[:, None], given[1][:, None]).refused


def test_vectors_that_move_are_refused():
    vectors = np.eye(4, dtype=np.float32)
    assert judge_vectors("onnx-fp32", vectors, vectors, vectors[:2]).refused == ""
    assert "is 0.001 off" in judge_vectors("onnx-fp32", vectors + np.float32(1e-3), vectors, vectors).refused
    assert "its batch" in judge_vectors("onnx-fp32", vectors, vectors, vectors + np.float32(5e-5)).refused


@pytest.mark.parametrize(("noise", "passes"), [(0.0, True), (0.5, False)])
def test_weights_that_were_disturbed_are_refused(small, tmp_path, noise, passes):
    bundle = small.copy(tmp_path)
    canary = CanarySet.read(bundle)
    part = shutil.copytree(bundle.ranker, tmp_path / "disturbed")
    weights = load_file(part / "model.safetensors")
    rng = np.random.default_rng(0)
    for name, each in weights.items():
        weights[name] = each + noise * each.std() * rng.standard_normal(each.shape).astype(np.float32)
    save_file(weights, part / "model.safetensors", metadata={"format": "pt"})
    tokenizer = Tokenizer(bundle.ranker)
    reference, found = (
        scored(open_network(each, "cross", "torch-fp32"), tokenizer, None, canary.rows)
        for each in (bundle.ranker, part)
    )
    judged = judge("onnx-int8", found, reference, found[:5], canary)
    assert (judged.refused == "") is passes
    assert judged.reference == 1.0
