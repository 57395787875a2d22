"""What was measured on a share of the rows, and what is said where the rest cannot be told."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from assay.components.score.methods import METHODS
from assay.components.score.score import complete, guessed
from scipy.stats import spearmanr


@pytest.fixture
def known(planted):
    inputs, _ = planted
    words = ["likeness", "words in common"] + ["meeting of both texts"] * 6
    return dataclasses.replace(inputs, words=words, facts={}, kept={})


def test_a_share_is_measured_and_the_rest_is_told_by_a_surrogate(known):
    dear = (2 * known.labels - 1) * known.features[:, 1]
    some = known.random() < 0.4
    measured = pd.DataFrame({"influence": np.where(some, dear, np.nan)})
    scores, _ = complete(known, ["influence", "target_agreement"], measured)
    assert spearmanr(scores["influence"][~some], dear[~some]).statistic > 0.8
    told = known.facts["influence"]["surrogate"]
    assert (told["measured"], told["spearman"] > 0.8) == (int(some.sum()), True)
    assert next(iter(told["importances"])) == "words in common, for the label"
    # What needs no ranker is computed of all rows.
    assert np.array_equal(scores["target_agreement"], METHODS["target_agreement"].compute(known))


def test_what_was_measured_of_all_rows_is_taken_as_it_is(known):
    noise = np.random.default_rng(0).normal(size=len(known.samples))
    measured = pd.DataFrame({"influence": noise})
    assert np.array_equal(complete(known, ["influence"], measured)[0]["influence"], noise)
    measured.loc[known.random() >= 0.5, "influence"] = np.nan
    with pytest.raises(ValueError, match="measure all rows"):
        complete(known, ["influence"], measured)


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
