import dataclasses
import itertools
import math

import numpy as np
import pytest
from assay.components.score.neighbours import (
    crowd,
    density,
    duplicate_distance,
    knn_shapley,
    nearest_first,
    shapley_of,
)


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


def test_two_clusters_by_hand(planted):
    """Two far clusters, one a class; k is 2. A row is worth what it adds to target rows of its own side."""
    inputs, _ = planted
    features = np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
    known = dataclasses.replace(
        inputs,
        samples=inputs.samples.head(4).assign(label=[1.0, 0.0, 0.0, 0.0]),  # the second carries a wrong label
        target=inputs.target.head(2).assign(label=[1.0, 0.0], grade=[1.0, 0.0]),
        features=features,
        target_features=np.array([[1.0, 0.0], [0.0, 1.0]]),
    )
    found = knn_shapley(known)
    # To the relevant target row the order is 0, 1, 3, 2 with values 1, 0, 0, 0; to the other 2, 3, 1, 0 with
    # values 1, 1, 1, 0. From the last on: s_4 = v_4 * 2 / (2 * 4), then
    # s_i = s_i+1 + (v_i - v_i+1) / 2 * min(2, i) / i.
    first = {0: 0.5, 1: 0.0, 3: 0.0, 2: 0.0}
    second = {0: 0.0, 1: 1 / 3, 3: 1 / 3, 2: 1 / 3}
    assert found == pytest.approx([(first[i] + second[i]) / 2 for i in range(4)])


def test_nearest_first_is_a_stable_sort():
    rng = np.random.default_rng(0)
    alike = rng.normal(size=5000).astype(np.float32).round(2)  # many ties, both signs
    alike[:3] = [0.0, -0.0, 0.0]
    assert np.array_equal(nearest_first(alike), np.argsort(-alike, kind="stable"))


def test_a_duplicate_has_distance_zero_and_an_outlier_stands_alone(planted):
    inputs, _ = planted
    features = np.abs(inputs.features) + 0.1
    features[7] = features[3]
    features[11] *= -1  # all others look the other way
    known = dataclasses.replace(inputs, features=features, kept={})
    distance, dense = duplicate_distance(known), density(known)
    assert distance[3] == pytest.approx(0, abs=1e-6)
    assert distance[7] == pytest.approx(0, abs=1e-6)
    assert (distance[[0, 1, 2]] > 1e-4).all()
    assert dense.argmin() == 11
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    alike = unit @ unit.T
    np.fill_diagonal(alike, -2)
    assert np.allclose(crowd(known), np.sort(alike, axis=1)[:, ::-1][:, :10], atol=1e-5)
