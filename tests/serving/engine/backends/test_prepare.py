"""A version is prepared once, and only what passed the gate is offered."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest
from assay.components.core.errors import BadInput
from assay.components.core.ranker import new_ranker
from assay.serving.engine.backends import prepare as module
from assay.serving.engine.backends.choose import BackendSettings, open_networks
from assay.serving.engine.backends.derived import Derived
from assay.serving.engine.backends.prepare import main, prepare
from assay.serving.versions.bundle import Bundle, _renewed, write_bundle

from tests.serving.engine.backends.conftest import with_canary


def record(bundle: Bundle) -> dict:
    return json.loads((bundle.folder / "derived" / "backends.json").read_text())


def test_all_backends_are_judged_and_measured(small):
    derived = Derived.read(small.bundle.folder, small.bundle.sha256)
    assert set(derived.files) == {"ranker.onnx", "ranker.int8.onnx", "encoder.onnx"}
    assert derived.ranker["onnx-fp32"].refused == ""
    assert derived.ranker["onnx-fp32"].reference == 1.0
    assert set(derived.milliseconds) == {name for name, each in derived.ranker.items() if not each.refused}
    assert derived.encoder["onnx-fp32"].apart < 1e-5


def test_a_second_run_does_nothing(small, monkeypatch):
    monkeypatch.setattr(module, "_derive", lambda *_: pytest.fail("derived again"))
    first = prepare(small.bundle.folder, BackendSettings())
    assert prepare(small.bundle.folder, BackendSettings("torch"))["ranker"] == "torch-fp32"
    assert first == prepare(small.bundle.folder, BackendSettings())


@pytest.mark.parametrize("what", ["a file", "the record", "the canary set"])
def test_what_was_changed_is_prepared_anew(small, tmp_path, monkeypatch, what):
    bundle = small.copy(tmp_path)
    derived = Derived.read(bundle.folder, bundle.sha256)
    if what == "a file":
        (bundle.folder / "derived" / "ranker.onnx").write_bytes(b"x")
    elif what == "the record":
        (bundle.folder / "derived" / "backends.json").write_text("{")
    else:
        _renewed(bundle, None)
    called = []
    monkeypatch.setattr(module, "_derive", lambda *given: called.append(given) or derived)
    prepare(bundle.folder, BackendSettings())
    assert len(called) == 1


def test_without_a_canary_set_8_bits_are_refused(small, tmp_path, monkeypatch):
    bundle = small.copy(tmp_path)
    _renewed(bundle, None)
    made = {"cross": "ranker.onnx", "encoder": "encoder.onnx"}
    monkeypatch.setattr(
        "assay.serving.engine.backends.export.export",
        # An export takes seconds, and these weights have been exported.
        lambda _, kind, file: shutil.copy(small.bundle.folder / "derived" / made[kind], file),
    )
    with pytest.raises(BadInput, match="refused for this version: the version has no canary set"):
        prepare(bundle.folder, BackendSettings("onnx-int8"))
    assert "no canary set" in record(bundle)["ranker"]["onnx-int8"]["refused"]
    assert prepare(bundle.folder, BackendSettings("onnx")) == {"ranker": "onnx-fp32", "encoder": "onnx-fp32"}


def test_torch_needs_no_file_but_its_tokens_are_checked(tiny, tmp_path, monkeypatch):
    bundle = write_bundle(tmp_path / "1", "assay-search", "1", tiny.ranker, tiny.encoder)
    assert prepare(bundle.folder, BackendSettings("torch")) == {
        "ranker": "torch-fp32",
        "encoder": "torch-fp32",
    }
    assert record(bundle)["files"] == {}
    monkeypatch.setattr(module, "SAME_TOKENS", -1.0)
    (bundle.folder / "derived" / "backends.json").unlink()
    with pytest.raises(BadInput, match="gives other tokens"):
        prepare(bundle.folder, BackendSettings("torch"))
    assert not (bundle.folder / "derived" / "backends.json").exists()


def test_a_model_that_cannot_be_exported_is_served_by_torch(tiny, tmp_path, monkeypatch):
    bundle = write_bundle(tmp_path / "1", "assay-search", "1", tiny.ranker, tiny.encoder)
    monkeypatch.setattr("torch.onnx.export", lambda *_, **__: 1 / 0)
    assert prepare(bundle.folder, BackendSettings())["ranker"] == "torch-fp32"
    with pytest.raises(BadInput, match="torch cannot export this model"):
        prepare(bundle.folder, BackendSettings("onnx"))


@pytest.mark.slow
def test_a_bi_encoder_is_prepared_too(tiny, tmp_path):
    folder = tmp_path / "ranker"
    new_ranker("bi", tiny.encoder, seed=3).save(folder)
    bundle = with_canary(write_bundle(tmp_path / "1", "assay-search", "1", folder, tiny.encoder))
    prepare(bundle.folder, BackendSettings("onnx"))
    judged = Derived.read(bundle.folder, bundle.sha256).ranker
    assert judged["onnx-fp32"].refused == ""
    assert judged["onnx-int8"].alone < 1e-5
    assert open_networks(bundle, BackendSettings("onnx"))[0].width == 16


def test_a_process_of_its_own_prepares_and_opening_needs_no_torch(small, tmp_path):
    bundle = small.copy(tmp_path)
    command = [sys.executable, "-m", module.__name__]
    subprocess.run([*command, str(bundle.folder), "--backend", "onnx"], check=True)
    refused = subprocess.run([*command, str(tmp_path)], stderr=subprocess.PIPE, text=True, check=False)
    assert refused.returncode == 2
    assert "is no bundle" in refused.stderr
    program = (
        "import sys; from assay.serving.versions.bundle import Bundle\n"
        "from assay.serving.engine.backends.choose import BackendSettings, open_networks\n"
        "from assay.serving.engine.tokens import Tokenizer\n"
        "bundle = Bundle.open(sys.argv[1]); tokenizer = Tokenizer(bundle.ranker)\n"
        "network, _ = open_networks(bundle, BackendSettings('onnx'))\n"
        "network(tokenizer.pad(tokenizer.pairs(['red shoe'], ['shoe'])))\n"
        "print(sorted({'torch', 'transformers', 'onnx'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(bundle.folder)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_command_tells_what_serves_and_what_is_wrong(small, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("ASSAY_BACKEND_NAME", raising=False)
    priority = os.getpriority(os.PRIO_PROCESS, 0)
    assert main([str(small.bundle.folder), "--backend", "onnx"]) == 0
    # A start waits for it. What runs beside a service lowers its own priority, and this one's with it.
    assert os.getpriority(os.PRIO_PROCESS, 0) == priority
    assert "the ranker is computed by onnx-fp32" in capsys.readouterr().err
    assert main([str(tmp_path)]) == 2
    assert "is no bundle" in capsys.readouterr().err
    monkeypatch.setenv("ASSAY_BACKEND_NAME", "fast")
    assert main([str(tmp_path)]) == 2
    assert os.environ["ASSAY_BACKEND_NAME"] in capsys.readouterr().err


@pytest.mark.slow
def test_minilm_passes_in_fp32(parts, tmp_path):
    bundle = write_bundle(tmp_path / "1", "assay-search", "1", parts.ranker, parts.encoder)
    prepare(bundle.folder, BackendSettings("onnx"))
    derived = Derived.read(bundle.folder, bundle.sha256)
    assert derived.ranker["onnx-fp32"].apart < 1e-4
