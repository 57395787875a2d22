"""Reducible holdout loss: what the target teaches and the warm-ups do not know."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from assay.components.core.manifest import read_manifest
from assay.components.core.samples import read_samples
from assay.components.finetune.finetune import FinetuneConfig, finetune
from assay.components.ingest.columns import parse_columns
from assay.components.ingest.prepare import IngestConfig, ingest
from assay.components.score import dynamics
from assay.components.score.methods import compute
from assay.components.score.reading import TUNED, read_inputs
from assay.components.select.select import warm_up_shares
from assay.examples.store import StoreConfig, simulate, write
from sklearn.metrics import roc_auc_score


def test_it_is_the_loss_of_the_warm_up_less_that_of_the_tuned_ranker(inputs):
    tuned = inputs.tuned.open()
    rows = inputs.samples
    logits = tuned.score(tuned.tokenise(rows["context"].tolist(), rows["item"].tolist())).astype(float)
    probability = 1 / (1 + np.exp(-logits))
    left = -np.log(np.where(inputs.labels > 0.5, probability, 1 - probability))
    assert np.allclose(dynamics.learnability(inputs), dynamics.loss(inputs) - left, atol=1e-6)


def test_the_tuned_ranker_scores_no_row_in_any_other_method(inputs):
    assert TUNED not in set(inputs.scorer)
    without = dataclasses.replace(inputs, tuned=None, kept={})
    assert np.array_equal(dynamics.loss(without), dynamics.loss(inputs))


def test_without_a_ranker_tuned_on_the_target_it_says_what_to_do(inputs):
    with pytest.raises(ValueError, match="no ranker was trained on the target.*warm-up `target`"):
        compute(dataclasses.replace(inputs, tuned=None), "learnability")


@pytest.mark.slow
def test_wrong_labels_are_not_learnable(tmp_path):
    """Rankers of MiniLM, trained on shares of a store's rows and on its target; a third of labels flipped."""
    write(simulate(StoreConfig(queries=300)), tmp_path / "store")
    names = {n: str(tmp_path / n) for n in ("samples", "texts", "truth", "shares", "vectors")}
    columns = parse_columns("query=query,item=title,label=grade")
    config = IngestConfig(
        str(tmp_path / "store" / "judgments.parquet"),
        columns=columns,
        sample=2000,
        test_sample=100,
        noise=0.3,
    )
    ingest(config, names["samples"], names["texts"], names["truth"])
    warm_up_shares(names["samples"], names["shares"], 0.1, 0, ["a", "b", "target"])
    for arm in ("a", "b", "target"):
        finetune(FinetuneConfig(arm, epochs=2), names["samples"], names["shares"], str(tmp_path / arm))
    samples = read_samples(names["samples"])
    (tmp_path / "vectors").mkdir()
    samples[["sample_id"]].to_parquet(tmp_path / "vectors" / "sample_ids.parquet")
    np.save(tmp_path / "vectors" / "features.npy", np.zeros((len(samples), 1), dtype=np.float32))
    np.save(tmp_path / "vectors" / "traits.npy", np.zeros((len(samples), 0), dtype=np.float32))
    (tmp_path / "vectors" / "manifest.json").write_text('{"feature_words": ["none"], "trait_words": []}')
    warm_ups = {name: str(tmp_path / name) for name in ("a", "b", "target")}
    relevant_at = read_manifest(names["samples"])["relevant_at"]
    inputs = read_inputs(names["samples"], names["vectors"], warm_ups, relevant_at, 0)
    assert inputs.tuned.seen == set(inputs.target["sample_id"])
    truth = pd.read_parquet(tmp_path / "truth" / "truth.parquet").set_index("sample_id")
    flipped = truth.loc[inputs.samples["sample_id"], "flipped"].to_numpy()
    found = roc_auc_score(flipped, -dynamics.learnability(inputs))
    print("AUROC", found, "by loss", roc_auc_score(flipped, dynamics.loss(inputs)))
    assert found > 0.6
