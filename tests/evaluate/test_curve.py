"""The budget curve of predictions whose order is known."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from assay.components.core.metrics import Lists, paired_bootstrap
from assay.components.evaluate.curve import curve_of, enough
from assay.components.evaluate.curve_log import figures, log_curve
from assay.components.evaluate.curve_report import write_curve_report

STRENGTH = {
    "challenger@0.1": 1.0,
    "challenger@0.3": 3.0,
    "challenger@0.5": 3.0,
    "control@0.1": 0.2,
    "control@0.3": 0.6,
    "length@0.1": 2.5,
    "full": 1.5,
}
ROWS = {"0.1": 100, "0.3": 300, "0.5": 500, "": 1000}
FACTS = {
    "schema": 1,
    "metric": "ndcg@10",
    "gain": "exponential",
    "relevant_at": 1.0,
    "seed": 0,
    "samples": {"train": 1000},
    "groups": {"test": 40, "skipped": 0},
    "selection_seconds": 50.0,
    "training": {
        "model": "minilm",
        "ranker": "bi",
        "adapter": "lora",
        "epochs": 2,
        "batch_size": 16,
        "learning_rate": 0.002,
    },
}


def predictions(arms):
    """Scores that follow the grade as closely as an arm's strength says; the same noise for all."""
    rng = np.random.default_rng(0)
    size = 40 * 10
    grades, noise = rng.integers(0, 3, size).astype(float), rng.normal(size=size)
    ids = np.array([f"{n:04d}" for n in range(size)])
    lists = Lists(np.repeat([f"g{n:02d}" for n in range(40)], 10), grades, ids, 1.0)
    table = pd.DataFrame({name: grades * strength + noise for name, strength in arms.items()})
    for name, strength in (("random", 0.0), ("lexical", 0.1), ("base", 0.3)):
        table[name] = grades * strength + noise
    return lists, table


def manifests(arms):
    rows = [ROWS[name.partition("@")[2].partition(":")[0]] for name in arms]
    return {name: {"train_rows": n, "seconds": n / 10} for name, n in zip(arms, rows, strict=True)}


@pytest.fixture(scope="module")
def curve():
    lists, table = predictions(STRENGTH)
    return lists, table, curve_of(lists, table, manifests(STRENGTH), "ndcg@10", 0.005, 0)


def point(curve, arm, budget):
    return next(p for p in curve["points"] if (p["arm"], p["budget"]) == (arm, budget))


def test_every_figure_is_that_of_the_predictions(curve):
    lists, table, found = curve
    one = point(found, "challenger", "0.3")
    assert (
        one["mean"]
        == one["values"][0]
        == pytest.approx(lists.ndcg(table["challenger@0.3"].to_numpy()).mean())
    )
    assert one["low"] < one["mean"] < one["high"]
    assert (one["rows"], one["seconds"]) == (300, 30.0)
    for other, name in (("minus_control", "control@0.3"), ("minus_full", "full")):
        expected = paired_bootstrap(
            lists, table["challenger@0.3"].to_numpy(), table[name].to_numpy(), "ndcg@10", 0
        )
        assert one[other] == pytest.approx(expected)
    # Of a budget without a control, and of what would be compared with itself, nothing is said.
    assert point(found, "challenger", "0.5")["minus_control"] is None
    assert point(found, "control", "0.1")["minus_control"] is None
    assert point(found, "full", "")["minus_full"] is None
    assert found["lines"]["random"] < found["lines"]["base"]


def test_the_smallest_budget_that_is_enough_is_named(curve):
    _, _, found = curve
    assert found["enough"]["challenger"]["budget"] == "0.3"
    assert found["enough"]["challenger"]["agree"] == 1.0
    assert found["enough"]["control"]["budget"] == "0.3"
    assert set(found["enough"]) == {"challenger", "control"}


def test_what_is_within_epsilon_of_the_best_is_enough():
    points = [
        {"arm": "a", "budget": b, "rows": r, "mean": m}
        for b, r, m in (("0.1", 1, 0.70), ("0.3", 3, 0.796), ("0.5", 5, 0.80))
    ]
    draws = {("a", b): np.full(4, m) for b, m in (("0.1", 0.7), ("0.3", 0.796), ("0.5", 0.8))}
    draws["a", "0.1"] = np.array([0.7, 0.7, 0.7, 0.9])
    found = enough(points, draws, 0.01)["a"]
    assert (found["budget"], found["best"], found["agree"]) == ("0.3", "0.5", 0.75)
    # Nobody knows whether more would have been better still.
    assert found["open"]
    points[1]["mean"] = 0.85
    assert not enough(points, draws, 0.01)["a"]["open"]
    points[1]["mean"] = 0.796
    assert enough(points, draws, 0.001)["a"]["budget"] == "0.5"


def test_an_arm_that_beats_the_challenger_is_named(curve):
    _, _, found = curve
    [ahead] = found["ahead"]
    assert (ahead["arm"], ahead["budget"], ahead["low"] > 0) == ("length", "0.1", True)
    assert any(line.startswith("budget 0.1: length is ahead of the challenger") for line in found["says"])
    assert any(line.startswith("budget 0.1: gain, challenger minus control") for line in found["says"])


def test_repeats_are_one_point_and_its_interval_is_over_them_too():
    arms = {"challenger@0.1": 3.0, "challenger@0.1:1": 0.3, "control@0.1": 1.0, "control@0.1:1": 1.0}
    lists, table = predictions(arms)
    found = curve_of(lists, table, manifests(arms), "ndcg@10", 0.005, 0)
    assert (found["seeds"], found["resampled"]) == (2, "over retraining and test lists")
    mine, control = point(found, "challenger", "0.1"), point(found, "control", "0.1")
    assert mine["mean"] == pytest.approx(np.mean(mine["values"]))
    assert mine["values"][0] > mine["values"][1]
    assert mine["high"] - mine["low"] > 2 * (control["high"] - control["low"])


def test_the_report_needs_no_network_and_says_it_all(curve, tmp_path):
    _, _, found = curve
    facts = {"samples": {"train": 1000}, "data_sha256": "d" * 64, "code": "c"}
    for name in ("one", "two"):
        write_curve_report(tmp_path / f"{name}.html", FACTS | found, facts)
    html = (tmp_path / "one.html").read_text()
    assert html == (tmp_path / "two.html").read_text()
    assert not re.search(r"<script|<link|(src|href)=.?http|url\(http", html)
    assert "<svg" in html
    assert all(line in html for line in found["says"])
    # Selection (50 s) and training at 0.3 (30 s), against 100 s on all rows.
    assert "0.80" in html
    assert "over test lists, not over retraining" in html


def test_without_all_rows_nothing_is_said_of_them(tmp_path):
    arms = {"challenger@0.1": 1.0, "control@0.1": 0.5}
    lists, table = predictions(arms)
    found = curve_of(lists, table, manifests(arms), "ndcg@10", 0.005, 0)
    facts = {"samples": {"train": 1000}, "data_sha256": "d" * 64, "code": "c"}
    write_curve_report(tmp_path / "report.html", FACTS | found, facts)
    assert "path / full" not in (tmp_path / "report.html").read_text()
    assert found["enough"] == {}


def test_mlflow_has_a_curve_and_only_once(curve, tmp_path, monkeypatch):
    from assay.components.core import tracking

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    _, _, found = curve
    (tmp_path / "curve.json").write_text(json.dumps(FACTS | found))
    (tmp_path / "report.html").write_text("<html></html>")
    given = (FACTS | found, str(tmp_path), str(tmp_path / "report.html"), "tiny", "0123456789abcdef")
    run = log_curve(*given)
    assert log_curve(*given) == run
    assert log_curve(*given[:-1], "f" * 16) != run
    client = tracking.connect()
    history = client.get_metric_history(run, "challenger.ndcg_at_10")
    assert [(m.step, m.value) for m in sorted(history, key=lambda m: m.step)] == [
        (p["rows"], pytest.approx(p["mean"])) for p in found["points"] if p["arm"] == "challenger"
    ]
    assert len(client.get_metric_history(run, "random.ndcg_at_10")) == 4
    assert {file.path for file in client.list_artifacts(run)} == {"curve.json", "report.html"}
    # Three lines over four numbers of rows; of each point three figures, and three a comparison.
    assert len(figures(FACTS | found)) == 3 * 4 + 7 * 3 + (3 + 6) * 3
