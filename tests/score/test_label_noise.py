"""Label noise on rows whose truth is known."""

import numpy as np
import pandas as pd
import pytest
from assay.components.score import label_noise
from assay.components.score.noise_rates import noise_by, noise_rates
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict


def clouds(n: int, wrong: dict[int, float], seed: int = 0, apart: float = 1.4):
    """Two crescents that no plane tells apart well; labels of class c wrong with probability wrong[c]."""
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < 0.4
    angle = rng.uniform(0, np.pi, n) + np.pi * truth
    x = np.column_stack([np.cos(angle) + truth * 0.9, np.sin(angle) * 1.2 + truth * 0.4]) * apart
    features = np.column_stack([x, np.zeros((n, 6))]) + rng.normal(size=(n, 8)) * 0.45
    flipped = rng.random(n) < np.where(truth, wrong[1], wrong[0])
    return features, truth, truth ^ flipped, flipped, rng.random(n)


def test_wrong_labels_are_found_better_than_by_one_linear_classifier():
    features, _, labelled, flipped, draws = clouds(1500, {0: 0.25, 1: 0.25})
    mine = label_noise.out_of_fold(features, labelled, draws, features[:0]).rows
    linear = cross_val_predict(LogisticRegression(), features, labelled, cv=5, method="predict_proba")[:, 1]
    found = {
        name: roc_auc_score(flipped, -np.where(labelled, p, 1 - p))
        for name, p in {"mine": mine, "linear": linear}.items()
    }
    assert 1 - found["mine"] < 0.85 * (1 - found["linear"])


def test_no_row_is_judged_by_a_classifier_that_saw_it():
    """Labels without any meaning cannot be predicted, unless a classifier has seen them."""
    rng = np.random.default_rng(0)
    features, labelled = rng.normal(size=(600, 8)), rng.random(600) < 0.5
    probability = label_noise.out_of_fold(features, labelled, rng.random(600), features[:0]).rows
    assert abs(roc_auc_score(labelled, probability) - 0.5) < 0.08


def test_folds_do_not_depend_on_the_order_of_rows_and_each_class_is_dealt_evenly():
    rng = np.random.default_rng(0)
    relevant, draws = rng.random(200) < 0.1, rng.random(200)
    folds, order = label_noise.folds_of(relevant, draws), rng.permutation(200)
    assert np.array_equal(label_noise.folds_of(relevant[order], draws[order]), folds[order])
    counts = np.bincount(folds[relevant], minlength=label_noise.FOLDS)
    assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize("wrong", [{0: 0.0, 1: 0.0}, {0: 0.3, 1: 0.3}, {0: 0.1, 1: 0.4}])
def test_the_rate_of_noise_is_estimated_with_an_interval_that_holds_it(wrong):
    held, errors = 0, []
    for seed in range(4):
        features, truth, labelled, _, draws = clouds(1600, wrong, seed)
        train, target = slice(0, 1300), slice(1300, None)
        found = label_noise.out_of_fold(features[train], labelled[train], draws[train], features[target])
        rates = noise_rates(labelled[train], found.rows, truth[target], found.others, seed)
        real = float((labelled[train] != truth[train]).mean())
        # No share is below 0, so that an interval at the edge starts a little above it.
        held += rates["low"] - 0.01 <= real <= rates["high"]
        errors.append(
            [
                rates["rate"] - real,
                rates["relevant_when_not"] - wrong[0],
                rates["not_when_relevant"] - wrong[1],
            ]
        )
    assert held >= 3
    assert np.abs(np.mean(errors, axis=0)).max() < 0.05


def test_nothing_is_said_where_there_is_nothing_to_say():
    ones = np.ones(50, dtype=bool)
    assert (
        label_noise.out_of_fold(np.zeros((50, 2)), ones, np.arange(50.0), np.zeros((3, 2))).strength is None
    )
    assert noise_rates(ones, np.full(50, 0.9), ones, np.full(50, 0.9)) is None
    half = np.arange(50) < 25
    blind = np.full(50, 0.9)  # says relevant of every row: nothing can be solved for
    assert noise_rates(half, blind, half, blind) is None


def test_noise_is_told_by_segment_worst_first():
    values = pd.Series(["a"] * 100 + ["b"] * 100 + ["few"] * 5)
    flagged = np.r_[np.arange(100) < 10, np.arange(100) < 40, np.ones(5)].astype(bool)
    found = noise_by(values, flagged)
    assert [(line["value"], line["share"]) for line in found] == [("b", 0.4), ("a", 0.1)]
    assert found[0]["low"] == pytest.approx(0.309, abs=0.002)  # Wilson, 40 of 100
    assert found[0]["high"] == pytest.approx(0.498, abs=0.002)
