"""What was measured on a share of the rows, and what is said where the rest cannot be told."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from assay.components.score.methods import METHODS
from assay.components.score.score import complete
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
