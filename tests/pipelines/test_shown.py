"""What a terminal shows of a run, from made-up summaries."""

import json

from assay.pipelines.shown import of_baselines, show_run


def difference(low, value, high):
    return {"difference": value, "low": low, "high": high, "p": 0.1}


def plan(seconds, shared, wrong):
    return {"methods": ["el2n"], "seconds": seconds, "spearman": 0.9, "shared": shared, "wrong": wrong}


def written(folder, **more):
    result = {"ndcg@10": 0.8, "auc": 0.7, "mrr": 0.9, "train_rows": 100, "train_steps": 7}
    summary = {
        "verdict": "gain",
        "metric": "ndcg@10",
        "results": {"base": result, "challenger": result, "full": None},
        "comparisons": {"challenger-base": difference(0.01, 0.02, 0.03), "challenger-full": None},
        "resampled": "over test lists, not over retraining",
        "best_arm": "challenger",
        "baselines": {},
        "gate": {"passed": True, "against": "base"},
        "noise": None,
        "cost": {
            "selection_seconds": 50.0,
            "challenger_seconds": 40.0,
            "ratio": 0.75,
            "break_even_epochs": 1.25,
            "proof_seconds": 285.0,
        },
        "plans": {"this run": plan(50.0, 1.0, 0.02), "vectors": plan(12.4, 0.81, 0.035)},
        "wall_seconds": 60.0,
        "model": {"name": "tiny", "version": "1", "alias": "champion"},
        "files": {"report": "report.html"},
    }
    (folder / "summary.json").write_text(json.dumps(summary | more))


def test_one_training_says_what_its_intervals_are_over(tmp_path, capsys):
    written(tmp_path)
    show_run(tmp_path)
    said = capsys.readouterr().err
    assert "intervals over test lists, not over retraining" in said
    assert "0.75 of training on all rows, even from 1.2 epochs on" in said
    assert "CPU seconds of the proof: 285" in said
    assert "plan vectors would have taken 12 CPU seconds of selection and chosen 81% of these rows" in said
    assert "wrong labels 3.5% against 2.0%" in " ".join(said.split())
    assert "this run would" not in said
    assert "sd" not in said
    assert "best of" not in said


def test_several_trainings_show_their_number_and_deviation(tmp_path, capsys):
    trained = {"ndcg@10": 0.8, "auc": 0.7, "mrr": 0.9, "train_rows": 100, "train_steps": 7}
    plain = {**trained, "train_rows": 0, "train_steps": 0}
    results = {"base": plain, "challenger": trained | {"seeds": 3, "sd": 0.0123}}
    written(tmp_path, results=results, resampled="over seeds and test lists", best_arm="dsir")
    show_run(tmp_path)
    said = capsys.readouterr().err
    assert "0.0123" in said
    assert "intervals over seeds and test lists" in said
    assert "the best of the trained arms: dsir" in said


def test_a_baseline_that_wins_is_named_first():
    better, other = of_baselines(
        {
            "dsir": difference(-0.03, -0.02, -0.01),
            "rds": difference(-0.02, -0.004, 0.01),
            "loss": difference(0.1, 0.2, 0.3),
        }
    )
    assert better == "a baseline is better than the challenger: dsir (+0.0200 [+0.0100, +0.0300])"
    assert other.endswith("rds (+0.0040 [-0.0100, +0.0200])")
    assert of_baselines({"loss": difference(0.1, 0.2, 0.3)}) == []
