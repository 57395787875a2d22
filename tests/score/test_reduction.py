"""Selections and reductions of features, and that the surrogate fits them inside its cross-validation."""

import numpy as np
import pytest
from assay.components.score import surrogate as module
from assay.components.score.reduction import reduced, reductions, what_is_kept
from assay.components.score.surrogate import surrogate

WORDS = [f"x{i}" for i in range(40)]


@pytest.fixture(scope="module")
def known():
    """y is a step of x0 and the square of x3; x7 hardly varies."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 40))
    x[:, 7] *= 0.01
    return x, np.sign(x[:, 0]) + x[:, 3] ** 2


@pytest.mark.parametrize("way", ["mutual_information", "model"])
def test_what_bears_on_the_score_is_kept(known, way):
    fitted, [seen] = reduced(way, 40, 0, *known)
    kept = what_is_kept(fitted, WORDS)
    assert {"x0", "x3"} <= set(kept)
    assert len(kept) == seen.shape[1] < 40


def test_what_hardly_varies_goes_and_components_are_counted(known):
    assert set(WORDS) - set(what_is_kept(reduced("variance", 40, 0, *known)[0], WORDS)) == {"x7"}
    assert what_is_kept(reduced("svd", 40, 0, *known)[0], WORDS) == {"components of all features": 32}
    assert what_is_kept(reduced("all", 40, 0, *known)[0], WORDS) == dict.fromkeys(WORDS, 1)
    assert list(reductions(40, 0)) == ["all", "variance", "mutual_information", "model", "svd"]


def test_nothing_is_selected_by_rows_that_judge_it(known, monkeypatch):
    """Selected outside the folds, features of noise would look good where they outnumber the rows."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(200, 300)), rng.normal(size=200)
    cheap = {name: found for name, found in module.candidates(0).items() if name in module.CHEAP}
    monkeypatch.setattr(module, "candidates", lambda seed: cheap)
    asked = []
    real = module.reduced
    monkeypatch.setattr(module, "reduced", lambda *a: asked.append(len(a[3])) or real(*a))
    with pytest.raises(ValueError, match="less than 0.3"):
        surrogate(x, [f"n{i}" for i in range(300)], np.arange(200), y)
    # 150 rows are not held out; two thirds of them are what a fold learns from.
    assert set(asked) == {100}


def test_the_selection_is_reported_in_words(known):
    x, y = known
    found = surrogate(x[:, :10], WORDS[:10], np.arange(200), y[:200])
    assert found.settings["features"] in reductions(40, 0)
    assert {"x0", "x3"} <= set(found.kept)
    assert set(list(found.importances)[:2]) == {"x0", "x3"}


def test_features_without_variance_are_no_reason_to_stop():
    rng = np.random.default_rng(0)
    x = np.zeros((100, 4))
    x[:, 0] = rng.normal(size=100) * 0.1
    found = surrogate(x, ["a", "b", "c", "d"], np.arange(100), x[:, 0])
    assert found.spearman > 0.9
