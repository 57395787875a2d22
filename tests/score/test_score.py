"""Measuring on a share of the rows, and what is said where that cannot be done."""

import dataclasses

import numpy as np
import pytest
from assay.components.score.methods import METHODS
from assay.components.score.score import compute, guessed
from scipy.stats import spearmanr


@pytest.fixture
def known(planted):
    inputs, _ = planted
    words = ["likeness", "words in common"] + ["meeting of both texts"] * 6
    return dataclasses.replace(inputs, words=words, facts={}, kept={})


def test_a_share_is_measured_and_the_rest_is_told_by_a_surrogate(known, monkeypatch):
    asked = []

    def dear(inputs):
        asked.append(len(inputs.samples))
        return (2 * inputs.labels - 1) * inputs.features[:, 1]

    monkeypatch.setitem(METHODS, "influence", dataclasses.replace(METHODS["influence"], compute=dear))
    scores, _ = compute(known, ["influence", "target_agreement"], measured=0.4)
    assert asked == [int((known.random() < 0.4).sum())]
    rest = known.random() >= 0.4
    assert spearmanr(scores["influence"][rest], dear(known)[rest]).statistic > 0.8
    told = known.facts["influence"]["surrogate"]
    assert (told["measured"], told["spearman"] > 0.8) == (asked[0], True)
    assert next(iter(told["importances"])) == "words in common, for the label"
    # What needs no ranker is measured on all rows.
    assert np.array_equal(scores["target_agreement"], METHODS["target_agreement"].compute(known))


def test_all_rows_are_measured_unless_asked_otherwise(known, monkeypatch):
    rng = np.random.default_rng(0)
    noise = rng.normal(size=len(known.samples))
    random = dataclasses.replace(METHODS["influence"], compute=lambda inputs: noise[: len(inputs.samples)])
    monkeypatch.setitem(METHODS, "influence", random)
    assert np.array_equal(compute(known, ["influence"])[0]["influence"], noise)
    with pytest.raises(ValueError, match="measure all rows"):
        compute(known, ["influence"], measured=0.5)


@pytest.mark.parametrize("name", ["margin", "knn_shapley"])
def test_a_surrogate_can_tell_any_method_and_hears_of_the_traits(planted, name):
    """A trait that is the score itself is what it goes by."""
    inputs, _ = planted
    values = np.arange(len(inputs.samples), dtype=float)[::-1]
    words = ["likeness"] * 8
    inputs = dataclasses.replace(
        inputs, words=words, traits=(values / 100)[:, None], trait_words=["the answer"], facts={}, kept={}
    )
    some = np.arange(0, len(values), 3)
    found = guessed(inputs, name, some, values[some])
    assert spearmanr(found, values).statistic > 0.95
    assert next(iter(inputs.facts[name]["surrogate"]["importances"])) == "the answer"
    assert inputs.only(some).traits.shape == (len(some), 1)
