"""One contract for every method, whatever its family."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from assay.components.score import neighbours
from assay.components.score.gradients import directions
from assay.components.score.inputs import Inputs, rows_of
from assay.components.score.methods import METHODS, NEEDS, compute
from sklearn.metrics import roc_auc_score

from tests.score.test_shards import scored


def again(inputs: Inputs, **changed) -> Inputs:
    """The same evidence, nothing of it computed yet."""
    return replace(inputs, facts={}, kept={}, reference={}, ways={}, **changed)


@pytest.fixture(scope="module")
def computed(inputs):
    return {name: compute(inputs, name) for name in METHODS}


@pytest.fixture(scope="module")
def files(table):
    """Scores by all methods of one table in one shard, and of its shuffled rows in three."""
    methods = list(METHODS)
    shuffled = table.frame.sample(frac=1, random_state=0)
    return [
        pd.read_parquet(scored(table, name, frame, shards, methods=methods) / "scores.parquet")
        for name, frame, shards in (("one", table.frame, 1), ("three", shuffled, 3))
    ]


@pytest.mark.parametrize("name", METHODS)
def test_one_finite_number_a_row(computed, inputs, name):
    assert computed[name].shape == (len(inputs.samples),)
    assert np.isfinite(computed[name]).all()
    assert np.ptp(computed[name]) > 0


@pytest.mark.parametrize("name", METHODS)
def test_row_order_and_shards_change_nothing(files, name):
    assert files[0]["sample_id"].equals(files[1]["sample_id"])
    assert np.array_equal(files[0][name], files[1][name])


@pytest.mark.parametrize("name", METHODS)
def test_the_same_evidence_and_seed_give_the_same_numbers(computed, inputs, name):
    assert np.array_equal(compute(again(inputs), name), computed[name])


@pytest.mark.parametrize("name", METHODS)
def test_what_is_missing_is_said(inputs, name):
    method = METHODS[name]
    without = {
        "rankers": {"warm_ups": []},
        "vectors": {"features": inputs.features[:, :0], "target_features": inputs.target_features[:, :0]},
        "tuned": {"tuned": None},
        "target": {"target": inputs.target.head(0), "target_features": inputs.target_features[:0]},
    }
    assert set(without) == set(NEEDS)
    needed = {*method.needs, *(["rankers"] if method.by_ranker else [])}
    for need, changed in without.items():
        if need in needed:
            with pytest.raises(ValueError, match=f"method {name}: {NEEDS[need][1][:20]}"):
                compute(again(inputs, **changed), name)
        else:
            assert np.isfinite(compute(again(inputs, **changed), name)).all()


def flips_are_low(name, good, inputs, planted):
    assert roc_auc_score(planted[1], -good) > 0.85


def easy_is_high(name, good, inputs, planted):
    # A row whose logit leans to its label is easy: low loss, low EL2N, high margin.
    leans = (2 * inputs.labels - 1) * inputs.logits
    assert good[leans.argmax()] > good[leans.argmin()]


def what_the_target_teaches_is_high(name, good, inputs, planted):
    ranker = inputs.tuned.open()
    taught = (2 * inputs.labels - 1) * ranker.score(rows_of(ranker, inputs.samples))
    known = (2 * inputs.labels - 1) * inputs.logits
    assert good[(taught - known).argmax()] > good[(taught - known).argmin()]


def a_step_helps_the_target(name, good, inputs, planted):
    """What influence promises: a small step on the best rows helps the target, one on the worst hurts it."""
    after = {}
    rows = inputs.scored_by(inputs.warm_ups[0])
    order = rows[np.argsort(-good[rows])]
    for kind, chosen in {"best": order[:40], "worst": order[-40:], "none": order[:0]}.items():
        ranker = inputs.warm_ups[0].open()
        if len(chosen):
            pairs = rows_of(ranker, inputs.samples.iloc[chosen])
            ranker.requires_grad_(True)
            loss = ranker.losses(pairs.batch(range(len(pairs)))).mean()
            weights = list(ranker.parameters())
            with torch.no_grad():
                for p, g in zip(weights, torch.autograd.grad(loss, weights, allow_unused=True), strict=True):
                    if g is not None:
                        p.sub_(g, alpha=0.01)
        target = rows_of(ranker, inputs.target)
        with torch.no_grad():
            after[kind] = float(ranker.losses(target.batch(range(len(target)))).mean())
    assert after["best"] < after["none"] < after["worst"]


def a_long_gradient_is_high(name, good, inputs, planted):
    part = inputs.parts[0]
    ranker = inputs.warm_ups[0].open_adapter()
    lengths = []
    chosen = [good[part.index].argmax(), good[part.index].argmin()]
    for row in chosen:
        pairs = rows_of(ranker, inputs.samples.iloc[part.index[[row]]])
        [gradient] = directions.target_gradients(ranker, pairs, scope="adapter")
        lengths.append(directions.length(gradient))
    assert lengths[0] > lengths[1]
    assert np.allclose(lengths, good[part.index[chosen]], rtol=0.01)


def a_crowd_is_high(name, good, inputs, planted):
    unit = neighbours.unit(inputs.features)
    alike = np.sort(unit @ unit.T, axis=1)[:, -11:-1].mean(axis=1)
    assert good[alike.argmax()] > good[alike.argmin()] + 0.1


def a_duplicate_is_low(name, good, inputs, planted):
    features = inputs.features.copy()
    features[1] = features[0]
    found = compute(again(inputs, features=features), name)
    assert set(np.argsort(found, kind="stable")[:2]) == {0, 1}


def chance(name, good, inputs, planted):
    assert abs(roc_auc_score(planted[1], good) - 0.5) < 0.1
    assert not np.array_equal(compute(again(inputs, seed=1), name), compute(again(inputs, seed=2), name))


DIRECTIONS = {
    **dict.fromkeys(("label_quality", "target_agreement", "knn_shapley"), flips_are_low),
    **dict.fromkeys(("el2n", "margin", "loss"), easy_is_high),
    "learnability": what_the_target_teaches_is_high,
    **dict.fromkeys(
        ("influence", "influence_ekfac", "segment_influence", "grad_dot", "grad_cos", "metagradient"),
        a_step_helps_the_target,
    ),
    "effort": a_long_gradient_is_high,
    "density": a_crowd_is_high,
    "duplicate_distance": a_duplicate_is_low,
    "random": chance,
}
"""{method: what its direction means}: a new method says so here, or the test fails."""


@pytest.mark.parametrize("name", METHODS)
def test_the_direction_is_the_declared_one(computed, inputs, planted, name):
    sign = 1 if METHODS[name].higher_is_better else -1
    DIRECTIONS[name](name, sign * computed[name], inputs, planted)


def test_no_row_is_scored_by_a_ranker_that_saw_it(inputs):
    for warm_up in inputs.warm_ups:
        scored = set(inputs.samples["sample_id"].iloc[inputs.scored_by(warm_up)])
        assert not scored & warm_up.seen
    assert (inputs.scorer == "a").sum() == len(inputs.samples) - 60
    assert set(inputs.scorer) == {"a", "b"}


def test_rows_that_both_rankers_saw_are_refused(inputs):
    both = again(inputs, warm_ups=[inputs.warm_ups[0], inputs.warm_ups[0]])
    with pytest.raises(ValueError, match="60 rows were seen by every"):
        _ = both.scorer


def test_scores_on_the_vectors_load_no_torch():
    """Its import takes seconds, in each of the steps of a plan that asks no ranker."""
    steps = "assay.components.score.measure, assay.components.score.score"
    code = f"import sys, {steps}; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
