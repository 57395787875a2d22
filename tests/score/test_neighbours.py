import dataclasses
import itertools
import math

import numpy as np
import pytest
from assay.components.score.neighbours import knn_shapley, shapley_of


def utility(values, members, k):
    """Mean value of the k nearest members, over k; neighbours are given nearest first."""
    return sum(values[i] for i in sorted(members)[:k]) / k


@pytest.mark.parametrize("k", [1, 2, 3, 10])
def test_the_closed_form_is_the_definition(k):
    values = np.random.default_rng(k).random(6)
    n = len(values)
    expected = np.zeros(n)
    for i in range(n):
        others = [j for j in range(n) if j != i]
        for size in range(n):
            weight = math.factorial(size) * math.factorial(n - size - 1) / math.factorial(n)
            for subset in itertools.combinations(others, size):
                expected[i] += weight * (utility(values, [*subset, i], k) - utility(values, subset, k))
    assert np.allclose(shapley_of(values, k), expected)
    assert shapley_of(values, k).sum() == pytest.approx(utility(values, range(n), k))


def test_one_neighbour_gets_everything():
    assert shapley_of(np.array([0.7]), 10) == pytest.approx([0.07])


def test_each_class_of_the_target_counts_the_same(planted):
    """Writing the irrelevant target rows down five times over moves no row's value."""
    inputs, _ = planted
    rows = np.arange(len(inputs.target))
    more = np.concatenate([rows, np.repeat(rows[~inputs.target_relevant], 4)])
    lopsided = dataclasses.replace(
        inputs,
        target=inputs.target.iloc[more].reset_index(drop=True),
        target_features=inputs.target_features[more],
    )
    assert lopsided.target_relevant.mean() < 0.5 * inputs.target_relevant.mean()
    assert np.allclose(knn_shapley(lopsided), knn_shapley(inputs))
