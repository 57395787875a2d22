"""Influence: what its methods promise."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from assay.components.core.ranker import new_ranker, open_ranker
from assay.components.finetune.adapters import merge, wrap
from assay.components.score import influence
from assay.components.score.gradients import directions
from assay.components.score.inputs import rows_of


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


def test_rows_of_no_segment_of_the_target_are_measured_against_all_of_it(inputs):
    samples = inputs.samples.assign(segment=np.where(np.arange(len(inputs.samples)) % 3, "even", "neither"))
    some = replace(inputs, samples=samples, facts={}, kept={}, ways={})
    found, whole = influence.segment_influence(some), influence.influence(inputs)
    neither = (samples["segment"] == "neither").to_numpy()
    assert np.allclose(found[neither], whole[neither], atol=0.02 * np.abs(whole).max())
    assert not np.allclose(found[~neither], whole[~neither], atol=0.02 * np.abs(whole).max())
    assert set(some.facts["segment_influence"]["a"]) == {"even", "all"}


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
