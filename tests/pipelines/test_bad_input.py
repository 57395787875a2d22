"""Bad input: a clear line, exit code 2, nothing left behind, and no heavy import before it is found."""

import subprocess
import sys

import pytest
from assay.components.core.errors import BadInput
from assay.components.core.tracking import check_uri, default_uri
from assay.pipelines.launch import claimed

from tests.conftest import PAIRS_COLUMNS, assay, pairs_frame


def spoiled(tmp_path, case):
    frame, extra = pairs_frame(), []
    if case == "missing column":
        extra = ["--columns", "query=q,item=name,label=grade"]
    elif case == "labels equal":
        frame["grade"] = 1
    elif case == "one group":
        frame["q"] = "same"
    elif case == "nan labels":
        frame["grade"] = frame["grade"].where(frame.index != 3)
    elif case == "model without weights":
        (tmp_path / "empty-model").mkdir()
        (tmp_path / "empty-model" / "config.json").write_text("{}")
        extra = ["--model", str(tmp_path / "empty-model")]
    elif case.startswith("budget"):
        extra = ["--budget", case.split()[1]]
    elif case == "count too large":
        extra = ["--budget", "100000"]
    elif case == "huge grades":
        frame["grade"] *= 2000
    elif case == "gain":
        extra = ["--gain", "cubic"]
    elif case == "attributes":
        extra = ["--set", "rules.attributes=none.csv", "--set", "rules.constraints=[category >= 5%]"]
    elif case == "constraint":
        extra = ["--set", "rules.constraints=[category > lots]"]
    elif case == "store":
        (tmp_path / "kept").write_text("not a folder")
        extra = ["--store", "kept"]
    file = tmp_path / "pairs.csv"
    frame.to_csv(file, index=False)
    if case == "empty file":
        file.write_text("")
    elif case == "not utf-8":
        file.write_bytes(b"q,title,grade,pid,part\ncaf\xe9,x,1,1,a\n")
    elif case == "missing file":
        file.unlink()
    return ["run", "--data", file, "--columns", PAIRS_COLUMNS, *extra]


CASES = {
    "store": "--store kept: is a file",
    "attributes": "rules.attributes none.csv: no such file",
    "constraint": "constraint 'category > lots': write ATTRIBUTE >= N%",
    "missing file": "no such file",
    "missing column": "'name' (for item) is not in the file; it has: q, title, grade, pid, part",
    "empty file": "the file is empty",
    "labels equal": "all labels equal",
    "one group": "one group only",
    "nan labels": "1 of 400 grades are negative, missing or not numbers",
    "not utf-8": "not UTF-8",
    "budget 0": "--budget 0: write a fraction in (0, 1]",
    "budget 1.5": "--budget 1.5",
    "budget lots": "--budget lots: not a number",
    "count too large": "there are only",
    "model without weights": "no *.safetensors weights",
    "gain": "gain",
    "huge grades": "use --gain linear",
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input(tmp_path, case):
    arguments = spoiled(tmp_path, case)
    before = sorted(tmp_path.rglob("*"))
    result = assay(*arguments, "--out", tmp_path / "out", cwd=tmp_path)
    assert result.returncode == 2, result.stderr
    assert CASES[case] in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path, pairs_file):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    run = ["run", "--data", pairs_file, "--columns", PAIRS_COLUMNS, "--out", tmp_path / "out", "--fresh"]
    result = assay(*run, cwd=tmp_path)
    assert result.returncode == 2
    assert "holds something else" in result.stderr
    assert (tmp_path / "out" / "thesis.txt").read_text() == "years of work"


def test_a_curve_does_not_take_the_folder_of_a_run(tmp_path, pairs_file):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "run.json").write_text('{"pipeline": "importance"}')
    (tmp_path / "out" / "summary.json").write_text("{}")
    given = ["--data", pairs_file, "--columns", PAIRS_COLUMNS, "--out", tmp_path / "out"]
    result = assay("curve", *given, cwd=tmp_path)
    assert result.returncode == 2
    assert "holds a run of importance" in result.stderr
    assert (tmp_path / "out" / "summary.json").is_file()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--budgets", "0.1,2.5"], "--budget 2.5: write a fraction"),
        (["--budgets", "0.1,100000"], "there are only"),
        (["--budgets", "0.1,auto"], "budgets auto: a curve needs budgets of its own"),
        (["--budgets", "0.3,0.3001"], "budgets 0.3 and 0.3001: both keep 78 rows"),
        (["--arms", "challenger,best"], "unknown best"),
        (["--plan", "vectors", "--arms", "challenger,loss"], "arms loss: name the methods"),
    ],
)
def test_a_curve_that_cannot_be_drawn_says_why(tmp_path, pairs_file, given, words):
    result = assay("curve", "--data", pairs_file, "--columns", PAIRS_COLUMNS, *given, cwd=tmp_path)
    assert result.returncode == 2, result.stderr
    assert words in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_fresh_removes_what_a_run_wrote_and_nothing_else(tmp_path):
    for name in ("run.json", "report.html", "mine.txt"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "steps").mkdir()
    with claimed(tmp_path, fresh=True):
        assert sorted(p.name for p in tmp_path.iterdir()) == [".lock", "mine.txt"]


def test_a_folder_that_cannot_be_made_is_bad_input(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be written"), claimed(tmp_path / "file" / "run", fresh=False):
        pass


def test_a_folder_belongs_to_one_run_at_a_time(tmp_path):
    with claimed(tmp_path / "run", fresh=False):
        with pytest.raises(BadInput, match="under way"), claimed(tmp_path / "run", fresh=False):
            pass
        (tmp_path / "run" / "run.json").write_text("{}")
    with claimed(tmp_path / "run", fresh=False):
        pass


@pytest.mark.parametrize("uri", ["nonsense", "ftp://x", "sqlit:///a.db"])
def test_a_store_that_mlflow_does_not_know_is_bad_input(monkeypatch, uri):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(BadInput, match="MLFLOW_TRACKING_URI"):
        check_uri()


def test_a_relative_store_is_where_the_command_runs(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mine.db")
    check_uri()
    assert default_uri() == f"sqlite:///{tmp_path / 'mine.db'}"


def test_an_unknown_option_and_a_wrong_setting_name_themselves(tmp_path):
    assert assay("run", "--bugdet", "0.3", cwd=tmp_path).returncode == 2
    (tmp_path / "c.yaml").write_text("bugdet: 0.3\n")
    result = assay("run", "--config", tmp_path / "c.yaml", cwd=tmp_path)
    assert result.returncode == 2
    assert "bugdet" in result.stderr


def test_all_of_it_is_found_before_anything_heavy_is_imported(tmp_path, pairs_file):
    code = f"""
import sys
from pathlib import Path
from assay.pipelines import launch
from assay.pipelines.cli import app
heavy = {{"torch", "kfp", "mlflow", "transformers"}}
launch.launch = lambda checked, out: print(sorted(heavy & set(sys.modules))) or 1
arguments = ["run", "--data", {str(pairs_file)!r}, "--columns", {PAIRS_COLUMNS!r}, "--out", "out"]
app(arguments, standalone_mode=False)
"""
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.stdout.strip() == "[]", result.stderr
