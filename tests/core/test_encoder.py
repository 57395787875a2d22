"""One vector a text from encoders and decoders, by mean or by the last token."""

import numpy as np
import pytest
import torch
from assay.components.core.errors import BadInput
from assay.components.core.ranker import TextEncoder
from assay.components.core.ranker.encoder import last_pool
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    AutoTokenizer,
    GPT2Config,
    GPT2Model,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2Model,
    T5Config,
    T5EncoderModel,
)

TEXTS = ["red shoe", "a blue kettle of steel", "lamp", "red shoe size 42"]


def letters() -> PreTrainedTokenizerFast:
    """As decoders have it: no marks around a text, no token to pad with, padding asked for on the left."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate(["<|end|>", *alphabet])}
    inner = Tokenizer(models.BPE(vocabulary, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<|end|>", padding_side="left")


@pytest.fixture(params=["bert", "gpt2", "qwen2"])
def checkpoint(request, tiny_encoder, tmp_path):
    """(folder, pooling that fits it)."""
    if request.param == "bert":
        return tiny_encoder, "mean"
    torch.manual_seed(1)
    tokenizer = letters() if request.param == "gpt2" else AutoTokenizer.from_pretrained(tiny_encoder)
    size = len(tokenizer)
    if request.param == "gpt2":
        model = GPT2Model(GPT2Config(vocab_size=size, n_embd=32, n_layer=2, n_head=2, n_positions=128))
    else:
        model = Qwen2Model(
            Qwen2Config(
                vocab_size=size, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
                num_attention_heads=2, num_key_value_heads=1,
            )
        )  # fmt: skip
    model.save_pretrained(tmp_path / "weights")
    tokenizer.save_pretrained(tmp_path / "weights")
    return tmp_path / "weights", "last"


def alone(encoder, text, pooling):
    """A text's vector without a batch around it."""
    ids = encoder.tokenizer(text)["input_ids"]
    with torch.no_grad():
        hidden = encoder.model(input_ids=torch.tensor([ids])).last_hidden_state[0]
    vector = hidden[-1] if pooling == "last" else hidden.mean(0)
    return (vector / vector.norm()).numpy()


@pytest.mark.parametrize("asked", ["", "mean", "last"])
def test_padding_changes_no_vector_and_a_decoder_ends_with_its_last_token(checkpoint, asked):
    folder, fitting = checkpoint
    encoder = TextEncoder(folder, pooling=asked)
    assert encoder.pooling == (asked or fitting)
    vectors = encoder.encode(TEXTS)
    expected = [alone(encoder, text, encoder.pooling) for text in TEXTS]
    assert np.allclose(vectors, expected, atol=1e-5)
    other = TextEncoder(folder, pooling="mean" if encoder.pooling == "last" else "last")
    assert not np.allclose(other.encode(TEXTS), vectors, atol=1e-2)


@pytest.mark.parametrize("asked", ["mean", "last"])
def test_opened_again_it_pools_as_it_was_saved_and_so_does_sentence_transformers(checkpoint, asked, tmp_path):
    from sentence_transformers import SentenceTransformer

    encoder = TextEncoder(checkpoint[0], pooling=asked)
    encoder.save(tmp_path / "saved")
    again = TextEncoder(tmp_path / "saved")
    assert again.pooling == asked
    assert np.array_equal(again.encode(TEXTS), encoder.encode(TEXTS))
    peer = SentenceTransformer(str(tmp_path / "saved"), device="cpu")
    assert np.allclose(peer.encode(TEXTS), encoder.encode(TEXTS), atol=1e-5)


def test_an_empty_text_has_a_vector(checkpoint):
    vectors = TextEncoder(checkpoint[0]).encode(["", "lamp"])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_token_vectors_come_with_the_pass_that_is_made_anyway(tiny_encoder):
    encoder, seen = TextEncoder(tiny_encoder), {}
    vectors = encoder.encode(TEXTS, each=lambda index, hidden: seen.update(zip(index, hidden, strict=True)))
    for number, offsets in enumerate(encoder.offsets(TEXTS)):
        mean = seen[number][: len(offsets)].mean(0)
        assert np.allclose(mean / np.linalg.norm(mean), vectors[number], atol=1e-5)
    start, end = encoder.offsets(TEXTS)[0][2]
    assert TEXTS[0][start:end] == "shoe"


def test_the_last_token_is_found_wherever_padding_stands():
    hidden = torch.arange(6.0).reshape(2, 3, 1)
    mask = torch.tensor([[1, 1, 0], [0, 1, 1]])
    assert last_pool(hidden, mask)[:, 0].tolist() == [1.0, 5.0]


def test_what_cannot_be_pooled_is_refused_in_words(tiny_encoder, tmp_path):
    with pytest.raises(BadInput, match="pooling 'cls': choose mean or last"):
        TextEncoder(tiny_encoder, pooling="cls")
    both = T5Config(vocab_size=50, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    T5EncoderModel(both).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny_encoder).save_pretrained(tmp_path)
    with pytest.raises(BadInput, match="an encoder and a decoder"):
        TextEncoder(tmp_path)
