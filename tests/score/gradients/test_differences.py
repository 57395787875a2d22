"""Finite differences against closed forms and exact products."""

import numpy as np
import pytest
import torch
from assay.components.core.ranker import new_ranker
from assay.components.finetune.adapters import wrap
from assay.components.score.gradients import differences, directions
from assay.components.score.inputs import rows_of
from scipy.stats import spearmanr


def test_a_linear_ranker_has_derivatives_in_closed_form(linear, inputs):
    rows, target = rows_of(linear, inputs.samples), rows_of(linear, inputs.target)
    x = linear.network.counts(rows.batch(range(len(rows))).inputs[0]).numpy()
    xt = linear.network.counts(target.batch(range(len(target))).inputs[0]).numpy()
    w = linear.network.w.detach().numpy()
    # grad L = mean over the target of (sigma(w.x) - y) x
    v = ((1 / (1 + np.exp(-xt @ w)) - target.labels.numpy())[:, None] * xt).mean(0)
    [direction] = directions.target_gradients(linear, target)
    assert np.allclose(direction["w"].numpy(), v, atol=1e-5)
    dots, [way] = differences.directional_derivatives(linear, rows, [direction])
    assert np.allclose(dots[:, 0], x @ v, atol=2e-3 * np.abs(x @ v).max())
    assert (way["way"], way["passes"]) == ("central", 2.0)


@pytest.mark.parametrize("kind", ["cross", "bi"])
@pytest.mark.parametrize("scope", ["all", "adapter"])
@pytest.mark.parametrize("way", ["one-sided", "central"])
def test_differences_are_faithful_and_leave_the_weights_as_they_were(kind, scope, way, tiny_encoder, inputs):
    ranker = new_ranker(kind, tiny_encoder, 3).eval()
    if scope == "adapter":
        wrap(ranker, "lora")
    rows = rows_of(ranker, inputs.samples.head(160))
    vs = directions.target_gradients(ranker, rows_of(ranker, inputs.target), scope=scope)
    before = [p.detach().clone() for p in ranker.network.parameters()]
    logits = ranker.score(rows).astype(np.float64)
    dots, [how] = differences.directional_derivatives(ranker, rows, vs, 0, logits, [way])
    assert how["way"] == way
    assert how["spearman"] >= differences.FAITHFUL
    exact = directions.row_by_row(ranker, rows, vs)
    assert spearmanr(dots[:, 0], exact[:, 0]).statistic > 0.998
    assert all(torch.equal(p, old) for p, old in zip(ranker.network.parameters(), before, strict=True))


def test_many_directions_are_taken_exactly_in_one_pass(tiny_encoder, inputs):
    ranker = new_ranker("cross", tiny_encoder, 3).eval()
    rows, target = rows_of(ranker, inputs.samples.head(40)), rows_of(ranker, inputs.target)
    vs = directions.target_gradients(ranker, target, np.array_split(np.arange(len(target)), 3))
    dots, ways = differences.directional_derivatives(ranker, rows, vs)
    assert [w["way"] for w in ways] == ["ghost"] * 3
    expected = directions.row_by_row(ranker, rows, vs)
    assert np.allclose(dots, expected, atol=2e-4 * np.abs(expected).max())


@pytest.mark.parametrize("kind", ["known", "unknown"])
def test_where_no_step_is_faithful_the_exact_way_is_taken(kind, linear, tiny_encoder, inputs, monkeypatch):
    # Below what float32 weights can hold.
    monkeypatch.setattr(differences, "STEPS", {"one-sided": (1e-12,), "central": (1e-12,)})
    ranker = linear if kind == "unknown" else new_ranker("cross", tiny_encoder, 3).eval()
    rows, target = rows_of(ranker, inputs.samples.head(80)), rows_of(ranker, inputs.target)
    vs = directions.target_gradients(ranker, target)
    dots, [way] = differences.directional_derivatives(ranker, rows, vs)
    assert way["way"] == ("row by row" if kind == "unknown" else "ghost")
    expected = directions.row_by_row(ranker, rows, vs)
    assert np.allclose(dots, expected, atol=2e-4 * np.abs(expected).max())


def test_one_pass_at_another_step_comes_before_two_passes(tiny_encoder, inputs, monkeypatch):
    monkeypatch.setattr(differences, "STEPS", {"one-sided": (1e-12, 0.003), "central": (0.003,)})
    ranker = new_ranker("cross", tiny_encoder, 3).eval()
    rows = rows_of(ranker, inputs.samples.head(80))
    vs = directions.target_gradients(ranker, rows_of(ranker, inputs.target))
    logits = ranker.score(rows).astype(np.float64)
    dots, [way] = differences.directional_derivatives(ranker, rows, vs, logits=logits)
    assert (way["way"], way["step"], way["passes"]) == ("one-sided", 0.003, 1.0)
    assert spearmanr(dots[:, 0], directions.row_by_row(ranker, rows, vs)[:, 0]).statistic >= 0.999
    _, [without] = differences.directional_derivatives(ranker, rows, vs)
    assert (without["way"], without["passes"]) == ("central", 2.0)


def test_weights_move_to_where_the_direction_says_and_back_to_the_bit(tiny_encoder, inputs):
    ranker = new_ranker("cross", tiny_encoder, 3).eval()
    [v] = directions.target_gradients(ranker, rows_of(ranker, inputs.target))
    words = "model.bert.embeddings.word_embeddings.weight"
    assert 0 < int((v[words] != 0).any(1).sum()) < len(v[words])
    named = dict(ranker.network.named_parameters())
    before = {name: p.detach().clone() for name, p in named.items()}
    with differences.moved(ranker, v) as to:
        for by in (0.5, -0.25):
            to(by)
            assert all(torch.equal(named[name], before[name] + by * v[name]) for name in named)
    assert all(torch.equal(named[name], before[name]) for name in named)
