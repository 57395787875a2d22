"""A tagger learnt from the simulated shop's own catalogue: held to what the simulator knows."""

import numpy as np
import pytest
import torch
from assay.components.core.checkpoints import ENCODER, resolve
from assay.components.core.errors import BadInput
from assay.components.core.ranker import TextEncoder
from assay.components.embed.agreement import same, tag_agreement
from assay.components.embed.labelling import lower_words, words_of
from assay.components.embed.tagger import KINDS, _tied, learn, located
from assay.components.embed.token_classifier import kind_of, tag_by_checkpoint
from assay.examples.store import StoreConfig, simulate
from transformers import AutoTokenizer, BertForTokenClassification


@pytest.fixture(scope="module")
def shop():
    """(encoder, what is known of the titles learnt from, of titles of combinations never seen, tagger)."""
    items = simulate(StoreConfig(queries=30)).items.rename(columns={"line": "type"})
    known = {row["title"]: {k: row[k] for k in KINDS} for row in items.to_dict("records")}
    titles = list(known)
    learnt = {t: known[t] for t in titles[:300]}
    seen = {tuple(k.values()) for k in learnt.values()}
    held = {t: known[t] for t in titles[300:700] if tuple(known[t].values()) not in seen}
    encoder = TextEncoder(resolve(ENCODER))
    return encoder, learnt, held, learn(encoder, learnt, [])


def tagged(encoder, tagger, texts):
    said = [{} for _ in texts]
    encoder.encode(texts, each=tagger.watch(encoder, texts, said))
    return said


def test_titles_of_unseen_combinations_are_tagged(shop):
    encoder, _, held, tagger = shop
    assert len(held) > 300
    said = tagged(encoder, tagger, list(held))
    right = wrong = missed = 0
    for found, (title, known) in zip(said, held.items(), strict=True):
        words = lower_words(title)
        expected = {(k, " ".join(words[a:b])) for a, b, k in located(title, known)}
        got = {(k, v) for k, values in found.items() for v in values}
        # What is said in words of the shop's own is neither asked for nor held against it.
        silent = {k for k in KINDS if k not in {kind for kind, _ in expected}}
        got = {(k, v) for k, v in got if k not in silent}
        right, wrong, missed = (
            right + len(got & expected),
            wrong + len(got - expected),
            missed + len(expected - got),
        )
    assert 2 * right / (2 * right + wrong + missed) > 0.85


def test_people_type_in_lower_case(shop):
    encoder, _, held, tagger = shop
    title = next(t for t, k in held.items() if len(located(t, k)) == 4)
    assert {k: v for k, v in tagged(encoder, tagger, [title.lower()])[0].items() if k != "type"} == {
        k: v for k, v in tagged(encoder, tagger, [title])[0].items() if k != "type"
    }


def test_known_values_are_found_as_words_the_longest_first():
    known = {"colour": "Blue", "type": "blue jeans", "size": "42", "brand": "Absent"}
    assert located("Blue blue JEANS 142 42", known) == [(1, 3, "type"), (0, 1, "colour"), (4, 5, "size")]


def test_words_that_go_with_one_value_alone_are_known():
    black, white = {"colour": "black"}, {"colour": "white"}
    titles = {"nox shoe 1": black, "nox boot 2": black, "albo shoe 1": white}
    tied = _tied(titles)
    assert tied["colour", "nox"] == "black"
    assert ("colour", "shoe") not in tied
    assert ("colour", "boot") not in tied  # seen once: says nothing


def test_too_few_titles_are_refused(shop):
    with pytest.raises(ValueError, match="1 titles say an attribute"):
        learn(shop[0], {"Red shoe": {"colour": "red"}, "Lamp": {"colour": "blue"}}, [])


def test_agreement_of_query_and_title():
    said = [
        {"colour": ("blakc",)},
        {"colour": ("nox",)},
        {"colour": ("red",)},
        {},
        {"size": ("41",)},
        {"size": ("42",)},
    ]
    left, right = np.array([0, 0, 0, 3, 4]), np.array([1, 2, 3, 1, 5])
    found = tag_agreement(("colour", "size"), said, {1: {"colour": "Black"}}, left, right)
    # The catalogue knows that nox is black; a typo is forgiven, another size is not.
    assert found["colour of query and item"].tolist() == [1, -1, 0, 0, 0]
    assert found["size of query and item"].tolist() == [0, 0, 0, 0, -1]
    assert found["the query names a colour"].tolist() == [1, 1, 1, 0, 0]
    assert found["the title names a colour"].tolist() == [1, 1, 0, 1, 0]
    assert same("backpack", "bakcpack")
    assert not same("26cm", "25cm")


@pytest.fixture(scope="module")
def checkpoint(tiny_encoder, tmp_path_factory):
    """A token classifier that has learnt ten colours, labels as checkpoints name them."""
    torch.manual_seed(0)
    names = ["O", "B-COLOR", "I-COLOR"]
    model = BertForTokenClassification.from_pretrained(
        tiny_encoder,
        num_labels=3,
        id2label=dict(enumerate(names)),
        label2id={n: i for i, n in enumerate(names)},
    )
    tokenizer = AutoTokenizer.from_pretrained(tiny_encoder)
    texts = [f"{c} {t}" for c in ("red", "green", "blue", "black") for t in ("shoe", "lamp", "tent", "desk")]
    inputs = tokenizer(texts, return_tensors="pt", padding=True)
    labels = torch.zeros_like(inputs["input_ids"])
    labels[:, 1] = 1
    optimiser = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(40):
        optimiser.zero_grad()
        model(**inputs, labels=labels).loss.backward()
        optimiser.step()
    folder = tmp_path_factory.mktemp("token") / "classifier"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_token_classification_checkpoint_tags_by_path(checkpoint):
    kinds, said = tag_by_checkpoint(checkpoint, ["Red shoe", "a desk", "", "blue lamp"])
    assert kinds == ("colour",)
    assert said[0] == {"colour": ("red",)}
    assert said[3] == {"colour": ("blue",)}
    assert said[2] == {}


def test_labels_are_read_as_checkpoints_write_them(tiny_encoder, tmp_path):
    assert [kind_of(n) for n in ("O", "B-COLOR", "I_Brand", "PRODUCT")] == [
        ("O", ""), ("B", "colour"), ("I", "brand"), ("", "type"),
    ]  # fmt: skip
    BertForTokenClassification.from_pretrained(tiny_encoder, num_labels=2).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny_encoder).save_pretrained(tmp_path)
    with pytest.raises(BadInput, match="its labels have no names"):
        tag_by_checkpoint(tmp_path, ["red"])


def test_every_word_of_a_long_title_has_a_tag(shop):
    encoder, _, _, tagger = shop
    text = "red shoe " * 100
    assert len(words_of(text)) == 200
    assert tagged(encoder, tagger, [text])[0]["colour"][0] == "red"
