import numpy as np
import pandas as pd
import pytest
from assay.components.score.combine import combine, decide, rank_in_strata
from assay.components.score.label_noise import SecondOpinion


def test_ranks_are_within_strata_and_share_ties():
    ranks = rank_in_strata(np.array([5.0, 1.0, 3.0, 3.0, 100.0]), np.array(list("aaaab")))
    assert ranks.tolist() == [0.875, 0.125, 0.5, 0.5, 0.5]


def strata(n, label=1.0):
    return pd.DataFrame({"task": "search", "label": [label] * n, "scorer": "a"})


def test_importance_is_the_weighted_mean_of_ranks_in_the_good_direction():
    scores = pd.DataFrame({"label_quality": [0.9, 0.5, 0.1], "loss": [0.1, 2.0, 1.0]})
    found = combine(scores, {"label_quality": 3.0, "loss": 1.0}, strata(3))
    quality, loss = np.array([5, 3, 1]) / 6, np.array([5, 1, 3]) / 6
    assert np.allclose(found["importance"], (3 * quality + loss) / 4)


def test_no_scale_and_no_outlier_moves_importance():
    rng = np.random.default_rng(0)
    scores = pd.DataFrame({"label_quality": rng.random(50), "knn_shapley": rng.normal(size=50)})
    wild = scores.assign(knn_shapley=np.exp(20 * scores["knn_shapley"]))
    weights = {"label_quality": 1.0, "knn_shapley": 1.0}
    one, two = (combine(s, weights, strata(50))["importance"] for s in (scores, wild))
    assert np.allclose(one, two)


def test_methods_without_a_weight_do_not_count_and_none_at_all_is_an_error():
    scores = pd.DataFrame({"label_quality": [0.1, 0.9]})
    with pytest.raises(ValueError, match="none of the weighted methods"):
        combine(scores, {"influence": 1.0}, strata(2))


def test_decisions_name_the_suspicious_rows_with_a_reason():
    relevant = np.array([True, False] * 50)
    noise = np.full(100, 0.3)
    noise[:6] = 0.95
    noise[6:10] = 0.75
    combined = pd.DataFrame(
        {"rank_label_quality": 1 - noise, "rank_loss": 0.5, "importance": 1 - noise, "noise": noise}
    )
    found = decide(relevant, relevant.astype(float), combined)
    assert (found["decision"][:6] == "relabel").all()
    assert (found["decision"][10:] == "keep").all()
    assert (found["decision"][6:10] == "drop").all()
    # The other label is suggested where the label given is not believed, and nowhere else.
    assert found["suggested_label"][:10].tolist() == (1.0 - relevant[:10]).tolist()
    assert found["suggested_label"][10:].isna().all()
    assert found["reason"].isin(["relabel_candidate", "likely_mislabelled", "label_plausible"]).all()


def test_rows_of_one_class_are_all_kept():
    combined = pd.DataFrame({"rank_loss": [0.5] * 4, "importance": [0.5] * 4, "noise": [0.9] * 4})
    assert (decide(np.ones(4, dtype=bool), np.ones(4), combined)["decision"] == "keep").all()


def test_a_grade_more_likely_wrong_than_right_is_an_issue_and_a_sure_other_one_is_suggested():
    combined = pd.DataFrame({"noise": [0.3, 0.6, 0.9, 0.95]})
    second = SecondOpinion(np.array([1.0, 0.5, 0.25, 0.75]), np.array([0.2, 0.5, 0.85, 0.4]), True)
    found = decide(np.array([True, False, True, False]), np.array([0.75, 0.25, 1.0, 0.0]), combined, second)
    assert found["decision"].tolist() == ["keep", "drop", "relabel", "drop"]
    assert np.isnan(found["suggested_label"][0])
    assert found["suggested_label"][1:].tolist() == [0.5, 0.25, 0.75]
