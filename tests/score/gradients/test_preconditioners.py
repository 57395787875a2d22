"""Preconditioners against brute force and closed forms."""

import numpy as np
import pytest
import torch
from assay.components.core.ranker import Ranker, new_ranker
from assay.components.score.gradients import directions, preconditioners
from assay.components.score.inputs import rows_of
from torch import nn


class OneLayer(nn.Module):
    """One linear layer from token counts to a logit, weights zero: every probability is a half."""

    def __init__(self, width: int):
        super().__init__()
        self.layer = nn.Linear(width, 1)
        nn.init.zeros_(self.layer.weight)
        nn.init.zeros_(self.layer.bias)

    def counts(self, inputs):
        ids, mask = inputs["input_ids"], inputs["attention_mask"]
        return torch.zeros(len(ids), 16).scatter_add_(1, ids % 16, mask.float())

    def forward(self, inputs):
        return self.layer(self.counts(inputs))[:, 0]


@pytest.fixture
def one_layer(linear):
    ranker = Ranker(OneLayer(16), linear.tokenizer)
    ranker.towers = linear.towers
    return ranker.eval()


def draws(ranker, rows, seed) -> np.ndarray:
    """The labels that a preconditioner draws from the ranker."""
    uniform = torch.rand(len(rows), generator=torch.Generator().manual_seed(seed)).numpy()
    return (uniform < 1 / (1 + np.exp(-ranker.score(rows)))).astype(np.float64)


def mean_of(tensors) -> float:
    return sum(float(t.sum()) for t in tensors.values()) / sum(t.numel() for t in tensors.values())


def test_ekfac_is_the_inverse_fisher_of_one_layer_in_closed_form(one_layer, inputs):
    rows = rows_of(one_layer, inputs.samples.head(preconditioners.CURVED))
    names = list(directions.parameters(one_layer))
    [v] = directions.target_gradients(one_layer, rows_of(one_layer, inputs.target))
    found = preconditioners.ekfac(one_layer, rows, names)(v)
    x = one_layer.network.counts(rows.batch(range(len(rows))).inputs[0]).numpy().astype(np.float64)
    x = np.column_stack([x, np.ones(len(x))])
    curvature = 0.25 * x.T @ x / len(x)  # (sigma - y)^2 is 1/4 whatever the label drawn
    damped = curvature + preconditioners.DAMPING * np.trace(curvature) / len(curvature) * np.eye(17)
    flat = np.concatenate([v["layer.weight"].numpy()[0], v["layer.bias"].numpy()])
    expected = np.linalg.solve(damped, flat)
    assert np.allclose(found["layer.weight"].numpy()[0], expected[:-1], rtol=1e-2, atol=1e-4)
    assert found["layer.bias"].numpy()[0] == pytest.approx(expected[-1], rel=1e-2)


@pytest.mark.parametrize("kind", ["cross", "bi"])
def test_the_diagonal_fisher_is_the_mean_of_squared_gradients(kind, tiny_encoder, inputs):
    ranker = new_ranker(kind, tiny_encoder, 3).eval()
    rows = rows_of(ranker, inputs.samples.head(20))
    named = directions.parameters(ranker)
    ones = {name: torch.ones_like(p) for name, p in named.items()}
    found = preconditioners.fisher(ranker, rows, list(named), seed=5)(ones)
    drawn = draws(ranker, rows, 5)
    squares = {name: torch.zeros_like(p, dtype=torch.float64) for name, p in named.items()}
    with directions.differentiable(ranker, list(named)) as weights:
        for i in range(len(rows)):
            logit = ranker.logits(rows.batch([i])).sum()
            error = float(torch.sigmoid(logit.detach())) - drawn[i]
            for name, g in zip(named, torch.autograd.grad(logit, weights, allow_unused=True), strict=True):
                if g is not None:
                    squares[name] += (error * g.double()).pow(2) / len(rows)
    floor = preconditioners.FLOOR * mean_of(squares)
    for name, square in squares.items():
        if square.any():
            expected = 1 / (square + preconditioners.DAMPING * square.mean() + floor)
            assert torch.allclose(found[name].double(), expected, rtol=5e-3), name


def test_adam_divides_by_the_root_of_the_second_moment(tiny_encoder, inputs):
    ranker = new_ranker("cross", tiny_encoder, 3).eval()
    rows = rows_of(ranker, inputs.samples.head(48))
    named = directions.parameters(ranker)
    ones = {name: torch.ones_like(p) for name, p in named.items()}
    found = preconditioners.adam(ranker, rows, list(named), batch_size=48)(ones)
    [gradient] = directions.target_gradients(ranker, rows)  # of the one batch that all rows are
    floor = preconditioners.FLOOR * mean_of({name: g.abs() for name, g in gradient.items()})
    for name, g in gradient.items():
        expected = 1 / (g.abs() + preconditioners.DAMPING * g.abs().mean() + floor)
        assert torch.allclose(found[name], expected, rtol=1e-2), name


@pytest.mark.parametrize("name", preconditioners.PRECONDITIONERS)
def test_each_keeps_the_shape_points_downhill_and_repeats_itself(name, tiny_encoder, inputs):
    ranker = new_ranker("bi", tiny_encoder, 3).eval()
    rows, target = rows_of(ranker, inputs.samples.head(64)), rows_of(ranker, inputs.target)
    [v] = directions.target_gradients(ranker, target)
    one, two = (preconditioners.PRECONDITIONERS[name](ranker, rows, list(v), 0)(v) for _ in range(2))
    assert {k: t.shape for k, t in one.items()} == {k: t.shape for k, t in v.items()}
    assert all(torch.isfinite(t).all() and torch.equal(t, two[k]) for k, t in one.items())
    assert directions.dot(v, one) > 0  # positive definite, so still an ascent direction
