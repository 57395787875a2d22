"""A user is forgotten by every kind of file, the others are not, and the proof is one that can fail."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest
from assay.components.core.errors import BadInput
from assay.components.core.manifest import publishing, read_manifest, sha256_of
from assay.components.core.samples import read_samples, text_id, write_samples
from assay.components.core.vectors import row_vectors
from assay.components.ingest.privacy import pseudonym
from assay.components.ingest.tables import canonical
from assay.pipelines import cli
from assay.pipelines.erase import erase
from assay.pipelines.forgotten import Words, distinctive, holds
from assay.pipelines.why import story
from filelock import FileLock
from typer.testing import CliRunner

KEY = b"0123456789abcdef0123456789abcdef"
USER, OTHER = "user-0042", "user-00421"
SPLITS = ["train"] * 8 + ["test"] * 4


def sample(n):
    return f"{n:02d}" + "abcdef01" * 3 + "f" * 6


@pytest.fixture
def runs(tmp_path):
    """A run of 12 recommendations: rows 0-3 are the user's, by id and pseudonym; 4 shares a text with 0."""
    root = tmp_path / "runs"
    run = root / "one"
    who = [USER, USER, pseudonym(USER, KEY), pseudonym(USER, KEY), *[OTHER] * 4, *["someone"] * 4]
    samples = pd.DataFrame(
        {
            "sample_id": [sample(n) for n in range(12)],
            "task": "recommendation",
            "group_id": [f"{name}|{n % 3}" for n, name in enumerate(who)],
            "context": ["shared history" if n in (0, 4) else f"history of {n} & more" for n in range(12)],
            "item_id": [f"p{n}" for n in range(12)],
            "item": [f"item number {n}" for n in range(12)],
            "label": np.float32(1),
            "weight": np.float32(1),
            "segment": "all",
            "source": "log.csv",
            "split": SPLITS,
        }
    )
    facts = {
        "ledger": {"rows_in": 12, "rows_out": 12, "dropped": {}},
        "samples": {"train": 8, "validation": 0, "test": 4, "target": 0},
        "groups": {"train": 6, "validation": 0, "test": 3, "target": 0},
    }
    with publishing(run / "samples", **facts) as (folder, _):
        write_samples(samples, folder)
    texts = sorted({*samples["context"], *samples["item"]}, key=text_id)
    with publishing(run / "texts") as (folder, _):
        table = pd.DataFrame({"text_id": map(text_id, texts), "text": texts})
        table.to_parquet(folder / "texts.parquet", index=False)
        colours = pd.DataFrame({"item": samples["item"], "colour": "red"})
        colours.to_parquet(folder / "attributes.parquet", index=False)
    with publishing(run / "vectors", samples_sha256=sha256_of(run / "samples")) as (folder, _):
        place = {text: number for number, text in enumerate(texts)}
        np.save(folder / "texts.npy", np.eye(len(texts), dtype=np.float32))
        np.save(folder / "pairs.npy", samples[["context", "item"]].map(place.get).to_numpy(np.int32))
        np.save(folder / "cosine.npy", np.arange(12, dtype=np.float32))
        samples[["sample_id"]].to_parquet(folder / "sample_ids.parquet", index=False)
    scores = samples[["sample_id", "group_id", "item_id"]].assign(
        importance=0.5,
        decision="keep",
        reason="",
        noise=0.1,
        suggested_label=np.nan,
        explanation="",
        scored_by="a",
    )
    scores[:8].to_parquet(run / "scores.parquet", index=False)
    scores[:8].assign(arm="challenger", label=1.0).to_parquet(run / "selection.parquet", index=False)
    samples[["sample_id", "group_id", "label"]][8:].to_parquet(run / "predictions.parquet", index=False)
    for name, rows in (("seen", [1, 5]), ("fresh", [6, 7])):
        with publishing(run / "models" / name) as (folder, _):
            (folder / "ranker").mkdir()
            (folder / "ranker" / "model.safetensors").write_bytes(name.encode() * 9)
            samples.loc[rows, ["sample_id"]].to_parquet(folder / "rows.parquet", index=False)
    registered = root / "mlflow-artifacts" / "m-1" / "ranker"
    shutil.copytree(run / "models" / "seen" / "ranker", registered)
    cells = "".join(
        f"<tr><td>{c.replace('&', '&amp;')}</td><td>{i}</td></tr>"
        for c, i in zip(samples["context"], samples["item"], strict=True)
    )
    (run / "report.html").write_text(f"<html><table>{cells}</table></html>")
    (run / "run.log").write_text(f"start\nlooking at {USER}\nlooking at {OTHER}\n")
    about = {
        "worst": [sample(1), sample(6)],
        "of": {USER: 1, OTHER: 2},
        "samples_sha256": sha256_of(run / "samples"),
    }
    (run / "summary.json").write_text(json.dumps(about))
    (run / "run.json").write_text(
        json.dumps({"arguments": {"data": "/logs/log.csv"}, "pipeline": "importance"})
    )
    with closing(sqlite3.connect(root / "mlflow.db")) as base:
        base.execute("CREATE TABLE tags (key TEXT, value TEXT)")
        base.executemany("INSERT INTO tags VALUES (?, ?)", [("who", f"of {USER}"), ("who", f"of {OTHER}")])
        base.commit()
    return root


def everything(root):
    """{file: bytes}, and the values of what is compressed."""
    found = {}
    for file in sorted(f for f in root.rglob("*") if f.is_file()):
        found[file.relative_to(root).as_posix()] = file.read_bytes()
        if file.suffix == ".parquet":
            found[file.relative_to(root).as_posix()] += repr(pq.read_table(file).to_pydict()).encode()
    return found


def test_nothing_of_the_user_is_left_and_nothing_else_is_lost(runs):
    before = read_samples(runs / "one" / "samples")
    done = erase(USER, runs, KEY)
    assert (done.samples, done.left) == (4, [])
    gone = [USER.encode() + b"|", pseudonym(USER, KEY).encode(), *(sample(n).encode() for n in range(4))]
    for name, data in everything(runs).items():
        assert not [word for word in gone if word in data], name
        assert USER.encode() not in data.replace(OTHER.encode(), b""), name
    run = runs / "one"
    after = read_samples(run / "samples")
    pd.testing.assert_frame_equal(
        after.astype(object), before[4:].reset_index(drop=True).astype(object), check_dtype=False
    )
    assert (
        len(pd.read_parquet(run / "scores.parquet")) == len(pd.read_parquet(run / "selection.parquet")) == 4
    )
    assert len(pd.read_parquet(run / "predictions.parquet")) == 4
    assert (run / "run.log").read_text() == f"start\nlooking at {OTHER}\n"
    summary = json.loads((run / "summary.json").read_text())
    assert summary["worst"] == ["erased", sample(6)]
    assert summary["of"] == {"erased": 1, OTHER: 2}
    with closing(sqlite3.connect(runs / "mlflow.db")) as base:
        assert base.execute("SELECT value FROM tags").fetchall() == [("of erased",), (f"of {OTHER}",)]


def test_texts_that_others_have_as_well_stay(runs):
    run = runs / "one"
    erase(USER, runs, KEY)
    texts = set(pd.read_parquet(run / "texts" / "texts.parquet")["text"])
    assert "shared history" in texts
    assert not texts & {"history of 1 & more", "item number 0", "item number 3"}
    assert "item number 0" not in set(pd.read_parquet(run / "texts" / "attributes.parquet")["item"])
    report = (run / "report.html").read_text()
    assert report.count("<tr>") == 8
    assert "history of 1 &amp; more" not in report
    assert "<td>shared history</td><td>item number 4</td>" in report


def test_the_vectors_of_the_others_are_what_they_were(runs):
    folder = runs / "one" / "vectors"
    ids = [sample(n) for n in range(4, 12)]
    before = row_vectors(folder, ids)
    erase(USER, runs, KEY)
    assert np.array_equal(row_vectors(folder, ids) @ row_vectors(folder, ids).T, before @ before.T)
    texts = pd.read_parquet(runs / "one" / "texts" / "texts.parquet")
    assert len(np.load(folder / "texts.npy")) == len(texts) == 17 - 1
    assert np.load(folder / "cosine.npy").tolist() == list(range(4, 12))


def test_manifests_tell_the_truth_and_the_ledger_reconciles(runs):
    old = sha256_of(runs / "one" / "samples")
    erase(USER, runs, KEY)
    for file in runs.rglob("manifest.json"):
        assert read_manifest(file.parent)["sha256"] == sha256_of(file.parent), file
    facts = read_manifest(runs / "one" / "samples")
    assert facts["ledger"] == {"rows_in": 12, "rows_out": 8, "dropped": {"erased": 4}}
    assert facts["samples"]["train"] == 4
    new = facts["sha256"]
    assert new != old
    assert read_manifest(runs / "one" / "vectors")["samples_sha256"] == new
    assert json.loads((runs / "one" / "summary.json").read_text())["samples_sha256"] == new


def test_models_that_were_trained_on_the_rows_are_named(runs):
    done = erase(USER, runs, KEY)
    assert done.retrain == ["mlflow-artifacts/m-1/ranker", "one/models/seen"]
    assert read_manifest(runs / "one" / "models" / "seen")["retrain"] == 1
    assert "retrain" not in read_manifest(runs / "one" / "models" / "fresh")
    assert done.logs == ["/logs/log.csv"]
    record = json.loads(Path(done.record).read_text())
    assert record["files"]["one/scores.parquet"] == 4
    assert USER not in json.dumps(record)


def test_rows_of_logs_sessions_and_what_only_the_user_typed(runs):
    """Canonical tables that a run kept: searches are found by what only this user typed."""
    run = runs / "one"
    events = pl.DataFrame(
        {
            "user_id": [USER, USER, OTHER, None, None],
            "session_id": ["visit-77", "visit-78", "visit-78", "visit-77", "visit-99"],
            "query_id": ["q1", "q2", "q2", "q3", "q4"],
            "query": ["rare wish", "shoes", "shoes", "another wish", "shoes"],
            "action": "click",
        }
    )
    canonical("events", events).write_parquet(run / "events.parquet")
    searches = (
        read_samples(run / "samples")
        .iloc[4:8]
        .assign(
            task="search",
            sample_id=[sample(n) for n in range(40, 44)],
            group_id=["rare wish", "shoes", "another wish", f"{USER} shoes"],
            context=["rare wish", "shoes", "another wish", "more shoes"],
        )
    )
    write_samples(searches, runs / "two" / "samples")
    done = erase(USER, runs, KEY)
    left = pl.read_parquet(run / "events.parquet")
    assert left.select("user_id", "session_id", "query_id").rows() == [
        (OTHER, "visit-78", "q2"), (None, "visit-99", "q4"),
    ]  # fmt: skip
    assert read_samples(runs / "two" / "samples")["context"].tolist() == ["shoes", "more shoes"]
    # Somebody searched for what happens to be this id: it is no list of the user's, and the proof says so.
    assert done.left == ["two/samples/part-00000.parquet"]


def test_a_link_from_samples_to_users_is_followed(runs):
    link = pd.DataFrame({"sample_id": [sample(9), sample(10)], "user_id": [pseudonym(USER, KEY), "someone"]})
    link.to_parquet(runs / "one" / "people.parquet", index=False)
    assert erase(USER, runs, KEY).samples == 5
    assert pd.read_parquet(runs / "one" / "people.parquet")["user_id"].tolist() == ["someone"]
    assert sample(9) not in set(pd.read_parquet(runs / "one" / "predictions.parquet")["sample_id"])


def test_shards_stay_whole_blocks(runs, tmp_path):
    n = np.arange(9000)
    many = pd.DataFrame(
        {
            "sample_id": [f"{i:032x}" for i in n], "task": "recommendation", "context": "c", "item": "i",
            "group_id": np.where(n % 2, f"{USER}|1", f"{OTHER}|1"), "item_id": "p", "label": np.float32(0),
            "weight": np.float32(1), "segment": "s", "source": "f", "split": "train",
        }
    )  # fmt: skip
    write_samples(many, runs / "big" / "samples", shards=3)
    erase(USER, runs)
    files = sorted((runs / "big" / "samples").glob("part-*"))
    assert [pq.read_metadata(file).num_rows for file in files] == [4096, 404]
    assert not list((runs / "big").glob(".*"))


def test_twice_finds_nothing_more_and_another_user_nothing_at_all(runs):
    erase(USER, runs, KEY)
    again = erase(USER, runs, KEY)
    assert (again.samples, again.files, again.left) == (0, {}, [])
    before = everything(runs / "one")
    assert erase("user-9999", runs, KEY).files == {}
    assert everything(runs / "one") == before


def test_an_erasure_that_was_cut_off_is_finished_by_the_next(runs, monkeypatch):
    """What names the samples goes last, so that they are still known."""
    import assay.pipelines.erase as module

    def cut(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module, "samples_without", cut)
        with pytest.raises(KeyboardInterrupt):
            erase(USER, runs, KEY)
    assert len(read_samples(runs / "one" / "samples")) == 12
    done = erase(USER, runs, KEY)
    assert (done.samples, done.left) == (4, [])
    assert len(np.load(runs / "one" / "vectors" / "cosine.npy")) == 8
    assert done.retrain == ["mlflow-artifacts/m-1/ranker", "one/models/seen"]
    assert all(read_manifest(f.parent)["sha256"] == sha256_of(f.parent) for f in runs.rglob("manifest.json"))


def test_without_the_key_the_pseudonym_stays(runs):
    assert erase(USER, runs).samples == 2
    assert pseudonym(USER, KEY) in repr(read_samples(runs / "one" / "samples")["group_id"].tolist())


def test_a_short_id_is_looked_for_in_columns_alone(runs):
    samples = read_samples(runs / "one" / "samples")
    write_samples(samples.assign(group_id=["7|1"] * 3 + ["70|1"] * 9), runs / "one" / "samples")
    done = erase("7", runs)
    assert (done.samples, done.told_apart, done.left) == (3, False, [])
    assert "item number 7" in (runs / "one" / "report.html").read_text()


def test_the_proof_can_fail(runs, monkeypatch):
    """A file that cannot be rewritten is named, and the exit code is 1."""
    (runs / "one" / "dump.bin").write_bytes(b"\xff\xfe" + sample(2).encode() + b"\xff")
    monkeypatch.setenv("ASSAY_ID_KEY", KEY.decode())
    result = CliRunner().invoke(cli.app, ["erase", "--user", USER, "--runs", str(runs)])
    assert result.exit_code == 1
    assert "NOT ERASED, still found in:\n  one/dump.bin" in result.stdout


def test_the_command_says_what_was_done(runs, monkeypatch):
    monkeypatch.delenv("ASSAY_ID_KEY", raising=False)
    (runs / "key").write_bytes(KEY)
    given = ["erase", "--user", USER, "--runs", str(runs), "--key-file", str(runs / "key")]
    result = CliRunner().invoke(cli.app, given)
    assert result.exit_code == 0
    assert "one/scores.parquet: 4" in result.stdout
    assert "4 samples erased" in result.stdout
    assert "  one/models/seen" in result.stdout
    assert "proof: neither the id" in result.stdout


def test_bad_input(runs, tmp_path):
    with pytest.raises(BadInput, match="no such folder"):
        erase(USER, tmp_path / "none")
    with pytest.raises(BadInput, match="is empty"):
        erase(" ", runs)
    with FileLock(runs / "one" / ".lock"), pytest.raises(BadInput, match="a run is under way"):
        erase(USER, runs)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"x\0user-0042\0", True), (b"user-00421", False), (b"auser-0042", False), (b"", False),
        (b"zz" + sample(1).encode() + b"00", True), (sample(2).encode(), False),
        (b"." * ((1 << 24) - 4) + b"user-0042", True), (b"." * ((1 << 24) - 4) + sample(1).encode(), True),
    ],
)  # fmt: skip
def test_words_are_found_in_bytes(tmp_path, data, found):
    (tmp_path / "file").write_bytes(data)
    assert holds(tmp_path / "file", Words(frozenset({USER}), frozenset({sample(1)}))) is found


def test_which_ids_can_be_told_from_other_words():
    assert [distinctive(word) for word in ("7", "1234", "196186", "u7a", "ann", "alice")] == [
        False, False, True, True, False, True,
    ]  # fmt: skip


def test_a_real_run_forgets_a_list(tiny_run, tmp_path):
    """Everything that the whole chain leaves in its folder, the registry too; a row's story still works."""
    shutil.copytree(tiny_run.folder / "runs", tmp_path / "runs")
    out = next(file.parent for file in (tmp_path / "runs").glob("*/summary.json"))
    samples = read_samples(out / "samples")
    user = samples.loc[samples["split"] == "train", "group_id"].iloc[0]
    gone = set(samples.loc[samples["group_id"] == user, "sample_id"])
    done = erase(user, tmp_path / "runs", KEY)
    assert (done.samples, done.left) == (len(gone), [])
    for name, data in everything(tmp_path / "runs").items():
        assert not [word for word in gone if word.encode() in data], name
    assert any(place.startswith("mlflow-artifacts/") for place in done.retrain)
    left = read_samples(out / "samples", ["train"])
    assert story(out, left["sample_id"].iloc[0])["row"]["context"] == left["context"].iloc[0]
