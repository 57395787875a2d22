import ir_measures
import numpy as np
import pytest
from assay.components.core.metrics import (
    GAINS,
    Lists,
    auc_of,
    expected_calibration_error,
    interval,
    list_draws,
    mean_draws,
    nested_bootstrap,
    over_trainings,
    paired_bootstrap,
)
from ir_measures import RR, nDCG
from scipy.stats import t
from sklearn.metrics import ndcg_score

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


@pytest.mark.parametrize("gain", ["linear", "exponential"])
def test_ndcg_of_lists_of_any_length_is_that_of_scikit_learn(gain):
    sizes = RNG.integers(2, 25, 40)
    n = sizes.sum()
    data = Lists(
        np.repeat([f"g{i:02d}" for i in range(40)], sizes),
        RNG.integers(0, 4, n).astype(float),
        np.array([f"s{i:05d}" for i in RNG.permutation(n)]),
        1.0,
        gain,
    )
    scores = RNG.normal(size=n)
    gains = GAINS[gain](data.grades)
    expected = [ndcg_score([gains[rows]], [scores[rows]], k=10) for rows in data.ranked()]
    assert data.ndcg(scores) == pytest.approx(expected, abs=1e-12)


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


def trained(data, quality, spread, seed=7):
    """(k, n) scores of trainings that follow the grade as closely as each one's quality says."""
    rng = np.random.default_rng(seed)
    return np.stack([data.grades * q + rng.normal(size=len(data.grades)) * spread for q in quality])


@pytest.mark.parametrize("metric", ["ndcg@10", "auc"])
def test_draws_of_many_models_are_those_of_the_paired_bootstrap(metric):
    data = lists()
    scores = trained(data, [1.0, 0.3], 1.0)
    values, draws = list_draws(data, scores, metric, seed=3, resamples=1000)
    found = paired_bootstrap(data, *scores, metric, 3, 1000)
    assert found["difference"] == pytest.approx(values[0] - values[1])
    assert (found["low"], found["high"]) == pytest.approx(interval(draws[0] - draws[1]))
    low, high = interval(draws[0])
    assert low < values[0] < high


def test_weighted_auc_is_that_of_scikit_learn():
    data = lists(groups=8)
    weights = RNG.integers(0, 3, (4, len(data.grades))).astype(float)
    scores = np.round(RNG.normal(size=len(data.grades)), 1)  # with ties
    expected = [data.auc(scores, one) for one in weights]
    assert auc_of(scores, data.relevant, weights.T) == pytest.approx(expected, abs=1e-12)
    one_class = np.where(data.relevant, 1.0, 0.0)[:, None]
    assert auc_of(scores, data.relevant, one_class).tolist() == [0.5]


def test_one_training_each_is_the_paired_bootstrap_to_the_last_bit():
    first, second = RNG.random((2, 70))
    rng, paired = np.random.default_rng(9), first - second
    means = np.concatenate([paired[rng.integers(0, 70, (500, 70))].mean(1) for _ in range(3)])
    low, high = np.quantile(means, [0.025, 0.975])
    tail = (1 + min((means <= 0).sum(), (means >= 0).sum())) / (1 + len(means))
    expected = {"difference": paired.mean(), "low": low, "high": high, "p": min(1.0, 2 * tail)}
    assert nested_bootstrap(first, second, 9, 1500) == expected
    assert nested_bootstrap(first[None], second[None], 9, 1500) == expected


@pytest.mark.parametrize("between", [0.0, 0.2, 1.0])
def test_the_interval_holds_the_variance_between_trainings_and_that_between_lists(between):
    k, count = 30, 200
    rng = np.random.default_rng(5)
    of_training, of_list = between * rng.normal(size=(k, 1)), 0.6 * rng.normal(size=count)
    found = nested_bootstrap(of_training + of_list, np.zeros((k, count)), 3)
    trainings, of_lists = of_training.var(ddof=1) / k, of_list.var() / count
    # Student's quantile at 29 degrees of freedom is 4 % above the normal one: more is not to be expected.
    half = np.sqrt(trainings + of_lists) * (1.96 + (t.ppf(0.975, k - 1) - 1.96) * (trainings > of_lists))
    assert (found["high"] - found["low"]) / 2 == pytest.approx(half, rel=0.04)
    assert found["difference"] == pytest.approx((of_training + of_list).mean())


@pytest.mark.parametrize("metric", ["ndcg@10", "auc"])
def test_equal_trainings_give_the_interval_of_one(metric):
    data = lists()
    first, second = trained(data, [1.0, 0.6], 1.0)
    once = paired_bootstrap(data, first, second, metric, 1, 2000)
    for k in (2, 5):
        many = paired_bootstrap(data, np.stack([first] * k), np.stack([second] * k), metric, 1, 2000)
        assert many == pytest.approx(once, abs=1e-12)
        assert paired_bootstrap(data, np.stack([first] * k), second, metric, 1, 2000) == pytest.approx(once)


def test_models_that_are_equal_differ_by_nothing_at_all():
    data = lists()
    scores = trained(data, [1.0, 0.8, 0.6], 1.0)
    assert paired_bootstrap(data, scores, scores, "ndcg@10", resamples=500) == {
        "difference": 0.0,
        "low": 0.0,
        "high": 0.0,
        "p": 1.0,
    }


@pytest.mark.parametrize("k", [3, 5])
def test_what_trainings_differ_by_widens_the_interval_as_student_says(k):
    """Lists that all say the same: what is left is the interval of a mean of k trainings."""
    values = np.random.default_rng(k).normal(size=k)
    each = values[:, None] + np.zeros((k, 50))
    draws = over_trainings(values, mean_draws(each), seed=2)
    error = values.std(ddof=1) / np.sqrt(k)
    # The bootstrap's own variance is that of the mean; the stretch is from the normal to Student's quantile.
    assert draws.std() == pytest.approx(error * t.ppf(0.975, k - 1) / 1.96, rel=0.03)
    assert draws.mean() == pytest.approx(values.mean(), abs=0.05 * draws.std())


def test_trainings_are_drawn_in_pairs():
    """Both arms have good and bad seeds, and the same ones: the difference hardly varies."""
    data = lists(groups=60)
    luck = np.array([2.0, 0.2, 1.0])
    first, second = trained(data, luck * 1.2, 0.5, seed=1), trained(data, luck, 0.5, seed=1)
    paired = paired_bootstrap(data, first, second, "ndcg@10", resamples=2000)
    crossed = paired_bootstrap(data, first, second[[1, 2, 0]], "ndcg@10", resamples=2000)
    assert paired["difference"] == pytest.approx(crossed["difference"])
    assert crossed["high"] - crossed["low"] > 3 * (paired["high"] - paired["low"])
    with pytest.raises(ValueError, match="3 trainings cannot be paired with 2"):
        paired_bootstrap(data, first, second[:2], "ndcg@10")


@pytest.mark.parametrize(
    ("k", "of_training", "least"),
    # 95 % of 200 is 190. Of two or three trainings that say more than the lists do, too little is known.
    [(2, 0.3, 180), (3, 0.3, 180), (5, 0.3, 180), (2, 3.0, 150), (3, 3.0, 165), (5, 3.0, 175)],
)
def test_the_interval_over_trainings_covers_the_truth(k, of_training, least):
    """Training, list, and what they do to each other: three normal effects, the truth is 0."""
    rng = np.random.default_rng([k, int(of_training)])
    lists_, covered, trials = 40, 0, 200
    for trial in range(trials):
        of_list = rng.normal(size=lists_)
        # In units of what the lists' mean varies by.
        of_seed = rng.normal(size=(k, 1)) * of_training * np.sqrt(k / lists_)
        each = of_list + of_seed + 0.5 * rng.normal(size=(k, lists_))
        low, high = interval(over_trainings(each.mean(axis=1), mean_draws(each, trial, 500), trial))
        covered += low <= 0 <= high
    assert covered >= least
