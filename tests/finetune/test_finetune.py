import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from assay.components.core.manifest import publishing, read_manifest
from assay.components.core.ranker import new_ranker, open_ranker
from assay.components.core.samples import read_samples
from assay.components.finetune import finetune as step
from assay.components.finetune.adapters import merge, wrap
from assay.components.finetune.finetune import FinetuneConfig, finetune, finetune_each, rows_of_arm
from assay.components.finetune.trainer import BucketedSampler
from assay.components.ingest.columns import parse_columns
from assay.components.ingest.prepare import IngestConfig, ingest

from tests.conftest import PAIRS_COLUMNS


@pytest.fixture(scope="module")
def samples(tmp_path_factory, pairs_file):
    folder = tmp_path_factory.mktemp("finetune")
    config = IngestConfig(str(pairs_file), columns=parse_columns(PAIRS_COLUMNS))
    ingest(config, *(str(folder / name) for name in ("samples", "texts", "truth")))
    rows = read_samples(folder / "samples", ["train"]).head(96)
    with publishing(folder / "selection") as (beside, _):
        chosen(rows["sample_id"], "challenger", rows["label"]).to_parquet(beside / "selection.parquet")
    return folder


def chosen(ids, arm, label=None, weight=1.0):
    """Rows of an arm as `select` writes them; a label by the row's id where none is given."""
    label = [int(i, 16) % 2 for i in ids] if label is None else label
    return pd.DataFrame({"sample_id": ids, "arm": arm, "label": label, "weight": weight})


def train(samples, tiny_encoder, out, **changes):
    config = FinetuneConfig("challenger", str(tiny_encoder), **({"epochs": 2, "ranker": "cross"} | changes))
    return finetune(config, str(samples / "samples"), str(samples / "selection"), str(out))


@pytest.mark.parametrize("ranker", ["cross", "bi"])
def test_the_merged_ranker_is_published_with_the_rows_it_saw(samples, tiny_encoder, tmp_path, ranker):
    figures = train(samples, tiny_encoder, tmp_path / "model", ranker=ranker)
    assert (figures["train_rows"], figures["train_steps"]) == (96, 12)
    assert [h["epoch"] for h in figures["history"]] == [1, 2]
    manifest = read_manifest(tmp_path / "model")
    assert manifest["reload_difference"] <= 1e-5
    assert not any("lora" in k for k in open_ranker(tmp_path / "model" / "ranker").state_dict())
    assert len(pd.read_parquet(tmp_path / "model" / "rows.parquet")) == 96
    rows = read_samples(samples / "samples", ["validation"])
    merged, apart = (
        r.score(r.tokenise(rows["context"].tolist(), rows["item"].tolist()))
        for r in (
            open_ranker(tmp_path / "model" / "ranker"),
            open_ranker(tmp_path / "model" / "ranker", tmp_path / "model" / "adapter"),
        )
    )
    assert np.allclose(merged, apart, atol=1e-4)
    untrained = new_ranker(ranker, tiny_encoder, 0)
    pairs = untrained.tokenise(["red shoe"], ["green lamp"])
    assert not np.allclose(untrained.score(pairs), open_ranker(tmp_path / "model" / "ranker").score(pairs))


@pytest.mark.parametrize("ranker", ["cross", "bi"])
def test_a_ranker_trained_in_bfloat16_is_compared_and_published_in_single_precision(
    samples, tiny_encoder, tmp_path, monkeypatch, ranker
):
    """Scores in bfloat16 differ by some 1e-3, which the check of the merge would take for a lost layer."""
    compared = []
    monkeypatch.setattr(step, "has_bf16", lambda: True)
    monkeypatch.setattr(step.np, "allclose", lambda a, b, **k: compared.append(abs(a - b).max()) or True)
    train(samples, tiny_encoder, tmp_path / "model", ranker=ranker)
    assert compared[0] < 1e-5


def test_a_frozen_head_is_found_by_the_reload_check(tiny_encoder, samples, tmp_path):
    """The trap of design section 8: what was trained but is not saved changes scores after reload."""
    ranker = new_ranker("cross", tiny_encoder, 0)
    wrap(ranker, "lora")
    validation = read_samples(samples / "samples", ["validation"])
    saved = type(ranker)._save_network

    def forget_the_head(self, folder):
        with torch.no_grad():
            self.network.model.classifier.weight.add_(0.5)
        saved(self, folder)

    type(ranker)._save_network = forget_the_head
    try:
        with pytest.raises(RuntimeError, match="trained but not saved"):
            step._publish_merged(ranker, validation, tmp_path / "ranker")
    finally:
        type(ranker)._save_network = saved


def test_the_adapter_trains_the_head_and_little_else(tiny_encoder):
    ranker = new_ranker("cross", tiny_encoder, 0)
    network = wrap(ranker, "lora")
    trainable = {n for n, p in network.named_parameters() if p.requires_grad}
    assert any("classifier" in n for n in trainable)
    assert all("lora_" in n or "classifier" in n for n in trainable)
    # Every linear layer but the head carries one: 6 a transformer layer, and the pooler.
    assert sum("lora_A" in n for n in trainable) == 2 * 6 + 1
    before = ranker.score(ranker.tokenise(["a"], ["b"]))
    merge(ranker)
    assert np.allclose(ranker.score(ranker.tokenise(["a"], ["b"])), before, atol=1e-6)


def test_training_learns_what_the_words_say(samples, tiny_encoder, tmp_path):
    figures = train(
        samples, tiny_encoder, tmp_path / "m", epochs=6, learning_rate=5e-3, batch_size=8, patience=6
    )
    losses = [h["eval_loss"] for h in figures["history"]]
    assert min(losses) < losses[0]


def test_weights_weigh(tiny_encoder):
    """A row of weight 3 counts as three rows of weight 1."""
    from assay.components.finetune.trainer import RankerTrainer

    ranker = new_ranker("cross", tiny_encoder, 0).eval()
    trainer = RankerTrainer.__new__(RankerTrainer)
    trainer.ranker = ranker
    trainer.args = type("Arguments", (), {"device": torch.device("cpu")})()

    def loss(rows, weights):
        texts = ["red shoe", "lamp"]
        pairs = ranker.tokenise(
            [texts[i] for i in rows], ["shoe"] * len(rows), [1.0 - i for i in rows], weights
        )
        trainer.dynamics = None
        return trainer.compute_loss(None, {"batch": pairs.batch(range(len(rows)))}).item()

    assert loss([0, 1], [3.0, 1.0]) == pytest.approx(loss([0, 0, 0, 1], [1.0] * 4), abs=1e-6)
    assert loss([0, 1], [3.0, 1.0]) != pytest.approx(loss([0, 1], [1.0, 1.0]), abs=1e-4)


def test_a_killed_training_goes_on_from_its_checkpoint_to_the_same_weights(
    samples, tiny_encoder, tmp_path, monkeypatch
):
    train(samples, tiny_encoder, tmp_path / "whole", epochs=3)
    monkeypatch.setenv("ASSAY_WORK", str(tmp_path / "work"))
    original = step.SayProgress.on_step_end

    def killed(self, args, state, control, **kwargs):
        if state.global_step == 9:
            raise KeyboardInterrupt

    monkeypatch.setattr(step.SayProgress, "on_step_end", killed)
    with pytest.raises(KeyboardInterrupt):
        train(samples, tiny_encoder, tmp_path / "resumed", epochs=3)
    assert not (tmp_path / "resumed").exists()
    [checkpoint] = (tmp_path / "work").glob("*/checkpoint-*")
    assert checkpoint.name == "checkpoint-6"
    seen = []

    def counted(self, args, state, control, **kwargs):
        seen.append(state.global_step)
        original(self, args, state, control, **kwargs)

    monkeypatch.setattr(step.SayProgress, "on_step_end", counted)
    train(samples, tiny_encoder, tmp_path / "resumed", epochs=3)
    assert seen[0] == 7
    whole, resumed = (json.loads((tmp_path / n / "manifest.json").read_text()) for n in ("whole", "resumed"))
    assert whole["sha256"] == resumed["sha256"]
    assert not list((tmp_path / "work").iterdir())


def test_an_arm_without_rows_is_named(samples, tiny_encoder, tmp_path):
    config = FinetuneConfig("nobody", str(tiny_encoder))
    with pytest.raises(ValueError, match=r"'nobody' has no rows; the selection has \['challenger'\]"):
        finetune(config, str(samples / "samples"), str(samples / "selection"), str(tmp_path / "m"))


@pytest.mark.parametrize(
    "wrong", [{"ranker": "dual"}, {"adapter": "magic"}, {"epochs": 0}, {"learning_rate": -1.0}]
)
def test_a_wrong_configuration_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        FinetuneConfig("challenger", **wrong)


def test_the_sampler_gives_each_row_once_in_batches_of_like_length():
    lengths = np.random.default_rng(0).integers(5, 100, 1003)
    sampler = BucketedSampler(lengths, 16, seed=3)
    first = list(sampler)
    assert sorted(row for rows in first for row in rows) == list(range(1003))
    assert len(first) == len(sampler) == 63
    padded = sum(len(rows) * lengths[rows].max() for rows in first)
    assert padded < 1.2 * lengths.sum()
    assert list(sampler) == first
    sampler.set_epoch(1)
    assert list(sampler) != first


def test_only_the_arm_of_the_target_trains_on_it_and_on_nothing_else(samples, tiny_encoder, tmp_path):
    """The target is trusted: a ranker that saw it may not be taken for one that did not."""
    table = read_samples(samples / "samples", ["train", "target"])
    of_target = table.loc[table["split"] == "target", "sample_id"]
    arms = {
        "target": of_target,
        "challenger": pd.concat([table.loc[table["split"] == "train", "sample_id"][:20], of_target[:1]]),
    }
    with publishing(tmp_path / "selection") as (beside, _):
        rows = [chosen(ids, arm) for arm, ids in arms.items()]
        pd.concat(rows).to_parquet(beside / "selection.parquet")
    folders = [str(samples / "samples"), str(tmp_path / "selection")]
    finetune(FinetuneConfig("target", str(tiny_encoder), epochs=1), *folders, str(tmp_path / "tuned"))
    assert set(pd.read_parquet(tmp_path / "tuned" / "rows.parquet")["sample_id"]) == set(of_target)
    with pytest.raises(ValueError, match="'challenger': 1 of its rows are no rows of train"):
        finetune(FinetuneConfig("challenger", str(tiny_encoder)), *folders, str(tmp_path / "model"))
    with publishing(tmp_path / "mixed") as (beside, _):
        chosen(arms["challenger"], "target").to_parquet(beside / "selection.parquet")
    folders[1] = str(tmp_path / "mixed")
    with pytest.raises(ValueError, match="'target': 20 of its rows are no rows of target"):
        finetune(FinetuneConfig("target", str(tiny_encoder)), *folders, str(tmp_path / "model"))


def test_labels_are_those_of_the_selection_and_weights_those_of_both(samples, tmp_path):
    table = read_samples(samples / "samples", ["train"]).head(3)
    rows = chosen(table["sample_id"], "challenger", [0.0, 0.25, 1.0], [1.0, 0.5, 2.0])
    with publishing(tmp_path / "selection") as (beside, _):
        rows[::-1].to_parquet(beside / "selection.parquet")
    train, validation = rows_of_arm("challenger", str(samples / "samples"), str(tmp_path / "selection"))
    assert train["sample_id"].tolist() == table["sample_id"].tolist()
    assert train["label"].tolist() == [0.0, 0.25, 1.0]
    assert train["weight"].tolist() == (table["weight"] * [1.0, 0.5, 2.0]).tolist()
    assert set(validation["split"]) == {"validation"}


def test_a_repeat_of_an_arm_is_trained_by_a_seed_of_its_own(samples, tiny_encoder, tmp_path):
    ids = read_samples(samples / "samples", ["train"])["sample_id"][:32]
    with publishing(tmp_path / "selection") as (beside, _):
        pd.concat([chosen(ids, arm) for arm in ("control", "control:1")]).to_parquet(
            beside / "selection.parquet"
        )
    found = {}
    for arm, seed in (("control", 0), ("control", 1), ("control:1", 0)):
        out = tmp_path / f"{arm}-{seed}"
        config = FinetuneConfig(arm, str(tiny_encoder), epochs=1, seed=seed)
        finetune(config, str(samples / "samples"), str(tmp_path / "selection"), str(out))
        found[arm, seed] = read_manifest(out)["sha256"]
    assert found["control:1", 0] == found["control", 1] != found["control", 0]


def test_arms_of_one_task_are_each_what_they_would_be_alone_and_pay_for_themselves(
    samples, tiny_encoder, tmp_path
):
    ids = read_samples(samples / "samples", ["train"])["sample_id"]
    arms = chosen(ids[:48], ["a"] * 24 + ["b"] * 24)
    with publishing(tmp_path / "selection") as (beside, _):
        arms.to_parquet(beside / "selection.parquet")
    folders = str(samples / "samples"), str(tmp_path / "selection")
    config = FinetuneConfig("a", str(tiny_encoder), epochs=1)
    finetune_each(config, ["a", "b"], *folders, str(tmp_path / "models"))
    finetune(FinetuneConfig("b", str(tiny_encoder), epochs=1), *folders, str(tmp_path / "alone"))
    of = {arm: read_manifest(tmp_path / "models" / arm) for arm in "ab"}
    assert of["b"]["sha256"] == read_manifest(tmp_path / "alone")["sha256"]
    assert set(pd.read_parquet(tmp_path / "models" / "a" / "rows.parquet")["sample_id"]) == set(ids[:24])
    # A manifest counts its process's seconds; those of two in one process must not be counted twice.
    assert all(manifest["seconds"] > 0 for manifest in of.values())
    whole = read_manifest(tmp_path / "models")["seconds"]
    assert of["a"]["seconds"] + of["b"]["seconds"] <= whole


def test_what_was_trained_is_not_trained_again_unless_a_label_changed(
    samples, tiny_encoder, tmp_path, monkeypatch, capfd
):
    """A task killed in its second arm, and a later one with an arm more, go on from what is there."""
    monkeypatch.setenv("ASSAY_WORK", str(tmp_path / "work"))
    ids = read_samples(samples / "samples", ["train"])["sample_id"]
    arms = chosen(ids[:48], ["a"] * 24 + ["b"] * 24)

    def trained(arms, names, out):
        with publishing(tmp_path / "selection") as (beside, _):
            arms.to_parquet(beside / "selection.parquet")
        config = FinetuneConfig("a", str(tiny_encoder), epochs=1)
        folders = str(samples / "samples"), str(tmp_path / "selection")
        finetune_each(config, names, *folders, str(tmp_path / out))
        said = capfd.readouterr().err
        return [name for name in names if f"finetune {name}|24 rows" in said]

    begun = []

    def killed(self, args, state, control, **kwargs):
        begun.append(state)
        if len(begun) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(step.SayProgress, "on_train_begin", killed)
        with pytest.raises(KeyboardInterrupt):
            trained(arms, ["a", "b"], "killed")
    assert not (tmp_path / "killed").exists()
    capfd.readouterr()
    assert trained(arms, ["a", "b"], "first") == ["b"]
    assert trained(arms, ["b", "a"], "second") == []
    seconds = [read_manifest(tmp_path / out / "b")["seconds"] for out in ("first", "second")]
    assert seconds[0] == seconds[1] > 0
    file = "b/ranker/model.safetensors"
    assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "second" / file).read_bytes()
    changed = arms.assign(label=arms["label"].where(arms["sample_id"] != ids[30], 0.5))
    assert trained(changed, ["a", "b"], "third") == ["b"]
    assert (
        read_manifest(tmp_path / "third" / "b")["sha256"] != read_manifest(tmp_path / "first" / "b")["sha256"]
    )


def test_no_arms_no_torch(tmp_path):
    code = f"""
import sys
from types import SimpleNamespace
from assay.components.finetune.component import finetune_each
nowhere, there = SimpleNamespace(path="nowhere"), SimpleNamespace(path={str(tmp_path / "models")!r})
finetune_each.python_func(nowhere, nowhere, there, [])
print([name for name in ("torch", "transformers", "peft") if name in sys.modules])
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
    assert read_manifest(tmp_path / "models")["arms"] == []
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["manifest.json"]
