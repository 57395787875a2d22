"""Ghost products against one backward pass a row, for every shape of ranker."""

import numpy as np
import pytest
import torch
from assay.components.core.ranker import new_ranker
from assay.components.score.gradients import directions, ghost
from assay.components.score.inputs import rows_of
from torch import nn
from transformers import AutoTokenizer, GPT2Config, GPT2Model, Qwen2Config, Qwen2Model

from tests.score.conftest import adapted


def decoder(folder, tiny_encoder, model) -> str:
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_encoder).save_pretrained(folder)
    return str(folder)


def opened(shape, tiny_encoder, tmp_path):
    size = AutoTokenizer.from_pretrained(tiny_encoder).vocab_size
    torch.manual_seed(1)
    if shape == "qwen2":
        config = Qwen2Config(
            vocab_size=size, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
            num_attention_heads=2, num_key_value_heads=1, pad_token_id=0,
        )  # fmt: skip
        ranker = new_ranker("cross", decoder(tmp_path, tiny_encoder, Qwen2Model(config)), 3)
    elif shape == "gpt2":
        config = GPT2Config(vocab_size=size, n_embd=32, n_layer=2, n_head=2, n_positions=128, pad_token_id=0)
        ranker = new_ranker("cross", decoder(tmp_path, tiny_encoder, GPT2Model(config)), 3)
    else:
        ranker = new_ranker(shape.removesuffix("-lora"), tiny_encoder, 3)
    if shape.endswith("-lora"):
        adapted(ranker)
    return ranker.eval()


@pytest.mark.parametrize("shape", ["cross", "bi", "cross-lora", "bi-lora", "qwen2", "gpt2"])
@pytest.mark.parametrize("scope", ["all", "adapter"])
def test_ghost_products_equal_one_backward_pass_a_row(shape, scope, tiny_encoder, tmp_path, inputs):
    ranker = opened(shape, tiny_encoder, tmp_path)
    if scope == "adapter" and not shape.endswith("-lora"):
        with pytest.raises(ValueError, match="has no adapter"):
            directions.parameters(ranker, scope)
        return
    rows = rows_of(ranker, inputs.samples.head(24))
    target = rows_of(ranker, inputs.target)
    flags = [p.requires_grad for p in ranker.network.parameters()]
    names = list(directions.parameters(ranker, scope))
    vs = directions.target_gradients(ranker, target, np.array_split(np.arange(len(target)), 3), scope)
    dots, norms = ghost.ghost_products(ranker, rows, vs, names)
    expected = directions.row_by_row(ranker, rows, vs)
    assert dots.shape == (24, 3)
    assert np.allclose(dots, expected, atol=2e-4 * np.abs(expected).max())
    assert norms == pytest.approx(squared_norms(ranker, rows, names), rel=1e-3)
    assert [p.requires_grad for p in ranker.network.parameters()] == flags


def squared_norms(ranker, rows, names) -> np.ndarray:
    out = np.zeros(len(rows))
    with directions.differentiable(ranker, names) as weights:
        for i in range(len(rows)):
            logit = ranker.logits(rows.batch([i])).sum()
            grads = torch.autograd.grad(logit, weights, allow_unused=True)
            out[i] = sum(float(g.double().pow(2).sum()) for g in grads if g is not None)
    return out


def test_the_gradient_of_groups_of_the_target_adds_up_to_that_of_the_whole(tiny_encoder, inputs):
    ranker = new_ranker("bi", tiny_encoder, 3).eval()
    target = rows_of(ranker, inputs.target)
    halves = directions.target_gradients(ranker, target, np.array_split(np.arange(len(target)), 2))
    [whole] = directions.target_gradients(ranker, target)
    for name in whole:
        assert torch.allclose(whole[name], (halves[0][name] + halves[1][name]) / 2, atol=1e-6)


def test_a_weight_of_an_unknown_layer_is_named(tiny_encoder, inputs):
    ranker = new_ranker("cross", tiny_encoder, 3)
    ranker.network.extra = nn.Bilinear(2, 2, 1)
    with pytest.raises(ghost.Unsupported, match="extra"):
        ghost.layers_of(ranker.network, ["extra.weight"])
