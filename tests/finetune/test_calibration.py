import json

import numpy as np
import pandas as pd
import pytest
from assay.components.core.manifest import publishing, read_manifest
from assay.components.core.ranker import new_ranker, open_ranker
from assay.components.core.samples import read_samples
from assay.components.finetune import finetune as step
from assay.components.finetune.adapters import wrap
from assay.components.finetune.calibration import SCALES, calibrate, platt
from assay.components.finetune.finetune import FinetuneConfig, finetune
from assay.components.ingest.columns import parse_columns
from assay.components.ingest.prepare import IngestConfig, ingest

WORDS = ("red shoe", "blue kettle", "green lamp", "old chair", "tin cup")


def clicks(logits, seed=0):
    return np.random.default_rng(seed).random(len(logits)) < 1 / (1 + np.exp(-logits))


def log_loss(logits, relevant, weights=None):
    return np.average(np.logaddexp(0, logits) - relevant * logits, weights=weights)


def test_the_scale_and_shift_that_were_planted_are_found():
    true = np.random.default_rng(1).normal(-3, 1, 200_000)
    scale, shift = platt(4 * true + 10, clicks(true), np.ones(len(true)))
    assert scale == pytest.approx(1 / 4, rel=0.03)
    assert shift == pytest.approx(-10 / 4, rel=0.03)


def test_a_row_of_weight_three_counts_as_three_and_a_unit_of_weight_as_nothing():
    logits = np.random.default_rng(1).normal(0, 2, 500)
    relevant, times = clicks(logits - 1), 1 + 2 * (np.arange(500) % 2)
    copied = platt(logits.repeat(times), relevant.repeat(times), np.ones(times.sum()))
    weighted = np.array(platt(logits, relevant, times * 1.0))
    # Platt's targets count rows, and there are 1,000 copies of 500 rows.
    assert weighted == pytest.approx(copied, abs=0.02)
    assert np.abs(weighted - platt(logits, relevant, np.ones(500))).max() > 0.04
    assert weighted == pytest.approx(platt(logits, relevant, times / 300), abs=1e-5)


def test_a_ranker_of_the_wrong_order_keeps_its_order_and_says_the_rate():
    logits = np.random.default_rng(1).normal(0, 3, 4000)
    scale, shift = platt(logits, clicks(-logits - 2), np.ones(4000))
    assert scale == SCALES[0]
    assert 1 / (1 + np.exp(-shift)) == pytest.approx(clicks(-logits - 2).mean(), abs=0.01)


def test_collapsed_scores_stay_collapsed():
    """Though a scale of thousands would have the lower log loss: the gate must still see what they are."""
    logits = np.random.default_rng(1).normal(0, 1e-6, 1000)
    scale, shift = platt(logits, clicks(1e6 * logits), np.ones(1000))
    assert np.std(scale * logits + shift) < 1e-4


def test_two_clicks_that_happen_to_lie_on_top_are_not_taken_for_certain():
    logits = np.linspace(-20, 20, 300)
    scale, shift = platt(logits, logits > 19.8, np.ones(300))
    assert 2 / 300 < 1 / (1 + np.exp(-(scale * 20 + shift))) < 0.8


@pytest.fixture(params=["cross", "bi"])
def ranker(request, tiny_encoder):
    return new_ranker(request.param, tiny_encoder, seed=1)


def held_of(ranker, weights=None):
    texts = [(a, b) for a in WORDS for b in WORDS]
    return ranker.tokenise([a for a, _ in texts], [b for _, b in texts], weights=weights)


@pytest.mark.parametrize("adapted", [False, True])
def test_what_is_folded_in_is_what_scores_from_then_on(ranker, adapted):
    if adapted:
        wrap(ranker, "lora")
    held = held_of(ranker, np.where(np.arange(25) < 5, 4.0, 1.0))
    before = ranker.score(held)
    relevant = np.arange(25) % 5 == 0
    found = calibrate(ranker, held, relevant)
    after = ranker.score(held)
    assert np.allclose(after, found["scale"] * before + found["shift"], atol=1e-5)
    assert (found["rows"], found["positives"]) == (25, 5)
    weights = held.weights.numpy()
    assert found["log_loss_before"] == pytest.approx(log_loss(before, relevant, weights), abs=1e-6)
    assert found["log_loss_after"] == pytest.approx(log_loss(after, relevant, weights), abs=1e-5)
    assert found["log_loss_after"] < found["log_loss_before"]


@pytest.mark.parametrize("wrong", ["one label", "no gain", "no bias"])
def test_nothing_is_changed_where_it_cannot_help_and_why_is_said(ranker, wrong):
    held, relevant = held_of(ranker), np.arange(25) % 5 == 0
    if wrong == "one label":
        relevant = np.zeros(25, dtype=bool)
    if wrong == "no gain":
        # Beside the optimum of Platt's targets, towards that of the outcomes themselves.
        for _ in range(8):
            calibrate(ranker, held, relevant)
        ranker.last_layer.bias.data.add_(log_odds_off(ranker, held, relevant))
    if wrong == "no bias":
        ranker.last_layer.bias = None
    before = ranker.score(held)
    found = calibrate(ranker, held, relevant)
    assert (found["scale"], found["shift"]) == (1.0, 0.0)
    assert found["log_loss_after"] == found["log_loss_before"]
    assert {"one label": "one label", "no gain": "not below", "no bias": "no bias"}[wrong] in found[
        "unchanged"
    ]
    assert np.array_equal(ranker.score(held), before)


def log_odds_off(ranker, held, relevant):
    """What to add so that the mean is that of the outcomes, which Platt's targets are a little above."""
    at = ranker.score(held).astype(np.float64)
    steps = np.linspace(-1, 1, 2001)
    return steps[np.argmin([log_loss(at + s, relevant) for s in steps])]


@pytest.fixture(scope="module")
def ads(tmp_path_factory):
    """(folder) A table of ads whose clicks are one in five, and an arm that has as many clicks as not."""
    folder = tmp_path_factory.mktemp("ads")
    rng = np.random.default_rng(0)
    rows = [
        (f"{a} {n}", b, b == WORDS[0] and rng.random() < 0.9)
        for n in range(40)
        for a in WORDS[:3]
        for b in WORDS
    ]
    table = pd.DataFrame(rows, columns=["query", "item", "label"]).astype({"label": int})
    table.to_parquet(folder / "ads.parquet")
    config = IngestConfig(
        str(folder / "ads.parquet"), task="ads", columns=parse_columns("query=query,item=item,click=label")
    )
    ingest(config, *(str(folder / name) for name in ("samples", "texts", "truth")))
    train = read_samples(folder / "samples", ["train"])
    each = [train[train["label"] == label].head(40) for label in (0, 1)]
    arm = pd.concat(each)[["sample_id", "label"]].assign(arm="challenger", weight=1.0)
    with publishing(folder / "selection") as (beside, _):
        arm.to_parquet(beside / "selection.parquet")
    return folder


def trained(ads, samples, tiny_encoder, out, ranker):
    config = FinetuneConfig("challenger", str(tiny_encoder), ranker, epochs=1)
    finetune(config, str(ads / samples), str(ads / "selection"), str(out))
    return read_manifest(out)


@pytest.mark.parametrize("ranker", ["cross", "bi"])
def test_a_ranker_of_ads_is_published_calibrated_by_all_validation_rows(
    ads, tiny_encoder, tmp_path, ranker, capfd
):
    manifest = trained(ads, "samples", tiny_encoder, tmp_path / "model", ranker)
    found = manifest["calibration"]
    held = read_samples(ads / "samples", ["validation"])
    assert (found["rows"], found["positives"]) == (len(held), int(held["label"].sum()))
    assert f"calibrated on {len(held)} validation rows" in capfd.readouterr().err
    texts = held["context"].tolist(), held["item"].tolist()
    scores = []
    for adapter in (None, tmp_path / "model" / "adapter"):
        opened = open_ranker(tmp_path / "model" / "ranker", adapter)
        scores.append(opened.score(opened.tokenise(*texts)))
    assert np.allclose(*scores, atol=1e-4)
    loss = log_loss(scores[0].astype(float), held["label"].to_numpy(), held["weight"].to_numpy())
    assert loss == pytest.approx(found["log_loss_after"], abs=1e-5)
    assert found["log_loss_after"] < found["log_loss_before"] - 0.05
    mean = np.mean(1 / (1 + np.exp(-scores[0])))
    assert mean == pytest.approx(held["label"].mean(), abs=0.02)


def test_a_ranker_of_another_metric_is_as_it_was(ads, tiny_encoder, tmp_path, monkeypatch):
    """The same rows under another metric: the weights are those of a training without calibration."""
    facts = json.loads((ads / "samples" / "manifest.json").read_text())
    searched = {**facts, "metric": "auc"}
    real = step.read_manifest
    monkeypatch.setattr(
        step, "read_manifest", lambda at: searched if str(at).endswith("samples") else real(at)
    )
    manifest = trained(ads, "samples", tiny_encoder, tmp_path / "search", "bi")
    assert "calibration" not in manifest
    monkeypatch.setattr(step, "read_manifest", real)
    monkeypatch.setattr(step, "calibrate", lambda *a: {"unchanged": "on purpose"})
    trained(ads, "samples", tiny_encoder, tmp_path / "plain", "bi")
    files = [
        {str(f.relative_to(at)): f.read_bytes() for f in sorted(at.rglob("*.safetensors"))}
        for at in (tmp_path / "search", tmp_path / "plain")
    ]
    assert files[0] == files[1]
    assert len(files[0]) == 3
