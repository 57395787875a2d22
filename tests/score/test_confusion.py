"""Which grade is taken for which, on ratings whose truth is known."""

import numpy as np
import pytest
from assay.components.score import label_noise
from assay.components.score.confusion import calibrate, confusion
from assay.components.score.grades import Grades
from assay.components.score.inputs import Inputs
from assay.components.score.noise_rates import noise_matrix
from cleanlab.filter import find_label_issues
from pandas import DataFrame

SHARES = (0.04, 0.07, 0.14, 0.22, 0.53)
"""Of the stars of a shop's reviews: most are five."""


def stars(rows: int, target: int, wrong: float, seed: int = 0):
    """Reviews whose texts tell stars from their neighbours badly, some rated as any other star."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(5, size=rows + target, p=SHARES)
    features = rng.normal(size=(rows + target, 8))
    features[:, 0] += truth * 1.1
    labelled = truth.copy()
    flipped = rng.random(rows + target) < wrong
    labelled[flipped] = (truth[flipped] + rng.integers(1, 5, flipped.sum())) % 5
    grades = Grades(labelled[:rows], truth[rows:], np.arange(1, 6) / 5, 2)
    draws = rng.random(rows)
    found = label_noise.nested(features[:rows], grades, draws, features[rows:])
    return grades, found, labelled[:rows] != truth[:rows]


def flags(grades: Grades, truth: np.ndarray) -> np.ndarray:
    return truth[np.arange(len(truth)), grades.rows] < 0.5


@pytest.fixture(scope="module")
def right():
    return stars(900, 300, 0.0)


@pytest.fixture(scope="module")
def wrong():
    return stars(900, 300, 0.2)


def test_hardly_a_right_rating_is_called_wrong_however_rare_its_star(right):
    grades, found, _ = right
    flagged = flags(grades, confusion(grades, found.rows, found.others).truth)
    assert flagged.mean() < 0.03
    assert max(flagged[grades.rows == star].mean() for star in range(5)) < 0.2
    # The same probabilities, by thresholds of classes alone.
    assert find_label_issues(grades.rows, found.rows, n_jobs=1).mean() > 0.2


def test_a_star_of_which_the_target_has_four_rows_is_not_called_wrong():
    grades, found, _ = stars(900, 60, 0.0, seed=1)
    assert (grades.target == 0).sum() <= 4
    flagged = flags(grades, confusion(grades, found.rows, found.others).truth)
    assert max(flagged[grades.rows == star].mean() for star in range(5)) < 0.25


def test_planted_wrong_ratings_are_found(wrong):
    grades, found, planted = wrong
    flagged = flags(grades, confusion(grades, found.rows, found.others).truth)
    assert planted[flagged].mean() > 0.6  # by chance 0.2
    assert flagged[planted].mean() > 10 * flagged[~planted].mean()
    assert flagged[planted].mean() > 0.35


def test_the_share_of_wrong_ratings_is_told_with_an_interval_that_holds_it(right, wrong):
    for grades, found, planted in (right, wrong):
        told = noise_matrix(grades, found.rows, found.others)
        assert told["low"] - 0.01 <= planted.mean() <= told["high"]
        assert told["high"] - told["low"] < 0.2
        assert abs(told["rate"] - planted.mean()) < 0.06


def test_a_label_of_no_grade_is_called_wrong_where_texts_do_not_bear_it_out(right):
    """Nought stars, of which the target has none: a fifth of the reviews, of every kind."""
    grades, _, _ = right
    rng = np.random.default_rng(2)
    nought = rng.random(len(grades.rows)) < 0.2
    labels = np.where(nought, 0, grades.rows + 1)
    six = Grades(labels, grades.target + 1, np.arange(6) / 5, 3)
    features = rng.normal(size=(1200, 8))
    features[:, 0] += np.r_[grades.rows, grades.target] * 1.1
    found = label_noise.nested(features[:900], six, rng.random(900), features[900:])
    flagged = flags(six, confusion(six, found.rows, found.others).truth)
    assert flagged[nought].mean() > 0.8
    assert flagged[~nought].mean() < 0.1


def test_far_off_confusions_are_believed_before_neighbours():
    """Rows that could be of any grade speak for no confusion, and least for one of neighbours."""
    rows = np.repeat([0, 1, 2], 60)
    blind = np.full((180, 3), 1 / 3)
    grades = Grades(rows, np.empty(0, dtype=np.int64), np.arange(3) / 2, 1)
    joint = confusion(grades, blind, blind[:0]).joint
    assert joint[0, 2] > 1.5 * joint[0, 1] > 0
    assert np.trace(joint) > 0.85


def test_without_a_target_opinions_stay_as_they_are():
    nothing = calibrate(np.empty((0, 3)), np.empty(0, dtype=np.int64), 3)
    assert np.allclose(nothing, np.column_stack([np.eye(3), np.zeros(3)]))


def test_calibration_turns_an_opinion_that_the_target_refutes():
    rng = np.random.default_rng(0)
    truths = rng.integers(0, 3, 600)
    # The classifier says of class 0 what is true of class 1, and the other way round.
    opinions = np.eye(3)[np.array([1, 0, 2])[truths]] + rng.normal(size=(600, 3)) * 0.3
    weights = calibrate(opinions, truths, 3)
    said = opinions @ weights[:, :-1].T + weights[:, -1]
    assert (said.argmax(axis=1) == truths).mean() > 0.9


def test_of_two_classes_the_label_is_not_looked_at():
    """Their quality is what classifiers say that did not see it, to the last bit."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(300, 6)).astype(np.float32)
    label = (features[:, 0] + rng.normal(size=300) * 0.5 > 0).astype(np.float32)
    table = DataFrame({"sample_id": [f"{i:032x}" for i in range(300)], "label": label})
    rows, target = table[:240].reset_index(drop=True), table[240:].reset_index(drop=True)
    inputs = Inputs(rows, target, features[:240], features[240:], [], 0.5, 0)
    relevant = label[:240] > 0.5
    alone = label_noise.out_of_fold(features[:240], relevant, inputs.random(), features[240:], 0).rows
    assert np.array_equal(label_noise.label_quality(inputs), np.where(relevant, alone, 1 - alone))
