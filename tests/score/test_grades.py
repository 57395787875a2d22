"""Labels as classes."""

import numpy as np
from assay.components.score.grades import BINS, grades_of


def test_few_values_are_a_class_each():
    values, target = np.array([0.0, 3.0, 1.0, 1.0]), np.array([2.0, 0.0])
    found = grades_of(values, target, values / 3, target / 3, 1.5)
    assert found.rows.tolist() == [0, 3, 1, 1]
    assert found.target.tolist() == [2, 0]
    assert np.allclose(found.labels, [0, 1 / 3, 2 / 3, 1])
    assert found.first_relevant == 2


def test_many_values_are_cut_at_relevance_and_then_evenly():
    rng = np.random.default_rng(0)
    values, target = rng.random(3000), rng.random(300)
    found = grades_of(values, target, values, target, 0.4)
    assert len(found.labels) == 2 * BINS
    assert found.first_relevant == BINS
    assert np.array_equal(found.rows >= BINS, values >= 0.4)
    assert np.array_equal(found.target >= BINS, target >= 0.4)
    sizes = np.bincount(found.rows)
    assert sizes[:BINS].max() - sizes[:BINS].min() < 60
    # A class stands for the label in its middle.
    assert np.allclose(found.labels[:BINS], 0.4 * (np.arange(BINS) + 0.5) / BINS, atol=0.02)


def test_clicks_of_which_most_are_none_keep_their_bound():
    values = np.r_[np.zeros(500), np.linspace(0.01, 1, 80)]
    found = grades_of(values, values[:0], values, values[:0], 1e-6)
    assert found.first_relevant == 1
    assert (found.rows[:500] == 0).all()
    assert len(found.labels) == 1 + BINS


def test_one_side_alone_has_no_bound_inside():
    ones = np.ones(5)
    assert grades_of(ones, ones, ones, ones, 0.5).first_relevant == 0
    assert grades_of(0 * ones, ones[:0], 0 * ones, ones[:0], 0.5).first_relevant == 1
