"""Training dynamics against hand-made logits, and as a fine-tune logs them."""

import shutil

import numpy as np
import pandas as pd
import pytest
from assay.components.core.ranker import open_ranker
from assay.components.core.samples import read_samples
from assay.components.finetune.dynamics import DynamicsLog, summarise

from tests.finetune.test_finetune import samples, train  # noqa: F401 - a fixture


def test_measures_by_hand():
    # Three rows over four epochs: learnt at once, learnt then forgotten twice, never learnt.
    logits = np.array([[2.0, 1.0, 3.0], [2.0, -1.0, 3.0], [2.0, 1.0, 3.0], [2.0, -1.0, 3.0]])
    found = summarise(logits, np.array([1.0, 1.0, 0.0]))
    assert found["forgetting"].tolist() == [0, 2, 0]
    assert found["correctness"].tolist() == [1.0, 0.5, 0.0]
    assert found["aum"].tolist() == [2.0, 0.0, -3.0]
    p = 1 / (1 + np.exp(-np.array([2.0, 1.0, -1.0, 3.0])))
    assert found["confidence"].tolist() == pytest.approx([p[0], (p[1] + p[2]) / 2, 1 - p[3]])
    assert found["variability"].tolist() == pytest.approx([0, (p[1] - p[2]) / 2, 0])
    assert found["el2n"].tolist() == pytest.approx([1 - p[0], 1 - (p[1] + p[2]) / 2, p[3]])
    assert found["loss"][2] == pytest.approx(np.log1p(np.exp(3.0)))
    assert found["epochs"].tolist() == [4, 4, 4]


def test_epochs_that_early_stopping_left_out_do_not_count():
    log = DynamicsLog(2, 3)
    log.seen(0.0, np.array([1, 0]), np.array([0.5, -0.5]))
    log.seen(1.0, np.array([0, 1]), np.array([1.5, 2.5]))
    found = summarise(log.logits, np.array([1.0, 1.0]))
    assert found["aum"].tolist() == [0.5, 1.5]
    assert found["epochs"].tolist() == [2, 2]


def test_a_fine_tune_logs_every_row_of_every_epoch(samples, tiny_encoder, tmp_path):  # noqa: F811
    train(samples, tiny_encoder, tmp_path / "model")
    found = pd.read_parquet(tmp_path / "model" / "dynamics.parquet")
    rows = pd.read_parquet(tmp_path / "model" / "rows.parquet")
    assert found["sample_id"].equals(rows["sample_id"])
    assert (found["epochs"] == 2).all()
    assert np.isfinite(found.drop(columns="sample_id").to_numpy(dtype=float)).all()
    # They are of this training: what it learnt last agrees with the ranker that came out of it.
    table = read_samples(samples / "samples", ["train"]).set_index("sample_id").loc[found["sample_id"]]
    ranker = open_ranker(tmp_path / "model" / "ranker")
    scores = ranker.score(ranker.tokenise(table["context"].tolist(), table["item"].tolist()))
    margin = (2 * table["label"].to_numpy() - 1) * scores
    assert np.corrcoef(margin, found["aum"])[0, 1] > 0.5


def test_a_resumed_fine_tune_keeps_the_epochs_before(samples, tiny_encoder, tmp_path, monkeypatch):  # noqa: F811
    from assay.components.finetune import finetune as step

    monkeypatch.setenv("ASSAY_WORK", str(tmp_path / "work"))
    # Dropout and order are functions of the seed, so a run left in peace logs the same.
    train(samples, tiny_encoder, tmp_path / "whole")
    published = step._publish_merged

    def killed(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(step, "_publish_merged", killed)
    with pytest.raises(KeyboardInterrupt):
        train(samples, tiny_encoder, tmp_path / "model")
    monkeypatch.setattr(step, "_publish_merged", published)
    [work] = (tmp_path / "work").iterdir()
    last = max(work.glob("checkpoint-*"), key=lambda f: int(f.name.split("-")[1]))
    shutil.rmtree(last)  # killed in the second epoch
    train(samples, tiny_encoder, tmp_path / "model")
    resumed, whole = (pd.read_parquet(tmp_path / n / "dynamics.parquet") for n in ("model", "whole"))
    assert (resumed["epochs"] == 2).all()
    pd.testing.assert_frame_equal(resumed, whole, atol=1e-4)
