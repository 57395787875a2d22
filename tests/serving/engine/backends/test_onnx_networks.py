"""ONNX networks give torch's numbers, and a row's do not depend on its batch."""

from __future__ import annotations

import numpy as np
import pytest
from assay.components.core.checkpoints import resolve
from assay.components.core.errors import BadInput
from assay.components.core.ranker import TextEncoder, new_ranker
from assay.serving.engine.backends.export import export
from assay.serving.engine.backends.network import open_network
from assay.serving.engine.backends.onnx_network import OnnxNetwork, threads
from assay.serving.engine.backends.quantise import quantise
from assay.serving.engine.tokens import Tokenizer
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertModel,
    GPT2Config,
    GPT2Model,
    RobertaConfig,
    RobertaModel,
)

from tests.serving.engine.backends.conftest import texts

SHAPES = [
    "bert cross",
    "bert encoder",
    # An export takes seconds.
    *(
        pytest.param(shape, marks=pytest.mark.slow)
        for shape in ("bert bi", "roberta cross", "gpt2 cross", "gpt2 encoder")
    ),
]
CONTEXTS, ITEMS = texts(24, 5), [*texts(21, 6), "", "word " * 200, "a"]


@pytest.fixture(scope="module", params=SHAPES)
def made(request, tmp_path_factory):
    """(folder of a narrow part of two layers, its kind, fp32 file, int8 file)."""
    import torch

    backbone, kind = request.param.split()
    folder = tmp_path_factory.mktemp("made")
    torch.manual_seed(2)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    model = {
        "bert": lambda: BertModel(BertConfig(**sizes)),
        "roberta": lambda: RobertaModel(
            RobertaConfig(**sizes, vocab_size=30522, max_position_embeddings=160, pad_token_id=0)
        ),
        "gpt2": lambda: GPT2Model(
            GPT2Config(vocab_size=30522, n_embd=32, n_layer=2, n_head=2, n_positions=128, pad_token_id=0)
        ),
    }[backbone]()
    model.save_pretrained(folder / "weights")
    AutoTokenizer.from_pretrained(resolve("minilm")).save_pretrained(folder / "weights")
    if kind == "encoder":
        TextEncoder(folder / "weights").save(folder / "part")
    else:
        new_ranker(kind, folder / "weights", seed=3).save(folder / "part")
    export(folder / "part", kind, folder / "fp32.onnx")
    quantise(folder / "fp32.onnx", folder / "int8.onnx")
    return folder / "part", kind, folder / "fp32.onnx", folder / "int8.onnx"


def batches(part, kind, size=24):
    """All 24 rows, in batches of that size."""
    tokenizer = Tokenizer(part)
    tokens = tokenizer.pairs(CONTEXTS, ITEMS) if kind == "cross" else tokenizer.texts(ITEMS)
    return [tokenizer.pad(tokens[at : at + size]) for at in range(0, len(tokens), size)]


def test_fp32_is_torch(made):
    part, kind, file, _ = made
    network, torch_network = OnnxNetwork(file), open_network(part, kind, "torch-fp32")
    (inputs,) = batches(part, kind)
    found = network(inputs)
    assert found.dtype == np.float32
    assert network.width == torch_network.width
    np.testing.assert_allclose(found, torch_network(inputs), atol=1e-5)


def test_int8_is_near_and_is_not_fp32(made):
    part, kind, exact, file = made
    (inputs,) = batches(part, kind)
    apart = np.abs(OnnxNetwork(exact)(inputs) - OnnxNetwork(file, "onnx-int8")(inputs)).max()
    assert 0 < apart < 0.05


@pytest.mark.parametrize("file", [2, 3])
def test_a_rows_numbers_do_not_depend_on_its_batch(made, file):
    part, kind = made[:2]
    network = OnnxNetwork(made[file])
    (together,) = map(network, batches(part, kind))
    alone = np.concatenate([network(inputs) for inputs in batches(part, kind, size=1)])
    np.testing.assert_allclose(alone, together, atol=1e-5)


def test_what_cannot_be_exported_is_told(tiny, tmp_path, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("no such operator")

    monkeypatch.setattr("torch.onnx.export", broken)
    with pytest.raises(BadInput, match=r"cannot export .* \(RuntimeError: no such operator\)"):
        export(tiny.ranker, "cross", tmp_path / "x.onnx")


def test_a_file_that_is_no_network_is_refused(tmp_path):
    (tmp_path / "x.onnx").write_bytes(b"no")
    with pytest.raises(BadInput, match="cannot be opened"):
        OnnxNetwork(tmp_path / "x.onnx")
    with pytest.raises(BadInput, match="cannot be opened"):
        OnnxNetwork(tmp_path / "missing.onnx")


def test_threads_are_those_that_were_asked_for(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert threads() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "")
    assert threads() >= 1
    monkeypatch.setattr("assay.serving.engine.backends.onnx_network._quota", lambda: 1)
    assert threads() == 1
