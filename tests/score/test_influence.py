"""Influence: what its methods promise."""

import numpy as np
import pandas as pd
import pytest
import torch
from assay.components.core.ranker import new_ranker, open_ranker
from assay.components.finetune.adapters import merge, wrap
from assay.components.score import influence
from assay.components.score.gradients import directions
from assay.components.score.inputs import rows_of


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


def test_grad_dot_is_the_product_of_the_losses_gradients(inputs):
    part = inputs.parts[0]
    some = part.rows.subset(range(40))
    names = list(directions.parameters(part.ranker))
    [v] = directions.target_gradients(part.ranker, part.target)
    expected, cosines = np.zeros(40), np.zeros(40)
    with directions.differentiable(part.ranker, names) as weights:
        for i in range(40):
            grads = torch.autograd.grad(part.ranker.losses(some.batch([i])).sum(), weights, allow_unused=True)
            gradient = {n: g for n, g in zip(names, grads, strict=True) if g is not None}
            expected[i] = directions.dot(gradient, v)
            cosines[i] = expected[i] / directions.length(gradient) / directions.length(v)
    found = influence.grad_dot(inputs)[part.index[:40]]
    assert np.allclose(found, expected, atol=0.02 * np.abs(expected).max())
    assert np.allclose(influence.grad_cos(inputs)[part.index[:40]], cosines, atol=1e-3)


def test_influence_under_the_other_label_is_its_negative(inputs):
    """The relabelling what-if: Grad-Dot as labelled less Grad-Dot under the other label."""
    logits, labels = inputs.logits, inputs.labels
    dots = influence.derivatives(inputs, "check", by="task")
    as_labelled = (1 / (1 + np.exp(-logits)) - labels) * dots
    otherwise = (1 / (1 + np.exp(-logits)) - (1 - labels)) * dots
    assert np.allclose(as_labelled - otherwise, influence.influence(inputs))


def test_rows_are_measured_against_their_own_segment_where_the_target_has_enough_of_it():
    target = pd.Series(["red"] * 12 + ["blue"] * 3)
    assert {value: len(rows) for value, rows in influence.target_groups(target).items()} == {"red": 12}


@pytest.mark.parametrize("kind", ["cross", "bi"])
def test_a_merged_ranker_opens_with_its_adapter_apart_again(kind, tiny_encoder, tmp_path, inputs):
    ranker = new_ranker(kind, tiny_encoder, 3)
    wrap(ranker, "lora")
    with torch.no_grad():
        for p in ranker.network.parameters():
            if p.requires_grad:
                p.add_(torch.randn(p.shape, generator=torch.Generator().manual_seed(0)) * 0.05)
    rows = rows_of(ranker, inputs.samples.head(50))
    adapted = ranker.score(rows)
    ranker.network.save_pretrained(tmp_path / "adapter")
    trained = {n: p.detach().clone() for n, p in ranker.network.named_parameters() if p.requires_grad}
    merge(ranker)
    ranker.save(tmp_path / "ranker")
    apart = open_ranker(tmp_path / "ranker", tmp_path / "adapter")
    assert np.allclose(apart.score(rows), adapted, atol=1e-4)
    assert {n for n in directions.parameters(apart, "adapter")} == set(trained)
    for name, p in directions.parameters(apart, "adapter").items():
        assert torch.equal(p, trained[name])


def test_effort_without_an_adapter_says_what_is_missing(planted, inputs):
    from assay.components.score.inputs import Inputs, WarmUp

    bare = [WarmUp(w.name, w.seen, w.open) for w in inputs.warm_ups]
    known, _ = planted
    without = Inputs(known.samples, known.target, known.features, known.target_features, bare, 0.5, 0)
    with pytest.raises(ValueError, match="needs the adapter of warm-up a"):
        influence.effort(without)
