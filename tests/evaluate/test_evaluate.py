"""What a finished run says of itself can be recomputed from its files."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from assay.components.core.manifest import read_manifest, write_json
from assay.components.core.metrics import Lists, paired_bootstrap
from assay.components.evaluate import evaluate as evaluated
from assay.components.evaluate.evaluate import Inputs, evaluate
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from sklearn.metrics import roc_auc_score


@pytest.fixture(scope="module")
def lists(tiny_run):
    table = pd.read_parquet(tiny_run.summary["files"]["predictions"])
    return table, Lists(
        table["group_id"].to_numpy(str),
        table["grade"].to_numpy(float),
        table["sample_id"].to_numpy(str),
        1.0,
        tiny_run.summary["gain"],
    )


@pytest.mark.parametrize("model", ["random", "lexical", "base", "control", "challenger", "full"])
def test_results_are_those_of_the_predictions(tiny_run, lists, model):
    table, ranked = lists
    found = tiny_run.summary["results"][model]
    assert found["ndcg@10"] == pytest.approx(ranked.ndcg(table[model].to_numpy()).mean())
    assert found["mrr"] == pytest.approx(ranked.reciprocal_rank(table[model].to_numpy()).mean())
    assert found["auc"] == pytest.approx(roc_auc_score(table["grade"] >= 1, table[model]))


def test_comparisons_are_those_of_the_predictions(tiny_run, lists):
    table, ranked = lists
    for pair in ("challenger-control", "challenger-base", "challenger-full"):
        one, two = pair.split("-")
        expected = paired_bootstrap(ranked, table[one].to_numpy(), table[two].to_numpy(), "ndcg@10", 0)
        assert tiny_run.summary["comparisons"][pair] == pytest.approx(expected)
    assert tiny_run.summary["comparisons"]["challenger-champion"] is None
    assert tiny_run.summary["results"]["champion"] is None


def test_noise_figures_are_those_of_scores_and_truth(tiny_run):
    scores = pd.read_parquet(tiny_run.summary["files"]["scores"])
    truth = pd.read_parquet(tiny_run.out / "truth" / "truth.parquet").set_index("sample_id")
    flipped = truth.loc[scores["sample_id"], "flipped"].to_numpy()
    flagged = scores["decision"].isin(["drop", "relabel"]).to_numpy()
    noise = tiny_run.summary["noise"]
    assert noise["rate"] == 0.2
    assert noise["auroc"] == pytest.approx(roc_auc_score(flipped, scores["noise"]))
    assert noise["precision"] == pytest.approx(flipped[flagged].mean())
    assert noise["recall"] == pytest.approx(flagged[flipped].mean())


def test_every_arm_but_full_trains_on_as_many_rows(tiny_run):
    results, selected = tiny_run.summary["results"], tiny_run.summary["selected"]
    assert selected == int(0.4 * tiny_run.summary["samples"]["train"] + 0.5)
    assert results["challenger"]["train_rows"] == results["control"]["train_rows"] == selected
    assert results["full"]["train_rows"] == tiny_run.summary["samples"]["train"]
    assert results["challenger"]["train_steps"] == results["control"]["train_steps"] > 0


def test_the_plan_on_vectors_stands_beside_the_run(tiny_run):
    own, vectors = tiny_run.summary["plans"].values()
    cost = tiny_run.summary["cost"]
    assert own["seconds"] == pytest.approx(cost["selection_seconds"], abs=0.3)
    parts = cost["parts"]
    assert parts["embed"] < vectors["seconds"] <= parts["embed"] + parts["score"] + parts["select"] + 0.3
    truth = pd.read_parquet(tiny_run.out / "truth" / "truth.parquet").set_index("sample_id")["flipped"]
    selection = pd.read_parquet(tiny_run.summary["files"]["selection"])
    ids = selection.loc[selection["arm"] == "challenger", "sample_id"]
    assert own["wrong"] == pytest.approx(truth.loc[ids].mean())
    assert 0 < vectors["shared"] < 1


def test_the_cost_line_adds_up(tiny_run):
    cost, seconds = tiny_run.summary["cost"], tiny_run.summary["seconds"]
    assert cost["ratio"] == pytest.approx(
        (cost["selection_seconds"] + cost["challenger_seconds"]) / cost["full_seconds"], abs=0.001
    )
    assert cost["selection_seconds"] == pytest.approx(
        sum(seconds[s] for s in ("embed", "warmup", "score", "select")), abs=0.3
    )
    assert cost["selection_seconds"] == pytest.approx(sum(cost["parts"].values()), abs=0.3)
    assert cost["parts"]["embed"] == seconds["embed"]
    assert cost["parts"]["select"] == seconds["select"]
    assert seconds["total"] == pytest.approx(sum(v for k, v in seconds.items() if k != "total"), abs=0.5)
    assert all(v > 0 for k, v in seconds.items() if k != "promote")


def test_the_data_map_shows_every_row_of_a_training(tiny_run):
    html = (tiny_run.out / "report.html").read_text()
    assert "Data map of the full" in html  # the arm that says most of the log
    shown = [int(n) for n in re.findall(r"(?:other|looks mislabelled) \((\d+)\)", html)]
    assert sum(shown[-2:]) == tiny_run.summary["results"]["full"]["train_rows"]


def test_the_report_is_one_file_that_says_the_verdict_first_and_needs_no_network(tiny_run):
    html = (tiny_run.out / "report.html").read_text()
    body = html[html.index("<body>") :]
    assert (
        body.index("verdict")
        < body.index("<svg")
        < body.index("most valuable")
        < body.index("most suspicious")
    )
    outside = (
        html.replace("http://www.w3.org", "")
        .replace("http://purl.org", "")
        .replace("http://creativecommons.org", "")
    )
    assert "http" not in outside.replace("https://matplotlib.org/", "")
    assert "<script" not in html
    assert f"{tiny_run.summary['results']['challenger']['ndcg@10']:.4f}" in html


def test_trainings_and_baselines_beside_a_finished_run(tmp_path, tiny_run):
    """Rankers of the run under other names: the second trainings are its full and its control."""
    vectors, scores, truth, chosen = (
        next(tiny_run.out.glob(f"steps/**/{name}/manifest.json")).parent
        for name in ("vectors", "scores", "truth", "selection")
    )
    rankers = {
        read_manifest(f.parent)["arm"]: str(f.parent) for f in tiny_run.out.glob("steps/**/model/*.json")
    }
    selection = tmp_path / "selection"
    shutil.copytree(chosen, selection)
    rows = pd.read_parquet(selection / "selection.parquet")
    longest = rows[rows["arm"] == "full"].assign(arm="length", why="the rows with the longest texts")
    pd.concat([rows, longest]).to_parquet(selection / "selection.parquet", index=False)
    auto = {
        "budget": 0.4, "rows": 96, "metric": 0.5, "low": 0.4, "high": 0.6,
        "control": 0.4, "control_low": 0.3, "control_high": 0.5, "chosen_in": 1.0,
    }  # fmt: skip
    about = read_manifest(selection)
    about["facts"]["auto"] = {"curve": [auto], "chosen": 96, "epsilon": 0.005, "metric": "ndcg@10"}
    write_json(selection / "manifest.json", about)
    models = {
        "challenger": rankers["challenger"],
        "control": rankers["control"],
        "challenger:1": rankers["full"],
        "control:1": rankers["control"],
        "length": rankers["full"],
    }
    inputs = Inputs(
        str(tiny_run.out / "samples"), str(vectors), str(scores), str(selection), str(truth), models
    )
    report = tmp_path / "report.html"
    found = evaluate(
        inputs,
        str(tmp_path / "predictions"),
        str(tmp_path / "evidence"),
        str(report),
        "tiny",
        champion_seen="none",
    )
    was = tiny_run.summary["results"]
    each = [was["challenger"]["ndcg@10"], was["full"]["ndcg@10"]]
    assert found["results"]["challenger"]["ndcg@10"] == pytest.approx(np.mean(each))
    assert found["results"]["challenger"]["sd"] == pytest.approx(np.std(each, ddof=1))
    assert found["results"]["challenger"]["train_rows"] == was["challenger"]["train_rows"]
    assert found["resampled"] == "over seeds and test lists"
    assert found["gate"]["reasons"] == tiny_run.summary["gate"]["reasons"][: len(found["gate"]["reasons"])]
    difference = found["baselines"]["length"]["difference"]
    assert difference == pytest.approx(found["comparisons"]["challenger-length"]["difference"])
    assert difference == pytest.approx(each[0] - each[1])
    table = pd.read_parquet(tmp_path / "predictions" / "predictions.parquet")
    assert np.array_equal(table["challenger:1"], table["length"])
    kept = found["card"]["rows"]
    assert (kept["before"], kept["after"]) == (tiny_run.summary["samples"]["train"], found["selected"])
    html = report.read_text()
    for words in (
        "the rows with the longest texts",
        "over seeds and test lists",
        "means of 2 trainings an arm",
        "<code>assay curve</code>",
        "the fewest within 0.5 % of the best",
        "Card of the chosen rows",
    ):
        assert words in html


def test_user_text_is_escaped_in_the_report(tmp_path, tiny_run):
    from assay.components.core.samples import read_samples
    from assay.components.evaluate.report import write_report

    scores = pd.read_parquet(tiny_run.summary["files"]["scores"])
    train = read_samples(tiny_run.out / "samples", ["train"])
    train["item"] = "<script>alert(1)</script>"
    evidence = json.loads(next(tiny_run.out.glob("steps/*/evaluate/evidence/evidence.json")).read_text())
    selection = pd.read_parquet(tiny_run.summary["files"]["selection"])
    dynamics = pd.read_parquet(next(tiny_run.out.glob("steps/*/*/*/model/dynamics.parquet")))
    facts = read_manifest(tiny_run.out / "samples")
    write_report(tmp_path / "r.html", evidence, facts, scores, selection, train, ("control", dynamics))
    html = (tmp_path / "r.html").read_text()
    assert "<script" not in html
    assert "&lt;script&gt;" in html


def test_predictions_hold_every_test_row_once(tiny_run, lists):
    table, _ = lists
    assert len(table) == tiny_run.summary["samples"]["test"]
    assert table["sample_id"].is_unique
    assert np.isfinite(table.drop(columns=["sample_id", "group_id"]).to_numpy()).all()


def test_the_report_says_where_rows_went_and_what_positions_told(tmp_path):
    ledger = {"rows_in": 9, "rows_out": 4, "added": {}, "dropped": {"bot_session": 5}, "repaired": {},
              "noted": {"empty_context": 2}, "examples": {"bot_session": ["<session> 1"] * 9}}  # fmt: skip
    page = Environment(
        loader=FileSystemLoader(Path(evaluated.__file__).parent), autoescape=True, undefined=StrictUndefined
    ).get_template("ledger.html")
    facts = {"ledger": ledger, "samples": {"train": 4}}
    said = page.render(facts=facts)
    assert said.count("&lt;session&gt; 1") == 3
    assert "9 rows read, 4 samples" in said
    assert "Position bias" not in said
    corrected = page.render(facts=facts | {"bias": {"asked": "pbm", "kept": "naive", "why": "It does harm."}})
    assert "Position bias (pbm): labels are <strong>naive</strong>. It does harm." in corrected
