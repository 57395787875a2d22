"""One contract for every method, whatever its family."""

import numpy as np
import pytest
from assay.components.score.inputs import Inputs
from assay.components.score.methods import METHODS


@pytest.fixture(scope="module")
def computed(inputs):
    return {name: METHODS[name].compute(inputs) for name in METHODS}


@pytest.mark.parametrize("name", METHODS)
def test_one_finite_number_a_row(computed, inputs, name):
    assert computed[name].shape == (len(inputs.samples),)
    assert np.isfinite(computed[name]).all()
    assert np.ptp(computed[name]) > 0


@pytest.mark.parametrize("name", METHODS)
def test_the_same_evidence_gives_the_same_numbers(computed, inputs, name):
    again = Inputs(
        **{f: getattr(inputs, f) for f in Inputs.__dataclass_fields__ if f not in ("facts", "kept")}
    )
    assert np.array_equal(METHODS[name].compute(again), computed[name])


@pytest.mark.parametrize("name", ["label_quality", "target_agreement", "knn_shapley"])
def test_flipped_labels_score_worse(computed, planted, name):
    from sklearn.metrics import roc_auc_score

    sign = 1 if METHODS[name].higher_is_better else -1
    assert roc_auc_score(planted[1], -sign * computed[name]) > 0.85


def test_direction_of_the_rankers_methods(inputs, computed):
    # A row whose logit leans to its label is easy: low loss, low EL2N, high margin.
    leans = (2 * inputs.labels - 1) * inputs.logits
    easy, hard = leans.argmax(), leans.argmin()
    for name in ("loss", "el2n", "margin"):
        sign = 1 if METHODS[name].higher_is_better else -1
        assert sign * computed[name][easy] > sign * computed[name][hard]


def test_no_row_is_scored_by_a_ranker_that_saw_it(inputs):
    for warm_up in inputs.warm_ups:
        scored = set(inputs.samples["sample_id"].iloc[inputs.scored_by(warm_up)])
        assert not scored & warm_up.seen
    assert (inputs.scorer == "a").sum() == len(inputs.samples) - 60
    assert set(inputs.scorer) == {"a", "b"}


def test_rows_that_both_rankers_saw_are_refused(inputs):
    both = Inputs(
        inputs.samples, inputs.target, inputs.features, inputs.target_features,
        [inputs.warm_ups[0], inputs.warm_ups[0]], 0.5, 0,
    )  # fmt: skip
    with pytest.raises(ValueError, match="60 rows were seen by every"):
        _ = both.scorer
