"""The story of a row is that of the files; the folder is written by hand."""

import json
from io import StringIO

import numpy as np
import pandas as pd
import pytest
from assay.components.core.errors import BadInput
from assay.components.core.samples import write_samples
from assay.pipelines import cli, why
from assay.pipelines.shown import show_run
from rich.console import Console
from typer.testing import CliRunner

SPLITS = ["train"] * 24 + ["test"] * 4 + ["target"] * 2


def row_id(n: int) -> str:
    return f"{n:02d}{'abcdef'[n % 6] * 6}"


@pytest.fixture
def out(tmp_path):
    """24 training rows, 12 a list; 4 of test, one of them diagnosed; 2 of the target."""
    n = np.arange(30)
    samples = pd.DataFrame(
        {
            "sample_id": [row_id(i) for i in n],
            "task": "search",
            "group_id": [f"{split} {i // 12}" for i, split in zip(n, SPLITS, strict=True)],
            "context": "red shoe",
            "item_id": [f"item {i}" for i in n],
            "item": [f"[bold]shoe[/bold] \x1b[31m{i}" for i in n],
            "label": (n % 2).astype(np.float32),
            "grade": (n % 2) * 3.0,
            "weight": np.float32(1),
            "segment": "head",
            "source": "log.csv",
            "split": SPLITS,
        }
    )
    write_samples(samples, tmp_path / "samples", shards=1)
    scores = samples[["sample_id", "group_id", "item_id"]].assign(
        importance=n / 30,
        el2n=n % 8 / 8,
        knn_shapley=n / 100,
        noise=1 - n / 30,
        decision=np.where(n == 3, "relabel", "keep"),
        reason=np.where(n == 3, "relabel_candidate", "label_plausible"),
        suggested_label=np.where(n == 3, 0.0, np.nan),
        explanation="because",
        scored_by=np.where(n % 4 < 2, "a", "b"),
    )
    scores[:24].to_parquet(tmp_path / "scores.parquet", index=False)
    scores[24:25].assign(split="test").to_parquet(tmp_path / "diagnosis.parquet", index=False)
    chosen = samples[:24].assign(arm=np.where(n[:24] % 3 == 0, "challenger", "none"))
    chosen = pd.concat([chosen, samples[:24].assign(arm="full")])
    names = ["sample_id", "group_id", "item_id", "label", "arm"]
    chosen = chosen[names].assign(
        weight=np.float32(1), importance=0.5, decision="keep", reason="important", why="place 1 of 2"
    )
    chosen.to_parquet(tmp_path / "selection.parquet", index=False)
    truth = samples[:24][["sample_id", "label"]].assign(relevance=0.0, flipped=n[:24] == 3)
    truth.loc[3, "label"] = 0.0
    (tmp_path / "truth").mkdir()
    truth.to_parquet(tmp_path / "truth" / "truth.parquet", index=False)
    (tmp_path / "summary.json").write_text("{}")
    return tmp_path


def test_a_training_row_is_told_as_the_files_have_it(out):
    told = why.story(out, row_id(3))
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    row = told["row"]
    assert (row["context"], row["label"], row["grade"]) == ("red shoe", 1.0, 3.0)
    assert (row["split"], row["segment"], row["source"], row["weight"]) == ("train", "head", "log.csv", 1.0)
    assert told["judged"] == {
        "importance": 0.1, "noise": 0.9, "suggested_label": 0.0, "decision": "relabel",
        "reason": "relabel_candidate", "explanation": "because", "scored_by": "b",
    }  # fmt: skip
    assert told["planted"] == {"flipped": True, "label": 0.0}
    assert [a["arm"] for a in told["arms"]] == ["challenger", "full"]
    assert told["arms"][0] == {
        "arm": "challenger", "decision": "keep", "reason": "important", "label": 1.0, "weight": 1.0,
        "why": "place 1 of 2",
    }  # fmt: skip


def test_ranks_are_those_that_score_takes(out):
    from assay.components.core.samples import read_samples
    from assay.components.score.combine import combine

    scores, train = pd.read_parquet(out / "scores.parquet"), read_samples(out / "samples", ["train"])
    strata = train[["task", "label"]].assign(scorer=scores["scored_by"])
    ranks = combine(scores[["el2n", "knn_shapley"]], {"el2n": 1.0, "knn_shapley": 1.0}, strata)
    for n in (0, 3, 7, 22):
        methods = {m["method"]: m for m in why.story(out, row_id(n))["methods"]}
        for name in ("el2n", "knn_shapley"):
            assert methods[name]["rank"] == pytest.approx(ranks[f"rank_{name}"][n], abs=1e-6)
        assert (methods["knn_shapley"]["rows"], methods["el2n"]["rows"]) == (12, 6)
        assert (methods["knn_shapley"]["value"], methods["el2n"]["higher_is_better"]) == (n / 100, False)


def test_the_list_has_ten_rows_at_most_and_the_row_among_them(out):
    told = why.story(out, row_id(0))
    assert told["list_rows"] == 12
    assert [r["sample_id"] for r in told["list"]] == [row_id(n) for n in [11, 10, 9, 8, 7, 6, 5, 4, 3, 0]]
    assert [r["this"] for r in told["list"]] == [False] * 9 + [True]
    assert [r["chosen"] for r in told["list"]] == [n % 3 == 0 for n in [11, 10, 9, 8, 7, 6, 5, 4, 3, 0]]
    first = why.story(out, row_id(11))["list"]
    assert [r["sample_id"] for r in first] == [row_id(n) for n in range(11, 1, -1)]
    assert first[0]["this"]


def test_rows_of_other_splits_have_a_story_too(out):
    diagnosed = why.story(out, row_id(24))
    assert diagnosed["judged"]["importance"] == 0.8
    # Ranked as one more among the twelve training rows of its label.
    assert [m["rows"] for m in diagnosed["methods"]] == [7, 13]
    assert diagnosed["methods"][1]["rank"] == pytest.approx(12.5 / 13, abs=1e-6)
    for n in (25, 28):
        told = why.story(out, row_id(n))
        assert (told["judged"], told["methods"], told["arms"], told["planted"]) == (None, [], [], None)
        assert f"rows of the split {SPLITS[n]} were not scored" in text_of(told)
    assert why.story(out, row_id(28))["list_rows"] == 2


def test_without_planted_noise_or_with_an_older_selection_the_rest_is_told(out):
    truth = pd.read_parquet(out / "truth" / "truth.parquet").assign(flipped=False)
    truth.to_parquet(out / "truth" / "truth.parquet", index=False)
    selection = pd.read_parquet(out / "selection.parquet").drop(columns=["why", "label", "weight"])
    selection.to_parquet(out / "selection.parquet", index=False)
    (out / "diagnosis.parquet").unlink()
    told = why.story(out, row_id(1))
    assert told["planted"] is None
    assert told["arms"][1] == {"arm": "none", "decision": "keep", "reason": "important"}
    assert why.story(out, row_id(24))["judged"] is None


def test_a_folder_of_a_curve_will_do(out):
    (out / "summary.json").rename(out / "curve.json")
    (out / "truth" / "truth.parquet").unlink()
    assert why.story(out, row_id(3))["planted"] is None


def test_a_unique_prefix_is_enough_and_nothing_less(out):
    assert why.meant(out, "07") == row_id(7)
    with pytest.raises(BadInput, match=r"10 rows start so: 00a+, 01b+, 02c+, 03d+, 04e+ and 5 more; write"):
        why.meant(out, "0")
    with pytest.raises(BadInput, match=f"there are {row_id(13)}; ids are in the column sample_id of"):
        why.meant(out, "13bx")
    with pytest.raises(BadInput, match=r"no row of \S+ has such an id; ids are in"):
        why.meant(out, "x")
    with pytest.raises(BadInput, match="30 rows start so"):
        why.meant(out, "")


def test_an_unfinished_run_is_refused_as_the_report_refuses_it(out):
    (out / "summary.json").unlink()
    with pytest.raises(BadInput) as asked:
        show_run(out)
    with pytest.raises(BadInput) as told:
        why.story(out, "07")
    assert str(told.value) == str(asked.value)


def text_of(told: dict) -> str:
    stream = StringIO()
    Console(file=stream, width=160).print(why.shown(told))
    return stream.getvalue()


def test_what_is_shown_is_neither_markup_nor_an_order_to_the_terminal(out):
    shown = text_of(why.story(out, row_id(3)))
    assert "[bold]shoe[/bold]  [31m3" in shown
    assert "\x1b" not in shown
    for words in ("red shoe", "planted: the label was 0", "because", "knn_shapley", "place 1 of 2", "->"):
        assert words in shown
    assert "not planted" in text_of(why.story(out, row_id(4)))


def test_the_command_prints_the_story_or_its_json(out):
    said = CliRunner().invoke(cli.app, ["why", "03", "--out", str(out), "--json"])
    assert said.exit_code == 0
    assert json.loads(said.stdout) == why.story(out, row_id(3))
    assert "row 03dddddd" in CliRunner().invoke(cli.app, ["why", "03", "--out", str(out)]).stdout
    refused = CliRunner().invoke(cli.app, ["why", "x", "--out", str(out)])
    assert isinstance(refused.exception, BadInput)
