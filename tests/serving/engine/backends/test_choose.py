"""The backend that serves is the one that was named, or the fastest that passed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from assay.components.core.errors import BadInput
from assay.serving.engine.backends.choose import BackendSettings, choice, open_networks
from assay.serving.engine.backends.derived import Derived
from assay.serving.engine.backends.parity import Parity

FIT = {name: Parity(name, "") for name in ("torch-fp32", "onnx-fp32", "onnx-int8")}
DERIVED = Derived(
    {}, {}, {}, FIT, {"onnx-fp32": Parity("onnx-fp32", "")},
    {"torch-fp32": 4.0, "onnx-fp32": 2.0, "onnx-int8": 1.0},
)  # fmt: skip
BF16 = {"torch-bf16": Parity("torch-bf16", "")}
NO_BF16 = {"torch-bf16": Parity("torch-bf16", "ndcg@10 is 0.2")}
REFUSED = replace(DERIVED, ranker={**FIT, "onnx-int8": Parity("onnx-int8", "ndcg@10 is 0.2")})


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"ASSAY_BACKEND_NAME": "tensorrt"}, "choose auto, torch, onnx, onnx-int8"),
        ({"ASSAY_BACKEND_NAMES": "torch"}, "ASSAY_BACKEND_NAMES names no setting"),
    ],
)
def test_a_wrong_setting_is_refused(environment, says):
    with pytest.raises(BadInput, match=says):
        BackendSettings.from_environment(environment)


def test_settings_are_read_from_the_environment():
    assert BackendSettings.from_environment({"ASSAY_BACKEND_NAME": " onnx "}).name == "onnx"
    assert BackendSettings.from_environment({"ASSAY_BACKEND_NAME": "", "ASSAY_X": "y"}).name == "auto"


@pytest.mark.parametrize(
    ("name", "derived", "cuda", "ranker", "encoder"),
    [
        ("auto", DERIVED, False, "onnx-int8", "onnx-fp32"),
        ("auto", REFUSED, False, "onnx-fp32", "onnx-fp32"),
        ("auto", None, False, "torch-fp32", "torch-fp32"),
        ("auto", replace(DERIVED, encoder={}), False, "onnx-int8", "torch-fp32"),
        ("auto", replace(DERIVED, milliseconds={"torch-fp32": 0.5}), False, "torch-fp32", "torch-fp32"),
        ("auto", DERIVED, True, "torch-fp32", "torch-fp32"),
        ("auto", replace(DERIVED, ranker=BF16), True, "torch-bf16", "torch-fp32"),
        (
            "auto",
            replace(DERIVED, ranker=NO_BF16),
            True,
            "torch-fp32",
            "torch-fp32",
        ),
        ("torch", DERIVED, False, "torch-fp32", "torch-fp32"),
        ("onnx", DERIVED, False, "onnx-fp32", "onnx-fp32"),
        ("onnx-int8", DERIVED, True, "onnx-int8", "onnx-fp32"),
    ],
)
def test_what_serves(name, derived, cuda, ranker, encoder):
    assert choice(name, derived, cuda) == {"ranker": ranker, "encoder": encoder}


def test_what_was_named_and_refused_is_told_with_the_reason():
    with pytest.raises(BadInput, match=r"NAME=onnx-int8 is refused for this version: ndcg@10 is 0\.2"):
        choice("onnx-int8", REFUSED, False)
    with pytest.raises(BadInput, match="nothing is prepared"):
        choice("onnx", None, False)


def test_the_prepared_networks_open(small):
    ranker, encoder = open_networks(small.bundle, BackendSettings("onnx"))
    assert (ranker.backend, ranker.width, encoder.backend, encoder.width) == ("onnx-fp32", 1, "onnx-fp32", 16)
    inputs = {"input_ids": np.array([[101, 7, 102]]), "attention_mask": np.ones((1, 3), dtype=np.int64)}
    np.testing.assert_allclose(np.linalg.norm(encoder(inputs), axis=1), 1, atol=1e-6)
    ranker.close()


@pytest.mark.parametrize("file", ["ranker.onnx", "encoder.onnx"])
def test_a_derived_file_that_was_changed_is_refused(small, tmp_path, file):
    bundle = small.copy(tmp_path)
    with (bundle.folder / "derived" / file).open("r+b") as stream:
        stream.seek(-1, 2)
        stream.write(b"x")
    with pytest.raises(BadInput, match=f"{file} has sha256 .* refused"):
        open_networks(bundle, BackendSettings("onnx"))


def test_what_was_derived_from_other_weights_is_not_used(small, tmp_path):
    bundle = small.copy(tmp_path)
    assert Derived.read(bundle.folder, bundle.sha256) is not None
    assert Derived.read(bundle.folder, {**bundle.sha256, "ranker": "0" * 64}) is None
