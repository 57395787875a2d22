"""A surrogate where the answer is known, and where there is none."""

import numpy as np
import pytest
from assay.components.score.surrogate import surrogate
from scipy.stats import spearmanr


def rows(n=600, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 6)), rng


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (lambda x: 2 * x[:, 0] - x[:, 3], {"ridge"}),
        (lambda x: np.sign(x[:, 0]) * np.sign(x[:, 3]) + 0.01 * x[:, 0], {"tree", "forest", "boosting"}),
    ],
    ids=["linear", "steps"],
)
def test_the_fitting_kind_of_model_is_chosen_and_predicts_the_rest(score, expected):
    features, rng = rows()
    measured = np.sort(rng.permutation(600)[:300])
    true = score(features)
    found = surrogate(features, [f"x{i}" for i in range(6)], measured, true[measured])
    rest = np.setdiff1d(np.arange(600), measured)
    assert found.model in expected
    assert found.spearman > 0.8
    assert spearmanr(found.values[rest], true[rest]).statistic > 0.8
    assert set(list(found.importances)[:2]) == {"x0", "x3"}  # what the score is made of
    assert np.array_equal(np.argsort(found.values[measured]), np.argsort(true[measured]))


def test_noise_is_refused_and_so_are_few_rows():
    features, rng = rows()
    words = [f"x{i}" for i in range(6)]
    with pytest.raises(ValueError, match=r"reaches Spearman -?0\.\d\d on held-out rows, less than 0.3"):
        surrogate(features, words, np.arange(300), rng.normal(size=300))
    with pytest.raises(ValueError, match="needs 60 measured rows or more, and there are 30"):
        surrogate(features, words, np.arange(30), features[:30, 0])


def test_columns_of_one_name_are_one_feature_and_the_seed_decides():
    features, _ = rows()
    words = ["the query"] * 3 + ["the title"] * 3
    measured, values = np.arange(200), features[:200, 4]
    one, two = (surrogate(features, words, measured, values, seed=5) for _ in range(2))
    assert list(one.importances) == ["the title", "the query"]
    assert np.array_equal(one.values, two.values)
    assert set(one.facts()) == {"model", "settings", "kept", "r2", "spearman", "importances"}
