"""Influence against closed forms and exact gradients."""

import numpy as np
import pytest
import torch
from assay.components.core.ranker import Ranker, new_ranker
from assay.components.score import influence
from assay.components.score.inputs import rows_of
from scipy.stats import spearmanr
from torch import nn


class Linear(nn.Module):
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
    ranker = Ranker(Linear(16), tokenizer)
    ranker.towers = lambda contexts, items: [
        [
            {"input_ids": ids, "attention_mask": [1] * len(ids)}
            for ids in tokenizer(contexts, items)["input_ids"]
        ]
    ]
    return ranker


def test_a_linear_ranker_has_influence_in_closed_form(linear, inputs):
    rows, target = rows_of(linear, inputs.samples), rows_of(linear, inputs.target)
    x = linear.network.counts(rows.batch(range(len(rows))).inputs[0]).numpy()
    xt = linear.network.counts(target.batch(range(len(target))).inputs[0]).numpy()
    w = linear.network.w.detach().numpy()
    # grad L = mean over the target of (sigma(w.x) - y) x
    v = ((1 / (1 + np.exp(-xt @ w)) - target.labels.numpy())[:, None] * xt).mean(0)
    [direction] = influence.target_gradient(linear, target)
    assert np.allclose(direction.numpy(), v, atol=1e-5)
    dots, facts = influence.directional_derivatives(linear, rows, [direction], seed=0)
    assert np.allclose(dots, x @ v, atol=2e-3 * np.abs(x @ v).max())
    assert facts["spearman"] >= influence.FAITHFUL
    assert not facts["exact"]


@pytest.mark.parametrize("kind", ["cross", "bi"])
def test_finite_differences_agree_with_one_backward_pass_a_row(kind, tiny_encoder, inputs):
    ranker = new_ranker(kind, tiny_encoder, 3).eval()
    rows = rows_of(ranker, inputs.samples.head(120))
    direction = influence.target_gradient(ranker, rows_of(ranker, inputs.target))
    before = [p.detach().clone() for p in ranker.parameters()]
    dots, _ = influence.directional_derivatives(ranker, rows, direction, seed=0)
    assert spearmanr(dots, influence.exact_dots(ranker, rows, direction)).statistic > 0.999
    assert all(torch.equal(p, old) for p, old in zip(ranker.parameters(), before, strict=True))


def test_training_on_proponents_lowers_the_targets_loss(tiny_encoder, inputs):
    """What influence promises: a small step on the best rows helps the target, one on the worst hurts it."""
    after = {}
    scores = influence.influence(inputs)
    rows = inputs.scored_by(inputs.warm_ups[0])
    order = rows[np.argsort(-scores[rows])]
    for name, chosen in {"best": order[:40], "worst": order[-40:], "none": order[:0]}.items():
        ranker = inputs.warm_ups[0].open()
        if len(chosen):
            pairs = rows_of(ranker, inputs.samples.iloc[chosen])
            ranker.requires_grad_(True)
            loss = ranker.losses(pairs.batch(range(len(pairs)))).mean()
            with torch.no_grad():
                for p, g in zip(
                    ranker.parameters(),
                    torch.autograd.grad(loss, list(ranker.parameters()), allow_unused=True),
                    strict=True,
                ):
                    if g is not None:
                        p.sub_(g, alpha=0.01)
        target = rows_of(ranker, inputs.target)
        with torch.no_grad():
            after[name] = float(ranker.losses(target.batch(range(len(target)))).mean())
    assert after["best"] < after["none"] < after["worst"]


def test_where_no_step_is_faithful_the_exact_way_is_taken(linear, inputs, monkeypatch):
    monkeypatch.setattr(influence, "STEPS", (1e-12,))  # below what float32 weights can hold
    rows, target = rows_of(linear, inputs.samples.head(80)), rows_of(linear, inputs.target)
    direction = influence.target_gradient(linear, target)
    dots, facts = influence.directional_derivatives(linear, rows, direction, seed=0)
    assert facts["exact"]
    assert np.array_equal(dots, influence.exact_dots(linear, rows, direction))
