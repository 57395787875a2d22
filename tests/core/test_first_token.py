"""A last layer that computes its first token alone against the one that computes them all."""

import copy

import numpy as np
import pytest
import torch
from assay.components.core.ranker import new_ranker
from assay.components.core.ranker.first_token import read_first_token_only
from assay.components.finetune.adapters import merge, wrap
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    ElectraConfig,
    ElectraForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
    XLMRobertaConfig,
    XLMRobertaForSequenceClassification,
)

KNOWN = {
    "bert": (BertForSequenceClassification, BertConfig),
    "electra": (ElectraForSequenceClassification, ElectraConfig),
    "roberta": (RobertaForSequenceClassification, RobertaConfig),
    "xlm-roberta": (XLMRobertaForSequenceClassification, XLMRobertaConfig),
}
SIZE = {
    "vocab_size": 50, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 48, "num_labels": 1, "pad_token_id": 1,
}  # fmt: skip


def batch(padded: bool) -> dict[str, torch.Tensor]:
    ids = torch.randint(2, 50, (5, 9), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    if padded:
        for row, length in enumerate((9, 7, 4, 4, 2)):
            ids[row, length:], mask[row, length:] = 1, 0
    return {"input_ids": ids, "attention_mask": mask}


def gradients(model, inputs) -> dict[str, torch.Tensor]:
    model.zero_grad()
    model(**inputs).logits.sum().backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("family", KNOWN)
def test_logits_and_gradients_are_those_of_the_whole_layer(family, attention, padded):
    model_class, config = KNOWN[family]
    torch.manual_seed(0)
    whole = model_class._from_config(config(**SIZE), attn_implementation=attention).eval()
    short = copy.deepcopy(whole)
    assert read_first_token_only(short)
    inputs, last = batch(padded), []
    short.base_model.encoder.layer[-1].register_forward_hook(lambda _, args, out: last.append(out.shape))
    assert torch.allclose(short(**inputs).logits, whole(**inputs).logits, atol=1e-6)
    assert last == [(5, 1, 32)]
    found, expected = gradients(short, inputs), gradients(whole, inputs)
    assert found.keys() == expected.keys()
    assert all(torch.allclose(found[name], expected[name], atol=1e-5) for name in expected)
    assert short.state_dict().keys() == whole.state_dict().keys()


def test_in_training_the_layer_draws_the_dropout_that_it_always_drew():
    torch.manual_seed(0)
    whole = BertForSequenceClassification(BertConfig(**SIZE)).train()
    short = copy.deepcopy(whole)
    assert read_first_token_only(short)
    found = []
    for model in (whole, short):
        torch.manual_seed(3)
        found.append(model(**batch(True)).logits)
    assert torch.equal(*found)


def test_other_models_are_left_as_they_are():
    class Mine(BertForSequenceClassification):
        """Whoever subclasses a model may read any token."""

    size = {k: v for k, v in SIZE.items() if k in ("vocab_size", "num_labels")}
    distil = DistilBertForSequenceClassification(DistilBertConfig(**size, dim=32, n_heads=2, hidden_dim=48))
    decoder = BertForSequenceClassification(BertConfig(**SIZE, is_decoder=True))
    for model in (Mine(BertConfig(**SIZE)), distil, decoder):
        kinds = [type(module) for module in model.modules()]
        assert not read_first_token_only(model)
        assert [type(module) for module in model.modules()] == kinds


def test_a_cross_encoder_scores_by_it_with_an_adapter_and_once_saved(tiny_encoder, tmp_path):
    from transformers import AutoModelForSequenceClassification

    ranker = new_ranker("cross", tiny_encoder, seed=1).eval()
    wrap(ranker, "lora")
    with torch.no_grad():
        for p in ranker.network.parameters():
            p.add_(0.01)
    rows = ranker.tokenise(["red shoe", "a lamp"], ["a red shoe of size 42", "kettle"])
    adapted = ranker.score(rows)
    merge(ranker)
    ranker.save(tmp_path)
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    [inputs] = rows.batch(range(2)).inputs
    expected = plain(**inputs).logits[:, 0].detach().numpy()
    assert type(plain.bert.encoder.layer[-1]) is not type(ranker.network.model.bert.encoder.layer[-1])
    assert np.allclose(adapted, expected, atol=1e-5)
    assert np.allclose(ranker.score(rows), expected, atol=1e-5)
