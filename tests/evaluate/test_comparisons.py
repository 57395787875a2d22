"""Arms trained several times, and baselines beside them."""

import numpy as np
import pandas as pd
import pytest
from assay.components.core.metrics import Lists, paired_bootstrap
from assay.components.evaluate.comparisons import Judged, baselines_of, best_arm, says, trainings

ONCE = ["challenger", "control", "full"]
TWICE = ["challenger", "control", "challenger:1", "control:1", "loss", "loss:1", "rds", "rds:1"]
STRENGTH = {"challenger": 1.0, "control": 0.6, "full": 0.9, "base": 0.4, "loss": 0.1, "rds": 2.5}


def judged(arms, metric="ndcg@10", extra=()):
    rng = np.random.default_rng(3)
    n = 60 * 8
    lists = Lists(
        np.repeat([f"g{i:02d}" for i in range(60)], 8),
        rng.integers(0, 3, n).astype(float),
        np.array([f"s{i:04d}" for i in range(n)]),
        1.0,
    )
    table = pd.DataFrame(
        {
            name: STRENGTH.get(name.split(":")[0], 0.0) * lists.grades + rng.normal(size=n)
            for name in ["random", "lexical", "base", *arms, *extra]
        }
    )
    return Judged(lists, table, trainings(arms), metric, 7)


def manifests(arms):
    return {arm: {"train_rows": 100 + k, "train_steps": 10 * k} for k, arm in enumerate(arms)}


def test_one_training_an_arm_says_what_it_always_said():
    run = judged(ONCE)
    results, comparisons = run.results(manifests(ONCE)), run.comparisons()
    assert list(results) == ["random", "lexical", "base", "control", "challenger", "full", "champion"]
    assert list(results["control"]) == ["ndcg@10", "auc", "mrr", "train_rows", "train_steps"]
    assert (results["control"]["train_rows"], results["base"]["train_rows"]) == (101, 0)
    assert list(comparisons) == [f"challenger-{n}" for n in ("control", "base", "full", "champion")]
    assert results["champion"] is comparisons["challenger-champion"] is None
    scores = (run.table[name].to_numpy() for name in ("challenger", "control"))
    assert comparisons["challenger-control"] == paired_bootstrap(run.lists, *scores, "ndcg@10", 7)
    assert comparisons["challenger-base"] == run.once("base")
    assert run.resampled == "over test lists, not over retraining"


@pytest.mark.parametrize("metric", ["ndcg@10", "auc"])
def test_several_trainings_are_one_line_with_their_mean_and_what_they_differ_by(metric):
    run = judged(TWICE, metric, ["champion"])
    results = run.results(manifests(TWICE))
    assert list(results)[7:] == ["loss", "rds"]
    each = [run.lists.results(run.table[name].to_numpy(), metric) for name in ("control", "control:1")]
    found = results["control"]
    assert found[metric] == pytest.approx((each[0][metric] + each[1][metric]) / 2)
    assert found["mrr"] == pytest.approx((each[0]["mrr"] + each[1]["mrr"]) / 2)
    assert found["sd"] == pytest.approx(abs(each[0][metric] - each[1][metric]) / np.sqrt(2))
    assert (found["seeds"], found["train_rows"], found["first"]) == (2, 101, each[0][metric])
    assert "sd" not in results["champion"]
    comparisons = run.comparisons()
    assert list(comparisons)[4:] == ["challenger-loss", "challenger-rds"]
    pairs = (run.table[[name, f"{name}:1"]].to_numpy().T for name in ("challenger", "control"))
    assert comparisons["challenger-control"] == paired_bootstrap(run.lists, *pairs, metric, 7)
    for name in ("control", "champion", "base"):
        difference = results["challenger"][metric] - results[name][metric]
        assert comparisons[f"challenger-{name}"]["difference"] == pytest.approx(difference)
    assert run.resampled == "over seeds and test lists"
    # The gate is about the one training that is registered.
    one = run.lists.results(run.table["challenger"].to_numpy(), metric)[metric]
    assert run.once("base")["difference"] == pytest.approx(one - results["base"][metric])


def test_only_the_repeats_of_both_are_compared():
    arms = ["challenger", "challenger:1", "challenger:2", "control:2", "control"]
    run = judged(arms)
    both = (run.table[[name, f"{name}:2"]].to_numpy().T for name in ("challenger", "control"))
    assert run.comparisons()["challenger-control"] == paired_bootstrap(run.lists, *both, "ndcg@10", 7)


def test_a_baseline_that_wins_is_named_and_one_that_loses_is_not_called_a_win():
    run = judged(TWICE)
    results = run.results(manifests(TWICE))
    words = {"loss": "the rows it gets most wrong", "rds": "rows like the trusted ones"}
    found = baselines_of(run.comparisons(), words)
    assert best_arm(results, run.arms, "ndcg@10") == "rds"
    assert (found["rds"]["wins"], found["loss"]["wins"]) == (True, False)
    assert found["rds"]["difference"] < 0 < found["loss"]["low"]
    lines = says(found)
    assert lines[0].startswith("The baseline rds (rows like the trusted ones) beats the challenger by ")
    assert "certainty" in lines[1]
    assert "loss" in lines[1]
    assert len(lines) == 2


def test_where_no_baseline_is_beaten_the_report_says_so():
    near = {"difference": 0.01, "low": -0.01, "high": 0.03, "p": 0.4}
    found = baselines_of({"challenger-length": near}, {"length": "the longest"})
    assert not found["length"]["wins"]
    assert says(found) == [
        "The challenger beats none of the baselines with certainty.",
        "It cannot be told from length.",
    ]
    assert says({}) == []


def test_points_are_means_over_trainings_with_intervals_that_hold_them():
    run = judged(TWICE)
    points = {point["arm"]: point for point in run.points(manifests(TWICE))}
    assert list(points) == ["challenger", "control", "loss", "rds"]
    results = run.results(manifests(TWICE))
    for arm, point in points.items():
        assert point["metric"] == pytest.approx(results[arm]["ndcg@10"])
        assert point["low"] < point["metric"] < point["high"]
        assert point["rows"] == results[arm]["train_rows"]


def test_a_tie_is_the_challengers():
    results = {name: {"auc": 0.7} for name in ("control", "challenger", "full")}
    assert best_arm(results, list(results), "auc") == "challenger"
