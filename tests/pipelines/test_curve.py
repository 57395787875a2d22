"""The budget curve through the real local runner: drawn, resumed, added to, and never trained twice."""

import json
import re

import pandas as pd
import pytest
from assay.components.core.metrics import Lists

from tests.conftest import PAIRS_COLUMNS, assay, interrupt_at


def arguments(pairs_file, tiny_encoder, budgets):
    return [
        "curve", "--data", str(pairs_file), "--columns", PAIRS_COLUMNS, "--model", str(tiny_encoder),
        "--noise", "0.2", "--epochs", "1", "--name", "tiny", "--plan", "vectors",
        "--arms", "challenger,control", "--budgets", budgets,
    ]  # fmt: skip


def trained(said: str) -> set[str]:
    """Arms that a training began of."""
    return set(re.findall(r"finetune (\S+): \d+ rows, 1 epochs", said))


@pytest.mark.slow
def test_a_curve_is_drawn_and_no_training_of_it_is_done_twice(tmp_path, pairs_file, tiny_encoder):
    command = arguments(pairs_file, tiny_encoder, "0.2,0.5")
    out = tmp_path / "runs" / "curve"
    interrupt_at(["finetune challenger@0.5:"], command, tmp_path)
    assert not (out / "curve.json").exists()

    result = assay(*command, cwd=tmp_path)
    assert result.returncode == 0, result.stderr[-4000:]
    assert result.stdout.strip() == "runs/curve/curve.json"
    assert "Executing task 'embed'" not in result.stderr
    assert "finetune challenger@0.2: trained before" in result.stderr
    assert "challenger@0.2" not in trained(result.stderr)
    curve = json.loads((out / "curve.json").read_text())
    assert [(p["arm"], p["budget"]) for p in curve["points"]] == [
        (arm, budget) for arm in ("challenger", "control") for budget in ("0.2", "0.5")
    ]
    rows = {p["rows"] for p in curve["points"]}
    train = curve["samples"]["train"]
    assert rows == {int(0.2 * train + 0.5), int(0.5 * train + 0.5)}
    selection = pd.read_parquet(out / "selection.parquet")
    sizes = selection["arm"].value_counts()
    assert all(sizes[f"{p['arm']}@{p['budget']}"] == p["rows"] for p in curve["points"])
    assert set(pd.read_parquet(out / "scores.parquet")["scored_by"]) == {""}

    table = pd.read_parquet(out / "predictions.parquet")
    columns = (table[c].to_numpy() for c in ("group_id", "grade", "sample_id"))
    lists = Lists(*columns, curve["relevant_at"], curve["gain"])
    for point in curve["points"]:
        scores = table[f"{point['arm']}@{point['budget']}"].to_numpy()
        assert point["mean"] == pytest.approx(lists.ndcg(scores).mean())
    for said in (result.stderr, assay("report", "--out", out, cwd=tmp_path).stderr):
        assert "challenger: budget" in said
        assert "runs/curve/report.html" in said

    again = assay(*command, cwd=tmp_path)
    assert again.returncode == 0
    assert "Executing task" not in again.stderr
    assert json.loads((out / "curve.json").read_text()) == curve

    more = assay(*arguments(pairs_file, tiny_encoder, "0.2,0.5,0.7"), cwd=tmp_path)
    assert more.returncode == 0, more.stderr[-4000:]
    assert trained(more.stderr) == {"challenger@0.7", "control@0.7"}
    wider = json.loads((out / "curve.json").read_text())["points"]
    assert len(wider) == 6
    assert [p["values"] for p in wider if p["budget"] != "0.7"] == [p["values"] for p in curve["points"]]
