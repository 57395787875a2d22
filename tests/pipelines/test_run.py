"""The chain end to end, through the real local runner."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from assay.components.core.samples import read_samples

from tests.conftest import assay, interrupt_at, tiny_arguments

KEYS = {
    "schema",
    "task",
    "seed",
    "ranker",
    "data",
    "samples",
    "groups",
    "budget",
    "selected",
    "metric",
    "relevant_at",
    "gain",
    "results",
    "comparisons",
    "resampled",
    "verdict",
    "best_arm",
    "baselines",
    "also",
    "rare",
    "full_ranking",
    "plans",
    "noise",
    "cost",
    "seconds",
    "wall_seconds",
    "gate",
    "model",
    "files",
}


PARTS = {
    "data": {"sha256": str, "rows_in": int, "dropped": dict, "repaired": dict, "noted": dict},
    "samples": dict.fromkeys(["train", "validation", "test", "target"], int),
    "groups": {"test": int, "skipped": int},
    "noise": dict.fromkeys(["rate", "auroc", "precision", "recall"], float),
    "cost": {
        **dict.fromkeys(
            ["selection_seconds", "challenger_seconds", "full_seconds", "ratio", "proof_seconds"], float
        ),
        "parts": dict,
    },
    "seconds": dict.fromkeys(
        [
            *("ingest", "embed", "warmup", "score", "select", "finetune"),
            *("evaluate", "register", "promote", "total"),
        ],
        float,
    ),
    "gate": {"passed": bool, "against": str, "reasons": list},
    "model": {"name": str, "version": str, "alias": str},
    "files": dict.fromkeys(["report", "samples", "scores", "selection", "predictions"], str),
}
RESULT = {"ndcg@10": float, "auc": float, "mrr": float, "train_rows": int, "train_steps": int}
COMPARISON = dict.fromkeys(["difference", "low", "high", "p"], float)


def test_the_summary_has_every_part(tiny_run):
    summary = tiny_run.summary
    assert set(summary) == KEYS
    assert (summary["schema"], summary["task"], summary["budget"]) == (1, "search", 0.4)
    assert all(type(summary[key]) is int for key in ("seed", "selected"))
    assert summary["verdict"] in ("gain", "no significant gain", "loss")
    assert (summary["model"]["name"], summary["model"]["version"]) == ("tiny", "1")
    assert summary["data"]["rows_in"] == 400
    assert all(Path(file).exists() for file in summary["files"].values())
    models = ["random", "lexical", "base", "tfidf_lr", "control", "challenger", "full", "champion"]
    assert list(summary["results"]) == models
    assert summary["results"]["champion"] is None
    parts = {key: (summary[key], types) for key, types in PARTS.items()}
    parts |= {m: (summary["results"][m], RESULT) for m in models if m != "champion"}
    pairs = {f"challenger-{m}" for m in ("control", "base", "full", "champion", "tfidf_lr")}
    assert set(summary["comparisons"]) == pairs
    assert summary["comparisons"]["challenger-champion"] is None
    parts |= {p: (summary["comparisons"][p], COMPARISON) for p in pairs - {"challenger-champion"}}
    # None where training on all rows took no longer, which a clock may say of a run so small.
    cost = dict(summary["cost"])
    even = cost.pop("break_even_epochs")
    assert even is None or even > 0
    parts["cost"] = (cost, PARTS["cost"])
    for part, (found, types) in parts.items():
        assert {key: type(value) for key, value in found.items()} == types, part


def test_every_figure_can_be_recomputed_from_the_predictions(tiny_run):
    from assay.components.core.metrics import Lists, paired_bootstrap

    summary, table = tiny_run.summary, pd.read_parquet(tiny_run.out / "predictions.parquet")
    lists = Lists(
        *(table[c].to_numpy() for c in ("group_id", "grade", "sample_id")),
        summary["relevant_at"],
        summary["gain"],
    )
    for model, expected in summary["results"].items():
        if expected:
            found = lists.results(table[model].to_numpy(), summary["metric"])
            assert found == pytest.approx({key: expected[key] for key in found}), model
    found = paired_bootstrap(lists, table["challenger"].to_numpy(), table["control"].to_numpy(), "ndcg@10")
    assert found == pytest.approx(summary["comparisons"]["challenger-control"])


def test_the_last_line_of_stdout_is_the_summary_and_progress_is_on_stderr(tiny_run):
    assert tiny_run.result.stdout.strip().splitlines() == [
        str(tiny_run.out.relative_to(tiny_run.folder) / "summary.json")
    ]
    for step in ("ingest", "embed", "score", "evaluate", "register"):
        assert step in tiny_run.result.stderr
    assert "challenger" in tiny_run.result.stderr


def test_the_run_and_its_registry_are_where_the_contract_says(tiny_run):
    assert tiny_run.out.parent == tiny_run.folder / "runs"
    assert (tiny_run.folder / "runs" / "mlflow.db").is_file()
    assert sorted(p.name for p in tiny_run.folder.iterdir()) == ["runs"]


def test_scores_and_selection_have_the_columns_of_the_contract(tiny_run):
    scores = pd.read_parquet(tiny_run.out / "scores.parquet")
    methods = {"label_quality", "knn_shapley", "influence", "el2n", "margin", "loss"}
    assert methods | {"sample_id", "group_id", "item_id", "importance", "decision", "reason"} <= set(scores)
    assert scores["importance"].between(0, 1).all()
    assert scores["suggested_label"].isna().equals(scores["decision"] == "keep")
    selection = pd.read_parquet(tiny_run.out / "selection.parquet")
    assert list(selection) == [
        "sample_id",
        "group_id",
        "item_id",
        "arm",
        "label",
        "weight",
        "importance",
        "decision",
        "reason",
        "why",
    ]
    train = read_samples(tiny_run.out / "samples", ["train"])
    assert set(scores["sample_id"]) == set(train["sample_id"]) >= set(selection["sample_id"])


def test_the_same_command_again_does_nothing_twice(tiny_run, pairs_file, tiny_encoder):
    before = (tiny_run.out / "selection.parquet").read_bytes()
    result = assay(*tiny_arguments(pairs_file, tiny_encoder), "--with-full", cwd=tiny_run.folder)
    assert result.returncode == 0, result.stderr[-2000:]
    assert result.stderr.count("Executing task") <= 2 + result.stderr.count("Executing task 'condition")
    assert (tiny_run.out / "selection.parquet").read_bytes() == before
    again = json.loads((tiny_run.out / "summary.json").read_text())
    assert {k: again[k] for k in ("results", "comparisons", "model", "verdict")} == {
        k: tiny_run.summary[k] for k in ("results", "comparisons", "model", "verdict")
    }


def test_report_shows_a_finished_run_and_misses_an_unfinished_one(tiny_run, tmp_path):
    shown = assay("report", "--out", tiny_run.out, cwd=tiny_run.folder)
    assert shown.returncode == 0
    assert tiny_run.summary["verdict"] in shown.stderr
    missing = assay("report", "--out", tmp_path, cwd=tmp_path)
    assert missing.returncode == 2
    assert "no finished run" in missing.stderr


STEPS = ["Executing task 'embed'", "finetune b:", "Executing task 'select-2'"]
ALL_STEPS = [
    "Executing task 'ingest'",
    "Executing task 'embed'",
    "Executing task 'select'",
    "finetune a:",
    "finetune b:",
    "Executing task 'measure'",
    "Executing task 'score'",
    "Executing task 'select-2'",
    "finetune challenger:",
    "finetune control:",
    "Executing task 'evaluate'",
    "Executing task 'register'",
]


def resumes(steps, folder, arguments, tiny_run):
    """Interrupt the command at each step, then let it end: the selection is that of a run left in peace."""
    left = list(steps)
    while left:  # the runner is free to choose among steps that do not wait for one another
        step, said = interrupt_at(left, arguments, folder)
        left.remove(step)
        assert "the same command goes on" in said
        assert not list(folder.glob("runs/*/summary.json"))
    result = assay(*arguments, cwd=folder)
    assert result.returncode == 0, result.stderr[-3000:]
    # What was finished is not run again: neither the first step nor the one before the last interruption.
    assert "Executing task 'ingest'" not in result.stderr
    assert "Executing task 'embed'" not in result.stderr
    out = folder / Path(result.stdout.strip()).parent
    mine = pd.read_parquet(out / "selection.parquet")
    reference = (
        pd.read_parquet(tiny_run.out / "selection.parquet").query("arm != 'full'").reset_index(drop=True)
    )
    pd.testing.assert_frame_equal(mine, reference)
    return out


def test_ctrl_c_leaves_nothing_alive_and_the_same_command_resumes(
    tmp_path, pairs_file, tiny_encoder, tiny_run
):
    out = resumes(STEPS, tmp_path, tiny_arguments(pairs_file, tiny_encoder), tiny_run)
    # One start for each of 11 steps (12 where the gate passed), one more for each that was interrupted.
    assert (out / "run.log").read_text().count("Executing task") in (11 + 3, 12 + 3)


@pytest.mark.slow
def test_ctrl_c_in_any_step_up_to_register(tmp_path, pairs_file, tiny_encoder, tiny_run):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    arguments = tiny_arguments(pairs_file, tiny_encoder)
    one = resumes(ALL_STEPS, tmp_path / "a", arguments, tiny_run)
    result = assay(*arguments, cwd=tmp_path / "b")
    two = tmp_path / "b" / Path(result.stdout.strip()).parent
    assert (one / "selection.parquet").read_bytes() == (two / "selection.parquet").read_bytes()


@pytest.mark.slow
def test_shards_and_diagnosis_change_no_byte_of_scores_and_selection(tmp_path, tiny_encoder):
    """Two blocks of rows, measured by two tasks side by side, against one."""
    from tests.conftest import PAIRS_COLUMNS, pairs_frame

    pairs_frame(500).to_csv(tmp_path / "pairs.csv", index=False)
    outs = {}
    for name, more in {
        "one": [],
        "two": ["--set", "shards=2", "--score-splits", "train,test", "--store", "scores"],
    }.items():
        result = assay(
            *(
                "run",
                "--data",
                "pairs.csv",
                "--columns",
                PAIRS_COLUMNS,
                "--model",
                tiny_encoder,
                "--epochs",
                "1",
            ),
            *("--set", "warm_up_share=0.05", "--no-control", "--name", name, "--out", name, *more),
            cwd=tmp_path,
        )
        assert result.returncode == 0, result.stderr[-3000:]
        outs[name] = tmp_path / name
    begun = re.findall(r"Executing task \S*'measure'", (outs["two"] / "run.log").read_text())
    assert len(begun) == 2
    for file in ("scores.parquet", "selection.parquet"):
        assert (outs["one"] / file).read_bytes() == (outs["two"] / file).read_bytes(), file
    test = read_samples(outs["two"] / "samples", ["test"])
    diagnosis = pd.read_parquet(outs["two"] / "diagnosis.parquet")
    assert set(diagnosis["sample_id"]) == set(test["sample_id"])
    assert not (outs["one"] / "diagnosis.parquet").exists()
    html = {name: (out / "report.html").read_text() for name, out in outs.items()}
    assert "Likely mislabelled test rows" in html["two"]
    assert "Likely mislabelled test rows" not in html["one"]
    assert list((tmp_path / "scores").rglob("part-*.parquet"))


@pytest.mark.slow
def test_without_the_truth_the_selection_is_the_same(tmp_path, pairs_file, tiny_encoder, tiny_run):
    """Only `evaluate` is given the truth: a run whose truth is deleted early selects the same rows."""
    arguments = tiny_arguments(pairs_file, tiny_encoder)
    interrupt_at(["Executing task 'embed'"], arguments, tmp_path)
    [truth] = tmp_path.glob("runs/*/steps/*/ingest/truth/truth.parquet")
    truth.unlink()
    result = assay(*arguments, cwd=tmp_path)
    assert result.returncode == 1
    assert "truth" in result.stderr
    [selected] = tmp_path.glob("runs/*/steps/*/select-2/selection/selection.parquet")
    mine = pd.read_parquet(selected)
    reference = (
        pd.read_parquet(tiny_run.out / "selection.parquet").query("arm != 'full'").reset_index(drop=True)
    )
    pd.testing.assert_frame_equal(mine, reference)


@pytest.mark.slow
def test_no_control_is_unproven_and_a_cross_encoder_runs_too(tmp_path, pairs_file, tiny_encoder):
    arguments = [*tiny_arguments(pairs_file, tiny_encoder), "--no-control", "--ranker", "cross"]
    result = assay(*arguments, cwd=tmp_path)
    assert result.returncode == 0, result.stderr[-3000:]
    summary = json.loads((tmp_path / result.stdout.strip()).read_text())
    assert (summary["verdict"], summary["ranker"]) == ("unproven", "cross")
    assert summary["results"]["control"] is None
    assert summary["comparisons"]["challenger-control"] is None
    assert "Unproven" in (tmp_path / summary["files"]["report"]).read_text()


@pytest.mark.slow
def test_a_ranker_is_tuned_on_the_target_and_weights_are_learned_where_asked_for(
    tmp_path, pairs_file, tiny_encoder
):
    asked = ["methods=[label_quality, target_agreement, el2n, learnability]", "weights=learned"]
    arguments = [*tiny_arguments(pairs_file, tiny_encoder), "--no-control"]
    result = assay(*arguments, "--set", asked[0], "--set", asked[1], cwd=tmp_path)
    assert result.returncode == 0, result.stderr[-3000:]
    summary = json.loads((tmp_path / result.stdout.strip()).read_text())
    scores = pd.read_parquet(tmp_path / summary["files"]["scores"])
    assert scores["learnability"].nunique() > len(scores) / 2
    assert set(scores["scored_by"]) == {"a", "b"}
    # Two lists of the target are too few to learn from, and the report says so.
    assert "no weights could be learned" in (tmp_path / summary["files"]["report"]).read_text()


@pytest.mark.slow
def test_a_champion_is_compared_with_and_can_be_the_model(tmp_path, pairs_file, tiny_encoder):
    """A second run meets the first one's champion, and `models:/NAME@champion` can be trained on."""
    from assay.components.core import tracking
    from assay.components.promote.promote import promote

    first = tiny_arguments(pairs_file, tiny_encoder)
    assert assay(*first, cwd=tmp_path).returncode == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'runs' / 'mlflow.db'}")
        if tracking.version_by_alias(tracking.connect(), "tiny", "champion") is None:
            assert promote("tiny", "1", "")["promoted"]
    changed = ["models:/tiny@champion" if a == str(tiny_encoder) else a for a in first]
    result = assay(*changed, "--seed", "1", cwd=tmp_path)
    assert result.returncode == 0, result.stderr[-3000:]
    summary = json.loads((tmp_path / result.stdout.strip()).read_text())
    assert summary["results"]["champion"] is not None
    assert summary["gate"]["against"] == "champion"
    assert summary["comparisons"]["challenger-champion"] is not None
    assert summary["model"]["version"] == "2"


@pytest.mark.slow
def test_a_failing_step_says_why_and_exits_1(tmp_path, pairs_file, tiny_encoder):
    import shutil

    broken = tmp_path / "broken"
    shutil.copytree(tiny_encoder, broken)
    (broken / "model.safetensors").write_bytes(b"not safetensors")
    arguments = [
        str(broken) if a == str(tiny_encoder) else a for a in tiny_arguments(pairs_file, tiny_encoder)
    ]
    result = assay(*arguments, cwd=tmp_path)
    assert result.returncode == 1
    assert "failed: " in result.stderr
    assert "Safetensor" in result.stderr
    assert result.stdout == ""
    assert not list(tmp_path.glob("runs/*/summary.json"))
