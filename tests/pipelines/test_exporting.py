"""`assay export` on a finished run: what is written is what an arm trained on, and other readers agree."""

import json
import re
import shutil

import pandas as pd
import pytest
from assay.components.core.samples import read_samples
from assay.components.ingest.writers import WRITERS
from assay.pipelines import cli
from assay.pipelines.exporting import EXPORTS, exported
from filelock import FileLock
from typer.testing import CliRunner

from tests.ingest.readers.by_claim import read


@pytest.fixture
def run(tiny_run, tmp_path):
    """A copy of what the export looks at."""
    folder = tmp_path / "runs" / "tiny"
    shutil.copytree(tiny_run.out / "samples", folder / "samples")
    for name in ("selection.parquet", "summary.json"):
        shutil.copy(tiny_run.out / name, folder / name)
    return folder


def told(*arguments):
    return CliRunner().invoke(cli.app, ["export", *map(str, arguments)])


def rows_of(run, arm):
    selection = pd.read_parquet(run / "selection.parquet").query("arm == @arm")
    samples = read_samples(run / "samples", columns=["sample_id", "context", "item"])
    return selection.merge(samples, on="sample_id")[["context", "item", "label"]]


@pytest.mark.parametrize("arm", ["challenger", "control"])
def test_every_format_holds_the_pairs_and_labels_of_the_arm(run, tmp_path, arm):
    rows = rows_of(run, arm)
    assert 0 < len(rows) < len(read_samples(run / "samples", ["train"]))
    expected = sorted((c, i, round(float(v), 6)) for c, i, v in rows.to_numpy())
    out = {format: tmp_path / "out" / format for format in WRITERS}
    for format, folder in out.items():
        result = told(run, "--to", format, "--arm", arm, "--out", folder)
        assert result.exit_code == 0, result.output
        assert result.stdout.splitlines()[-1] == str(folder)
    pairs = pd.read_parquet(out["sentence-transformers"] / "pairs.parquet")
    assert sorted((c, i, round(float(v), 6)) for c, i, v in pairs.to_numpy()) == expected
    trec, _, _ = read(*(out["trec"] / name for name in ("corpus.jsonl", "qrels.txt", "queries.tsv")))
    back = trec["judgments"].join(trec["queries"].select("query_id", text="query"), on="query_id")
    back = back.join(trec["items"].select("item_id", item="text"), on="item_id")
    found = back.select("text", "item", "grade").rows()
    assert sorted((c, i, round(v / 2, 6)) for c, i, v in found) == expected
    bge, _, readers = read(out["bge"] / "train.jsonl")
    assert readers == ["bge"]
    with_a_relevant = set(rows.loc[rows["label"] >= 0.5, "context"])
    back = bge["judgments"].join(bge["items"].select("item_id", "text"), on="item_id")
    found = back.select("query", "text", "feature.score").rows()
    assert sorted((c, i, round(v, 6)) for c, i, v in found) == [
        e for e in expected if e[0] in with_a_relevant
    ]


def test_a_run_has_a_name_and_what_was_exported_is_noted(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert told("tiny", "--to", "bge", "--out", "chosen.jsonl").exit_code == 0
    assert told(run, "--to", "trec", "--out", "qrels", "--arm", "control").exit_code == 0
    note = {"format": "bge", "arm": "challenger", "out": str(tmp_path / "chosen.jsonl")}
    trec = {"format": "trec", "arm": "control", "out": str(tmp_path / "qrels")}
    assert json.loads((run / EXPORTS).read_text()) == [note, trec]
    (tmp_path / "chosen.jsonl").unlink()
    assert told("tiny", "--to", "bge", "--out", "chosen.jsonl").exit_code == 0
    assert json.loads((run / EXPORTS).read_text()) == [trec, note]


def test_what_cannot_be_exported_says_why_and_leaves_nothing(run, tmp_path):
    given = {"--to": "bge", "--out": tmp_path / "out", "--arm": "challenger"}
    for change, words in [
        ({"--to": "csv"}, "--to csv: no such format; known: bge, sentence-transformers, trec"),
        ({"--arm": "best"}, "arm 'best' has no rows; the selection has challenger, control, full"),
        ({"--out": run}, "exists; name a file or folder that does not"),
    ]:
        result = told(run, *[word for pair in (given | change).items() for word in pair])
        assert words in str(result.exception), change
        assert not (tmp_path / "out").exists()
        assert not (run / EXPORTS).exists()
    with FileLock(run / ".lock"):
        assert "is being written" in str(told(run, "--to", "bge", "--out", tmp_path / "out").exception)
    (run / "summary.json").unlink()
    for folder in (run, tmp_path / "none"):
        result = told(folder, "--to", "bge", "--out", tmp_path / "out")
        assert "no summary.json, so no finished run" in str(result.exception)
        assert not (tmp_path / "out").exists()


def test_a_failed_export_leaves_the_notes_of_those_before(run, tmp_path):
    exported(str(run), "bge", "challenger", tmp_path / "out")
    before = (run / EXPORTS).read_text()
    assert "exists" in str(told(run, "--to", "trec", "--out", tmp_path / "out").exception)
    assert (run / EXPORTS).read_text() == before


def test_the_help_names_every_format():
    said = re.sub(r"\s+", " ", told("--help").stdout)
    assert re.search(r"Format: ([\w, -]+)\.", said)[1].replace(" or ", ", ").split(", ") == list(WRITERS)
