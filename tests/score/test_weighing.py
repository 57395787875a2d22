"""Weights learnt on the target, where it is known which method is worth anything."""

import dataclasses

import numpy as np
import pytest
from assay.components.core.samples import hash_unit
from assay.components.score import weighing
from assay.components.score.combine import WEIGHTS
from assay.components.score.methods import METHODS
from assay.components.score.weighing import learn_weights


def fresh(inputs):
    return dataclasses.replace(inputs, facts={}, kept={})


def knows(share):
    """A method that says right of a share of the rows, by chance, and nothing of the others."""

    def compute(inputs):
        rows = inputs.samples
        ids = rows["sample_id"].tolist()
        side = inputs.features @ inputs.direction > 0
        believed = np.where(hash_unit(ids, "knows") < share, side == inputs.relevant, False)
        # Draws of row and label: no row has the same under both.
        return believed + 0.5 * hash_unit(
            [f"{i}{y}" for i, y in zip(ids, rows["label"], strict=True)], "chance"
        )

    return compute


@pytest.fixture
def methods(monkeypatch):
    """A good method, one that is good on some rows, and one that is chance."""
    for name, share in (("margin", 0.9), ("loss", 0.3), ("el2n", 0.0)):
        high = METHODS[name].higher_is_better
        known = knows(share)
        compute = known if high else lambda inputs, known=known: -known(inputs)
        monkeypatch.setitem(
            METHODS, name, dataclasses.replace(METHODS[name], compute=compute, by_ranker=False)
        )
    return ["el2n", "loss", "margin"]


def test_the_good_method_gets_the_most_and_chance_nearly_nothing(planted, methods, monkeypatch):
    inputs = fresh(planted[0])
    # The direction in which the classes lie apart.
    means = [inputs.target_features[inputs.target_relevant == kind].mean(axis=0) for kind in (True, False)]
    monkeypatch.setattr(type(inputs), "direction", means[0] - means[1], raising=False)
    found = learn_weights(inputs, methods)
    assert found.weights["margin"] > 0.6
    assert found.weights["el2n"] < 0.1
    assert min(found.weights.values()) >= 0
    assert sum(found.weights.values()) == pytest.approx(1)
    assert found.facts["auroc"] > found.facts["auroc_default"] + 0.1


def test_real_methods_are_judged_and_an_untrained_ranker_is_worth_little(inputs):
    known = fresh(inputs)
    methods = ["label_quality", "target_agreement", "knn_shapley", "el2n", "random", "learnability"]
    found = learn_weights(known, methods)
    assert found.weights["random"] == found.weights["learnability"] == 0
    assert found.weights["el2n"] < 0.1
    assert found.facts["auroc"] > 0.9
    assert found.facts["not_judged"] == ["learnability"]
    # Nothing of it is left behind for the methods themselves.
    assert known.facts == {}
    assert learn_weights(fresh(inputs), methods) == found


def test_the_target_alone_is_read(inputs):
    """Whether training labels are right does not matter, only what is made of them."""
    mine = fresh(inputs)
    table, classes = weighing._mislabelled(mine)
    assert (classes != mine.grades.target).all()
    assert ((table["label"] >= 0.5) != mine.target_relevant).all()
    assert table["sample_id"].equals(mine.target["sample_id"])
    folds = weighing._folds(mine.target["group_id"].to_numpy())
    assert {len(set(folds[mine.target["group_id"] == g])) for g in set(mine.target["group_id"])} == {1}


def test_rankers_methods_have_no_weight_where_there_is_no_ranker(planted):
    found = learn_weights(fresh(planted[0]), ["target_agreement", "el2n"])
    assert found.weights == {"target_agreement": 1.0, "el2n": 0.0}


def test_a_target_that_is_too_small_leaves_the_default_and_says_so(planted):
    few = fresh(planted[0])
    some = np.flatnonzero(few.target["group_id"].isin(set(few.target["group_id"].head(1))))
    few = dataclasses.replace(
        few, target=few.target.iloc[some].reset_index(drop=True), target_features=few.target_features[some]
    )
    found = learn_weights(few, ["label_quality", "el2n"])
    assert found.weights == {name: WEIGHTS[name] for name in ("label_quality", "el2n")}
    assert "too few" in found.facts["refused"]
