"""Label noise on rows whose truth is known."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from assay.components.score import label_noise
from assay.components.score.confusion import confusion
from assay.components.score.grades import Grades
from assay.components.score.noise_rates import noise_by, noise_matrix, noise_rates
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


CONFUSED = np.array(
    [[0.8, 0.05, 0.05, 0.1], [0.15, 0.7, 0.1, 0.05], [0.05, 0.15, 0.7, 0.1], [0.25, 0.05, 0.05, 0.65]]
)
"""Planted: of the rows truly of a grade, the share labelled as each."""


@pytest.fixture(scope="module")
def graded():
    """Four clouds in a row, one a grade, labels confused as planted; and 300 target rows."""
    rng = np.random.default_rng(3)
    truth = rng.choice(4, size=1900, p=[0.35, 0.2, 0.2, 0.25])
    features = rng.normal(size=(1900, 6))
    features[:, :2] += np.array([[0, 0], [2.1, 0.8], [3.4, 2.9], [2.9, 5.2]])[truth]
    labelled = np.array([rng.choice(4, p=CONFUSED[t]) for t in truth])
    train, target = slice(0, 1600), slice(1600, None)
    grades = Grades(labelled[train], truth[target], np.arange(4) / 3, 2)
    found = label_noise.nested(features[train], grades, rng.random(1900)[train], features[target])
    return grades, found, truth[train]


def test_of_two_classes_nested_questions_are_one():
    features, _, labelled, _, draws = clouds(300, {0: 0.2, 1: 0.2})
    grades = Grades(labelled.astype(int), np.empty(0, dtype=int), np.array([0.0, 1.0]), 1)
    found = label_noise.nested(features, grades, draws, features[:0])
    assert np.array_equal(
        found.rows[:, 1], label_noise.out_of_fold(features, labelled, draws, features[:0]).rows
    )


def test_planted_confusions_of_four_grades_are_recovered_within_their_intervals(graded):
    grades, found, truth = graded
    told = noise_matrix(grades, found.rows, found.others)
    assert told["low"] <= np.mean(grades.rows != truth) <= told["high"]
    real = np.array(
        [np.bincount(grades.rows[truth == t], minlength=4) / np.sum(truth == t) for t in range(4)]
    )
    inside = (np.array(told["matrix_low"]) <= real) & (real <= np.array(told["matrix_high"]))
    assert inside.mean() >= 0.85  # 95 % each, and only the edge of two
    assert np.abs(np.array(told["matrix"]) - real).max() < 0.1
    # An interval that says nothing would hold everything.
    assert np.max(np.array(told["matrix_high"]) - np.array(told["matrix_low"])) < 0.35


def test_the_suggested_grade_is_the_true_one_far_more_often_than_by_chance(graded):
    grades, found, truth = graded
    right = confusion(grades, found.rows, found.others).truth
    rows = np.arange(len(truth))
    wrong = grades.rows != truth
    assert roc_auc_score(wrong, -right[rows, grades.rows]) > 0.9
    others = np.where(np.arange(4) == grades.rows[:, None], -1, right)
    flagged = right[rows, grades.rows] < 0.5
    assert (others.argmax(axis=1) == truth)[flagged & wrong].mean() > 0.8  # by chance a third
    assert wrong[flagged].mean() > 0.8


def test_a_grade_that_the_target_lacks_leaves_the_matrix_untold(graded):
    grades, found, _ = graded
    some = grades.target != 3
    part = dataclasses.replace(grades, target=grades.target[some])
    assert noise_matrix(part, found.rows, found.others[some]) is None


def test_graded_noise_is_told_by_segment(graded):
    grades, found, truth = graded
    right = confusion(grades, found.rows, found.others).truth
    flagged = right[np.arange(len(truth)), grades.rows] < 0.5
    # Grade 0 is labelled wrong in a fifth of its rows, grade 3 in a third and more.
    lines = {line["value"]: line for line in noise_by(pd.Series(truth), flagged)}
    for grade in (0, 3):
        real = np.mean(grades.rows[truth == grade] != grade)
        assert abs(lines[str(grade)]["share"] - real) < 0.1
    assert lines["3"]["low"] > lines["0"]["high"]


def test_noise_is_told_by_segment_worst_first():
    values = pd.Series(["a"] * 100 + ["b"] * 100 + ["few"] * 5)
    flagged = np.r_[np.arange(100) < 10, np.arange(100) < 40, np.ones(5)].astype(bool)
    found = noise_by(values, flagged)
    assert [(line["value"], line["share"]) for line in found] == [("b", 0.4), ("a", 0.1)]
    assert found[0]["low"] == pytest.approx(0.309, abs=0.002)  # Wilson, 40 of 100
    assert found[0]["high"] == pytest.approx(0.498, abs=0.002)
