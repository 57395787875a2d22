"""Tokens are those of the core, for any text."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from assay.components.core.checkpoints import resolve
from assay.components.core.errors import BadInput
from assay.components.core.ranker import TextEncoder, new_ranker, open_ranker
from assay.serving.engine.tokens import Tokenizer
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Inner
from tokenizers import models, pre_tokenizers
from transformers import AutoTokenizer, BertConfig, BertModel, GPT2Config, GPT2Model, PreTrainedTokenizerFast

SHAPES = ["bert cross", "bert bi", "gpt2 cross", "gpt2 bi", "roberta cross"]
MAX_LENGTH = 24
TEXT = st.one_of(
    st.text(max_size=40),
    st.text("ab ,ß漢字[SEP]\n", max_size=40),
    st.lists(st.sampled_from(["red", "[SEP]", "shoe", "<|end|>", "42"]), max_size=40).map(" ".join),
)


def letters() -> PreTrainedTokenizerFast:
    """As decoders have it: no marks around a text, no token to pad with, padding and cutting on the left."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Inner(models.BPE({token: number for number, token in enumerate(["<|end|>", *alphabet])}, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, eos_token="<|end|>", padding_side="left", truncation_side="left"
    )


def roberta() -> PreTrainedTokenizerFast:
    """Two marks between the texts of a pair."""
    from tokenizers import processors

    inner = Inner(models.BPE({t: n for n, t in enumerate(["<s>", "</s>", "<pad>", "<unk>", *"abder "])}, []))
    inner.post_processor = processors.RobertaProcessing(("</s>", 1), ("<s>", 0))
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="<s>", eos_token="</s>", cls_token="<s>", sep_token="</s>",
        pad_token="<pad>", unk_token="<unk>",
    )  # fmt: skip


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """{backbone: folder of a tiny checkpoint}."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(1)
    bert = BertConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    gpt2 = GPT2Config(vocab_size=257, n_embd=16, n_layer=1, n_head=2, n_positions=64)
    tokenizers = {
        "bert": AutoTokenizer.from_pretrained(resolve("minilm")),
        "gpt2": letters(),
        "roberta": roberta(),
    }
    for name, tokenizer in tokenizers.items():
        (GPT2Model(gpt2) if name == "gpt2" else BertModel(bert)).save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    return {name: folder / name for name in tokenizers}


@pytest.fixture(scope="module", params=SHAPES)
def ranker(request, weights, tmp_path_factory):
    """(a ranker as the core opens it, our tokenizer of its folder)."""
    backbone, kind = request.param.split()
    folder = tmp_path_factory.mktemp("ranker")
    new_ranker(kind, weights[backbone], seed=1, max_length=MAX_LENGTH).save(folder)
    return open_ranker(folder), Tokenizer(folder)


@pytest.fixture(scope="module", params=["bert", "gpt2"])
def encoder(request, weights, tmp_path_factory):
    """(an encoder as the core opens it, our tokenizer of its folder)."""
    folder = tmp_path_factory.mktemp("encoder")
    TextEncoder(weights[request.param], max_length=MAX_LENGTH).save(folder)
    return TextEncoder(folder, max_length=MAX_LENGTH), Tokenizer(folder)


def same(found, inputs) -> None:
    assert set(found) == set(inputs)
    for name, array in found.items():
        assert array.dtype == np.int64
        assert array.tolist() == inputs[name].tolist()


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=4))
def test_a_ranker_is_given_what_the_core_gives_it(ranker, rows):
    core, ours = ranker
    contexts, items = map(list, zip(*rows, strict=True))
    towers = core.towers(contexts, items)
    given = [ours.pairs(contexts, items)] if len(towers) == 1 else [ours.texts(contexts), ours.texts(items)]
    for tower, tokens in zip(towers, given, strict=True):
        assert [row.ids for row in tokens] == [row["input_ids"] for row in tower]
        if any(row.ids for row in tokens):  # Of nothing but empty texts transformers makes no batch.
            same(ours.pad(tokens), core.tokenizer.pad(tower, return_tensors="np"))


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(TEXT, min_size=1, max_size=4))
def test_an_encoder_is_given_what_the_core_gives_it(encoder, texts):
    core, ours = encoder
    rows = [{"input_ids": ids} for ids in core._token_ids(texts)]
    tokens = ours.texts(texts)
    assert [row.ids for row in tokens] == [row["input_ids"] for row in rows]
    same(ours.pad(tokens), core.tokenizer.pad(rows, return_tensors="np"))


def test_what_was_cut_is_told(ranker):
    _, ours = ranker
    short, long = "a b", "a b " * MAX_LENGTH
    assert [row.truncated for row in ours.texts([short, long])] == [False, True]
    assert [row.truncated for row in ours.pairs([short, short, long], [short, long, short])] == [
        False,
        True,
        True,
    ]


def test_rows_of_nothing_make_a_batch(weights, tmp_path):
    new_ranker("bi", weights["gpt2"], seed=1).save(tmp_path)
    tokenizer = Tokenizer(tmp_path)
    inputs = tokenizer.pad(tokenizer.texts(["", ""]))
    assert inputs["input_ids"].tolist() == [[0], [0]]
    assert inputs["attention_mask"].tolist() == [[0], [0]]


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("tokenizer.json", "{", "cannot be read"),
        ("ranker.json", '{"kind": "cross"}', "cannot be read"),
        ("ranker.json", '{"max_length": 3}', "leave no room for text"),
        ("tokenizer_config.json", "{}", "neither a padding nor an end token"),
    ],
)
def test_a_damaged_tokenizer_is_refused(tiny, tmp_path, file, content, says):
    part = shutil.copytree(tiny.ranker, tmp_path / "part")
    (part / file).write_text(content)
    with pytest.raises(BadInput, match=says):
        Tokenizer(part)


def test_a_padding_token_with_properties_is_read(tiny, tmp_path):
    part = shutil.copytree(tiny.ranker, tmp_path / "part")
    about = json.loads((part / "tokenizer_config.json").read_text())
    about["pad_token"] = {"content": about["pad_token"], "lstrip": False}
    (part / "tokenizer_config.json").write_text(json.dumps(about))
    assert Tokenizer(part).pad_id == Tokenizer(tiny.ranker).pad_id
