"""Inputs without files: rows whose truth is known, and rankers small enough to differentiate by hand."""

import numpy as np
import pandas as pd
import pytest
import torch
from assay.components.core.ranker import Ranker, new_ranker
from assay.components.core.samples import sample_ids
from assay.components.finetune.adapters import wrap
from assay.components.score.inputs import Inputs, WarmUp
from torch import nn

from tests.conftest import pairs_frame


def rows(frame: pd.DataFrame, labels: np.ndarray) -> pd.DataFrame:
    text = {c: frame[c].astype(str).tolist() for c in ("q", "title", "pid")}
    ids = sample_ids("search", text["q"], text["q"], text["pid"], text["title"], "grade")
    table = pd.DataFrame(
        {
            "sample_id": ids,
            "task": "search",
            "group_id": text["q"],
            "context": text["q"],
            "item_id": text["pid"],
            "item": text["title"],
            "segment": frame["part"].tolist(),
            "label": labels,
            "grade": labels,
            "weight": 1.0,
        }
    )
    return table.sort_values("sample_id").reset_index(drop=True)


class Counts(nn.Module):
    """A ranker's network whose logit is w . x, x being counts of token ids: its gradient is x itself."""

    def __init__(self, width: int):
        super().__init__()
        self.w = nn.Parameter(torch.linspace(-1, 1, width))

    def counts(self, inputs):
        ids, mask = inputs["input_ids"], inputs["attention_mask"]
        return torch.zeros(len(ids), len(self.w)).scatter_add_(1, ids % len(self.w), mask.float())

    def forward(self, inputs):
        return self.counts(inputs) @ self.w


@pytest.fixture
def linear(tiny_encoder):
    tokenizer = new_ranker("cross", tiny_encoder, 0).tokenizer
    ranker = Ranker(Counts(16), tokenizer)
    ranker.towers = lambda contexts, items: [
        [
            {"input_ids": ids, "attention_mask": [1] * len(ids)}
            for ids in tokenizer(contexts, items)["input_ids"]
        ]
    ]
    return ranker


@pytest.fixture(scope="session")
def planted():
    """Two Gaussian clouds of features, one a class; a quarter of the labels flipped. (Inputs, flipped)."""
    rng = np.random.default_rng(0)
    frame = pairs_frame(60, 10)
    truth = rng.integers(0, 2, len(frame)).astype(float)
    flipped = rng.random(len(frame)) < 0.25
    samples = rows(frame, np.where(flipped, 1 - truth, truth))
    order = (
        frame["pid"].astype(str).reset_index().set_index("pid")["index"].loc[samples["item_id"]].to_numpy()
    )
    truth, flipped = truth[order], flipped[order]
    direction = rng.normal(size=8)
    features = (
        rng.normal(size=(len(samples), 8))
        + np.outer(2 * truth - 1, direction / np.linalg.norm(direction)) * 1.7
    )
    target_truth = rng.integers(0, 2, 60).astype(float)
    target = rows(pairs_frame(6, 10, seed=9), target_truth)
    target_features = (
        rng.normal(size=(60, 8))
        + np.outer(2 * target["label"] - 1, direction / np.linalg.norm(direction)) * 1.7
    )
    return Inputs(samples, target, features, target_features, [], 0.5, 0), flipped


def adapted(ranker):
    """With an adapter that does something: as it starts, LoRA's second factor is zero."""
    wrap(ranker, "lora")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, p in ranker.network.named_parameters():
            if "lora_B" in name:
                p.add_(torch.randn(p.shape, generator=generator) * 0.05)
    return ranker.eval()


@pytest.fixture(scope="session")
def inputs(planted, tiny_encoder):
    """The planted rows with two warm-up rankers, of which each has seen a tenth."""
    known, _ = planted
    ids = known.samples["sample_id"].tolist()
    shares = {"a": frozenset(ids[:60]), "b": frozenset(ids[60:120])}
    warm_ups = [
        WarmUp(
            name,
            seen,
            lambda seed=seed: new_ranker("cross", tiny_encoder, seed).eval(),
            lambda seed=seed: adapted(new_ranker("cross", tiny_encoder, seed)),
        )
        for seed, (name, seen) in enumerate(shares.items())
    ]
    tuned = WarmUp("target", frozenset(), lambda: new_ranker("cross", tiny_encoder, 2).eval())
    return Inputs(known.samples, known.target, known.features, known.target_features, warm_ups, 0.5, 0, tuned)
