import ir_measures
import numpy as np
import pytest
from assay.components.core.metrics import Lists, expected_calibration_error, paired_bootstrap
from ir_measures import RR, nDCG

RNG = np.random.default_rng(0)


def lists(groups=30, items=12, gain="linear") -> Lists:
    n = groups * items
    return Lists(
        np.repeat([f"g{i:02d}" for i in range(groups)], items),
        RNG.integers(0, 4, n).astype(float),
        np.array([f"s{i:05d}" for i in RNG.permutation(n)]),
        relevant_at=1.5,
        gain=gain,
    )


def test_ndcg_and_mrr_equal_trec_eval():
    data = lists()
    scores = RNG.normal(size=len(data.groups))
    qrels, run = [], []
    for group, grade, sample, score in zip(data.groups, data.grades, data.sample_ids, scores, strict=True):
        qrels.append(ir_measures.Qrel(group, sample, int(grade)))
        run.append(ir_measures.ScoredDoc(group, sample, float(score)))
    peers = ir_measures.calc_aggregate([nDCG @ 10, RR(rel=2)], qrels, run)
    assert data.ndcg(scores).mean() == pytest.approx(peers[nDCG @ 10], abs=1e-9)
    assert data.reciprocal_rank(scores).mean() == pytest.approx(peers[RR(rel=2)], abs=1e-9)


def test_exponential_gain_by_hand():
    data = Lists(
        np.array(["g"] * 3), np.array([0.0, 1.0, 3.0]), np.array(["a", "b", "c"]), 1.0, "exponential"
    )
    found = data.ndcg(np.array([3.0, 2.0, 1.0]))[0]
    ideal = 7 + 1 / np.log2(3)
    assert found == pytest.approx((1 / np.log2(3) + 7 / 2) / ideal)


def test_ties_are_broken_by_sample_id_never_by_input_order():
    data = lists()
    tied = np.zeros(len(data.groups))
    order = RNG.permutation(len(tied))
    shuffled = Lists(data.groups[order], data.grades[order], data.sample_ids[order], 1.5, "linear")
    assert np.array_equal(data.ndcg(tied), shuffled.ndcg(tied))
    assert data.results(tied, "ndcg@10") == shuffled.results(tied, "ndcg@10")


def test_lists_without_a_relevant_row_or_of_one_row_are_left_out_and_counted():
    data = Lists(
        np.array(["one", "none", "none", "fine", "fine"]),
        np.array([1.0, 0.0, 0.0, 0.0, 1.0]),
        np.array(list("abcde")),
        1.0,
    )
    assert (len(data.ranked()), data.skipped()) == (1, 2)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(1)
    covered = 0
    for trial in range(60):
        data = Lists(
            np.repeat(np.arange(40).astype(str), 6),
            rng.integers(0, 2, 240).astype(float),
            np.array([f"{i:04d}" for i in range(240)]),
            1.0,
        )
        # Two rankings that are equally good by construction: the true difference is 0.
        found = paired_bootstrap(
            data, rng.normal(size=240), rng.normal(size=240), "ndcg@10", trial, resamples=1000
        )
        covered += found["low"] <= 0 <= found["high"]
    assert covered >= 51  # 95 % of 60 is 57; fewer than 51 has probability below 0.2 %


def test_the_interval_of_many_lists_is_the_normal_one_at_95_percent():
    data = lists(groups=400)
    first, second = data.grades + RNG.normal(size=len(data.grades)), RNG.normal(size=len(data.grades))
    found = paired_bootstrap(data, first, second, "ndcg@10")
    differences = data.ndcg(first) - data.ndcg(second)
    half = 1.96 * differences.std(ddof=1) / np.sqrt(len(differences))
    assert found["difference"] == pytest.approx(differences.mean())
    # An interval at 90 % would be 16 % narrower.
    assert found["low"] == pytest.approx(differences.mean() - half, abs=0.06 * half)
    assert found["high"] == pytest.approx(differences.mean() + half, abs=0.06 * half)


@pytest.mark.parametrize("metric", ["ndcg@10", "auc"])
def test_bootstrap_sees_a_real_difference_and_its_sign(metric):
    data = lists()
    good, bad = data.grades + RNG.normal(size=len(data.grades)) * 0.3, RNG.normal(size=len(data.grades))
    found = paired_bootstrap(data, good, bad, metric, resamples=2000)
    assert 0 < found["low"] < found["difference"] < found["high"]
    assert found["p"] < 0.05
    swapped = paired_bootstrap(data, bad, good, metric, resamples=2000)
    assert swapped["difference"] == pytest.approx(-found["difference"])
    assert paired_bootstrap(data, good, good, metric, resamples=2000)["p"] == 1.0


def test_calibration_error_of_a_calibrated_and_a_boastful_model():
    probability = RNG.random(20_000)
    relevant = RNG.random(20_000) < probability
    assert expected_calibration_error(probability, relevant) < 0.02
    assert expected_calibration_error(np.where(relevant, 1.0, 1.0), relevant) == pytest.approx(0.5, abs=0.02)
