"""One contract for every method, whatever its family."""

import numpy as np
import pytest
from assay.components.score.evidence import Evidence
from assay.components.score.methods import METHODS


@pytest.fixture(scope="module")
def computed(evidence):
    return {name: METHODS[name].compute(evidence) for name in METHODS}


@pytest.mark.parametrize("name", METHODS)
def test_one_finite_number_a_row(computed, evidence, name):
    assert computed[name].shape == (len(evidence.samples),)
    assert np.isfinite(computed[name]).all()
    assert np.ptp(computed[name]) > 0


@pytest.mark.parametrize("name", METHODS)
def test_the_same_evidence_gives_the_same_numbers(computed, evidence, name):
    again = Evidence(**{f: getattr(evidence, f) for f in Evidence.__dataclass_fields__ if f != "facts"})
    assert np.array_equal(METHODS[name].compute(again), computed[name])


@pytest.mark.parametrize("name", ["label_quality", "target_agreement", "knn_shapley"])
def test_flipped_labels_score_worse(computed, planted, name):
    from sklearn.metrics import roc_auc_score

    sign = 1 if METHODS[name].higher_is_better else -1
    assert roc_auc_score(planted[1], -sign * computed[name]) > 0.85


def test_direction_of_the_rankers_methods(evidence, computed):
    # A row whose logit leans to its label is easy: low loss, low EL2N, high margin.
    leans = (2 * evidence.labels - 1) * evidence.logits
    easy, hard = leans.argmax(), leans.argmin()
    for name in ("loss", "el2n", "margin"):
        sign = 1 if METHODS[name].higher_is_better else -1
        assert sign * computed[name][easy] > sign * computed[name][hard]


def test_no_row_is_scored_by_a_ranker_that_saw_it(evidence):
    for warm_up in evidence.warm_ups:
        scored = set(evidence.samples["sample_id"].iloc[evidence.scored_by(warm_up)])
        assert not scored & warm_up.seen
    assert (evidence.scorer == "a").sum() == len(evidence.samples) - 60
    assert set(evidence.scorer) == {"a", "b"}


def test_rows_that_both_rankers_saw_are_refused(evidence):
    both = Evidence(
        evidence.samples, evidence.target, evidence.features, evidence.target_features,
        [evidence.warm_ups[0], evidence.warm_ups[0]], 0.5, 0,
    )  # fmt: skip
    with pytest.raises(ValueError, match="60 rows were seen by every"):
        _ = both.scorer
