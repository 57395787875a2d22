"""Metagradients against training runs in which a row's share really was another."""

import numpy as np
import pytest
import torch
from assay.components.core.ranker import new_ranker
from assay.components.score.gradients import metagradient as meta
from assay.components.score.gradients.directions import parameters
from assay.components.score.inputs import rows_of
from scipy.stats import spearmanr

from tests.score.conftest import adapted

RECIPE = meta.Recipe(epochs=2, batch_size=8, learning_rate=3e-3, eps=1e-4)


@pytest.fixture(params=["cross", "bi"])
def work(request, tiny_encoder, inputs):
    """(ranker with an adapter, rows, target)."""
    ranker = adapted(new_ranker(request.param, tiny_encoder, 3))
    return ranker, rows_of(ranker, inputs.samples.head(32)), rows_of(ranker, inputs.target)


def loss_after(ranker, rows, target, shares) -> float:
    weights = list(parameters(ranker, "adapter").values())
    before = [w.detach().clone() for w in weights]
    meta.train(ranker, rows, RECIPE, shares)
    logits, labels = ranker.score(target).astype(np.float64), target.labels.numpy()
    with torch.no_grad():
        for w, old in zip(weights, before, strict=True):
            w.copy_(old)
    return float(np.mean(np.logaddexp(0, logits) - labels * logits))


def test_it_is_the_derivative_of_the_loss_after_training(work):
    ranker, rows, target = work
    found = meta.metagradient(ranker, rows, target, RECIPE)
    measured = []
    for row in range(0, 32, 3):
        sides = []
        for by in (0.05, -0.05):
            shares = np.ones(32)
            shares[row] += by
            sides.append(loss_after(ranker, rows, target, shares))
        measured.append((sides[0] - sides[1]) / 0.1)
    assert np.allclose(found[::3], measured, atol=0.05 * np.abs(measured).max())


def test_states_that_are_computed_again_are_the_same(work, monkeypatch):
    ranker, rows, target = work
    flags = [p.requires_grad for p in ranker.network.parameters()]
    before = [p.detach().clone() for p in ranker.network.parameters()]
    kept = meta.metagradient(ranker, rows, target, RECIPE)
    monkeypatch.setattr(meta, "MEMORY", 0)
    assert np.array_equal(meta.metagradient(ranker, rows, target, RECIPE), kept)
    assert all(torch.equal(p, old) for p, old in zip(ranker.network.parameters(), before, strict=True))
    assert [p.requires_grad for p in ranker.network.parameters()] == flags


def test_it_tells_what_leaving_rows_out_does(work):
    ranker, rows, target = work
    scores = meta.metagradient(ranker, rows, target, RECIPE)
    rng = np.random.default_rng(0)
    kept = [~np.isin(np.arange(32), rng.permutation(32)[:4]) for _ in range(16)]
    losses = [loss_after(ranker, rows, target, k.astype(float)) for k in kept]
    assert spearmanr([scores[k].sum() for k in kept], losses).statistic > 0.7


def test_a_row_without_a_share_owes_nothing_and_changes_nothing(work):
    ranker, rows, target = work
    shares = (np.arange(32) % 2).astype(float)
    found = meta.metagradient(ranker, rows, target, RECIPE, shares)
    assert not found[::2].any()
    assert np.abs(found[1::2]).min() > 0
    wrong = meta.Pairs(rows.towers, rows._pad, np.where(shares, rows.labels.numpy(), 1 - rows.labels.numpy()))
    assert loss_after(ranker, rows, target, shares) == loss_after(ranker, wrong, target, shares)
