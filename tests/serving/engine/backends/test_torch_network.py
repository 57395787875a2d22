"""Torch networks give what the core's rankers and encoders give."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from assay.components.core.checkpoints import resolve
from assay.components.core.errors import BadInput
from assay.components.core.ranker import new_ranker, open_ranker
from assay.components.core.ranker.models import has_bf16
from assay.serving.engine.backends.cosine import ScaledCosine
from assay.serving.engine.backends.network import open_network
from assay.serving.engine.tokens import Tokenizer

CONTEXTS = ["red shoe", "", "a kettle of steel " * 40]
ITEMS = ["running shoe, red", "lamp", "kettle"]


@pytest.fixture(scope="module")
def bi(tmp_path_factory):
    """MiniLM as a bi-encoder ranker."""
    folder = tmp_path_factory.mktemp("bi")
    new_ranker("bi", resolve("minilm"), seed=7).save(folder)
    return folder


def test_a_cross_encoder_gives_the_rankers_logits(parts, ranker):
    tokenizer, network = Tokenizer(parts.ranker), open_network(parts.ranker, "cross", "torch-fp32")
    found = network(tokenizer.pad(tokenizer.pairs(CONTEXTS, ITEMS)))
    assert found.shape == (3, network.width) == (3, 1)
    np.testing.assert_allclose(found[:, 0], ranker.score(ranker.tokenise(CONTEXTS, ITEMS)), atol=1e-6)


def test_a_bi_encoders_vectors_and_cosine_give_the_rankers_logits(bi):
    core = open_ranker(bi)
    tokenizer, network, cosine = Tokenizer(bi), open_network(bi, "bi", "torch-fp32"), ScaledCosine.open(bi)
    contexts, items = (network(tokenizer.pad(tokenizer.texts(texts))) for texts in (CONTEXTS, ITEMS))
    assert contexts.shape == (3, network.width)
    np.testing.assert_allclose(cosine(contexts, items), core.score(core.tokenise(CONTEXTS, ITEMS)), atol=1e-5)


def test_an_encoder_gives_the_encoders_vectors(parts, encoder):
    tokenizer, network = Tokenizer(parts.encoder), open_network(parts.encoder, "encoder", "torch-fp32")
    found = network(tokenizer.pad(tokenizer.texts(CONTEXTS)))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, encoder.encode(CONTEXTS), atol=1e-6)


@pytest.mark.skipif(not has_bf16(), reason="this machine has no bfloat16")
def test_bfloat16_is_near(parts):
    tokenizer = Tokenizer(parts.ranker)
    inputs = tokenizer.pad(tokenizer.pairs(CONTEXTS, ITEMS))
    exact, near = (open_network(parts.ranker, "cross", name)(inputs) for name in ("torch-fp32", "torch-bf16"))
    assert near.dtype == np.float32
    assert 0 < np.abs(exact - near).max() < 0.05


def test_bfloat16_that_would_be_emulated_is_refused(tiny, monkeypatch):
    monkeypatch.setattr("assay.serving.engine.backends.torch_network.has_bf16", lambda: False)
    with pytest.raises(BadInput, match="no bfloat16"):
        open_network(tiny.ranker, "cross", "torch-bf16")


def test_a_compiled_network_is_one_graph_for_all_shapes_but_a_batch_of_one(tiny):
    from torch._dynamo.testing import CompileCounter

    tokenizer, network = Tokenizer(tiny.ranker), open_network(tiny.ranker, "cross", "torch-fp32")
    counter = CompileCounter()
    # As on CUDA, with a compiler that counts and compiles nothing.
    compiled = torch.compile(network._compute, dynamic=True, fullgraph=True, backend=counter)
    for n in (1, 2, 3, 3, 2):
        inputs = tokenizer.pad(tokenizer.pairs(["red shoe"] * n, ["shoe " * 3 * n] * n))
        with torch.inference_mode():
            found = compiled({name: torch.as_tensor(array) for name, array in inputs.items()})
        np.testing.assert_allclose(found.numpy(), network(inputs), atol=1e-6)
    assert counter.frame_count == 2


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize(("backend", "near"), [("torch-fp32", 1e-3), ("torch-bf16", 0.05)])
def test_on_cuda_the_compiled_network_is_near_for_any_shape(parts, ranker, backend, near):
    tokenizer, network = Tokenizer(parts.ranker), open_network(parts.ranker, "cross", backend)
    for n in (1, 2, 3):
        found = network(tokenizer.pad(tokenizer.pairs(CONTEXTS[:n], ITEMS[:n])))
        expected = ranker.score(ranker.tokenise(CONTEXTS[:n], ITEMS[:n]))
        np.testing.assert_allclose(found[:, 0], expected, atol=near)


@pytest.mark.parametrize(("kind", "backend"), [("cros", "torch-fp32"), ("cross", "torch")])
def test_what_there_is_not_is_refused(tiny, kind, backend):
    with pytest.raises(BadInput, match="choose"):
        open_network(tiny.ranker, kind, backend)


def test_a_ranker_without_cosine_is_refused(tiny):
    with pytest.raises(BadInput, match="scaled_cosine"):
        ScaledCosine.open(tiny.ranker)
