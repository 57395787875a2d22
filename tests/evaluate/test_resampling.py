"""Resamples that several models share: the differences are those of the paired bootstrap."""

import numpy as np
import pytest
from assay.components.core.metrics import Lists, paired_bootstrap
from assay.components.evaluate.resampling import difference, interval, list_draws, over_trainings


@pytest.fixture(scope="module")
def lists():
    rng = np.random.default_rng(0)
    groups = np.repeat([f"g{n:02d}" for n in range(30)], 8)
    return Lists(
        groups, rng.integers(0, 3, 240).astype(float), np.array([f"{n:03d}" for n in range(240)]), 1.0
    )


@pytest.fixture(scope="module")
def scores(lists):
    rng = np.random.default_rng(1)
    return np.stack([lists.grades * strength + rng.normal(size=240) for strength in (1.0, 0.5, 0.0)])


@pytest.mark.parametrize("metric", ["ndcg@10", "auc"])
def test_differences_are_those_of_the_paired_bootstrap(lists, scores, metric):
    values, draws = list_draws(lists, scores, metric, seed=3, resamples=1000)
    found = difference(values[0] - values[1], draws[0] - draws[1])
    assert found == pytest.approx(paired_bootstrap(lists, scores[0], scores[1], metric, 3, 1000))
    low, high = interval(draws[0])
    assert low < values[0] < high


def test_one_training_is_its_own_mean_and_several_widen_the_interval(lists, scores):
    values, draws = list_draws(lists, scores, "ndcg@10", resamples=2000)
    assert np.array_equal(over_trainings(draws[:1], 5), draws[0])
    both = over_trainings(draws[[0, 2]], 5)
    assert both.mean() == pytest.approx(values[[0, 2]].mean(), abs=0.01)
    # A strong and a chance training: which of them is drawn moves the mean more than the lists do.
    assert np.std(both) > 2 * np.std(draws[[0, 2]].mean(axis=0))


def test_equal_trainings_add_nothing_to_the_interval(lists, scores):
    _, draws = list_draws(lists, scores, "ndcg@10", resamples=1000)
    assert np.allclose(over_trainings(np.stack([draws[0]] * 3), 5), draws[0])
