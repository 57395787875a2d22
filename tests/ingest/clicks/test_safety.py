"""Corrections that help are taken, those that harm are not, and both say so."""

import numpy as np
import pytest
from assay.components.core.errors import BadInput
from assay.components.ingest.clicks.safety import FEWEST, Taught, do_no_harm, learnt
from scipy.sparse import csr_matrix


@pytest.fixture
def world():
    """Items of which the first feature is good, and the second only decides where they are shown."""
    rng = np.random.default_rng(0)
    features, target = rng.normal(size=(600, 4)), rng.normal(size=(400, 4))
    good = 1 / (1 + np.exp(-3 * features[:, 0]))
    seen = 1 / (1 + np.exp(-3 * features[:, 1]))
    grades = (target[:, 0] > 0.7).astype(float)
    lists = np.repeat([f"l{n:02d}" for n in range(40)], 10)
    ids = np.array([f"i{n:03d}" for n in range(400)])
    return features, target, good, good * seen, (lists, grades, ids)


def test_a_correction_that_helps_is_taken(world):
    features, target, good, biased, trusted = world
    naive, corrected = Taught(biased, np.ones(600)), Taught(good, np.ones(600))
    verdict = do_no_harm(features, naive, corrected, target, *trusted, 0.5)
    assert verdict.taken
    assert verdict.low > 0
    assert verdict.lists == 40 - (trusted[1].reshape(40, 10).max(axis=1) == 0).sum()
    assert verdict.risk == 0
    assert "do no harm" in verdict.why
    assert verdict.as_dict()["kept"] == "corrected"


def test_a_correction_that_harms_is_not(world):
    features, target, good, biased, trusted = world
    verdict = do_no_harm(
        features, Taught(good, np.ones(600)), Taught(biased, np.ones(600)), target, *trusted, 0.5
    )
    assert not verdict.taken
    assert verdict.high < 0
    assert verdict.risk == 1
    assert "fell back to naive labels" in verdict.why
    assert verdict.as_dict()["kept"] == "naive"


def test_a_correction_that_changes_nothing_is_taken(world):
    features, target, good, _, trusted = world
    same = Taught(good, np.ones(600))
    verdict = do_no_harm(features, same, same, target, *trusted, 0.5)
    assert (verdict.taken, verdict.difference, verdict.low) == (True, 0, 0)


def test_without_trusted_lists_nothing_is_corrected(world):
    features, target, good, biased, (lists, grades, ids) = world
    few = slice(0, 10 * (FEWEST - 1))
    verdict = do_no_harm(
        features, Taught(biased, np.ones(600)), Taught(good, np.ones(600)),
        target[few], lists[few], grades[few], ids[few], 0.5,
    )  # fmt: skip
    assert not verdict.taken
    assert "are needed" in verdict.why


def test_sparse_features_and_unweighted_rows(world):
    features, target, good, _, _ = world
    weights = np.r_[np.ones(300), np.zeros(300)]
    dense = learnt(features, Taught(good, weights), target)
    assert dense == pytest.approx(learnt(csr_matrix(features), Taught(good, weights), target), abs=1e-3)
    assert dense == pytest.approx(learnt(features[:300], Taught(good[:300], np.ones(300)), target), abs=1e-3)
    assert np.corrcoef(dense, target[:, 0])[0, 1] > 0.95
    with pytest.raises(BadInput, match="nothing to learn"):
        learnt(features, Taught(np.zeros(600), weights), target)
