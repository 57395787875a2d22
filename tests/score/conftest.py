"""Inputs without files: rows whose truth is known, and rankers small enough to differentiate by hand."""

import numpy as np
import pandas as pd
import pytest
import torch
from assay.components.core.manifest import publishing
from assay.components.core.ranker import Ranker, new_ranker
from assay.components.core.samples import sample_ids, write_samples
from assay.components.finetune.adapters import merge, wrap
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


SMALL = 64
"""Rows of a block in these tests."""


class Table:
    """A sample table with vectors and warm-ups on disk, in blocks small enough to shard a few hundred rows.

    Attributes:
        folder: Of the table.
        frame: Its rows.
        features: (n, k) by sample_id order.
        warm_ups: {name: model folder}: a is a cross-encoder, b a bi-encoder, each scores half of the rows;
            target stands for the one that was trained on the target.
        wrong: sample_id of test rows whose label is wrong.
    """

    def __init__(self, folder, frame, features, warm_ups, wrong):
        self.folder, self.frame, self.features = folder, frame, features
        self.warm_ups, self.wrong = warm_ups, wrong

    def written(self, name, frame=None, shards=1) -> tuple[str, str]:
        """Folders of a sample table and of its vectors."""
        frame = self.frame if frame is None else frame
        samples, vectors = (str(self.folder / f"{name}-{what}") for what in ("samples", "vectors"))
        with publishing(samples, relevant_at=0.5) as (folder, _):
            write_samples(frame, folder, shards)
        ids = sorted(frame["sample_id"])
        words = ["likeness"] * self.features.shape[1]
        with publishing(vectors, feature_words=words, trait_words=[]) as (folder, _):
            np.save(folder / "traits.npy", np.zeros((len(ids), 0), dtype=np.float32))
            np.save(folder / "features.npy", self.features.loc[ids].to_numpy(dtype=np.float32))
            pd.DataFrame({"sample_id": ids}).to_parquet(folder / "sample_ids.parquet", index=False)
        return samples, vectors


@pytest.fixture(scope="module")
def table(tmp_path_factory, tiny_encoder):
    folder = tmp_path_factory.mktemp("table")
    rng = np.random.default_rng(3)
    frame = pairs_frame(36, 10)
    truth = (frame["grade"] > 0).to_numpy()
    flipped = rng.random(len(frame)) < 0.15
    samples = rows(frame.assign(row=range(len(frame))), np.where(flipped, ~truth, truth).astype(float))
    place = samples["item_id"].astype(int).map({int(p): i for i, p in enumerate(frame["pid"])}).to_numpy()
    truth, flipped = truth[place], flipped[place]
    split = samples["group_id"].str.extract(r"(\d+)$")[0].astype(int) % 9
    samples["split"] = split.map({0: "target", 1: "target", 2: "test", 3: "validation"}).fillna("train")
    samples["source"] = "test"
    trusted = (samples["split"] == "target").to_numpy()
    samples["label"] = np.where(trusted, truth, samples["label"]).astype(float)
    samples["grade"] = samples["label"]
    direction = rng.normal(size=8)
    features = rng.normal(size=(len(samples), 8)) + np.outer(2 * truth - 1, direction)
    train = samples.loc[samples["split"] == "train", "sample_id"].tolist()
    warm_ups = {}
    for number, (name, kind) in enumerate({"a": "cross", "b": "bi", "target": "cross"}.items()):
        ranker = adapted(new_ranker(kind, tiny_encoder, number))
        warm_ups[name] = str(folder / name)
        with publishing(warm_ups[name]) as (beside, _):
            ranker.network.save_pretrained(beside / "adapter")
            merge(ranker)
            ranker.save(beside / "ranker")
            seen = train[number::2] if name != "target" else []
            pd.DataFrame({"sample_id": seen}, dtype=str).to_parquet(beside / "rows.parquet")
    wrong = set(samples.loc[(samples["split"] == "test") & flipped, "sample_id"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("assay.components.core.samples.BLOCK", SMALL)
        yield Table(folder, samples, pd.DataFrame(features, index=samples["sample_id"]), warm_ups, wrong)
