"""A user is forgotten by what `assay ingest` and all after it make of a log of each task."""

import json
import shutil

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from assay.components.core.manifest import publishing, read_manifest, sha256_of, write_json
from assay.components.core.samples import read_samples
from assay.components.ingest.privacy import KEY, pseudonym
from assay.examples.store import StoreConfig, simulate, write
from assay.pipelines.config import load_config
from assay.pipelines.erase import erase
from assay.pipelines.exporting import EXPORTS, exported, noted
from assay.pipelines.ingesting import ingested

SECRET = "0123456789abcdef0123456789abcdef"
LOGS = {
    "search": ("search_events", ""),
    "review": ("reviews", "query=title,text=text"),
    "ads": ("ads", "query=placement+device+page,item=title+category"),
    "recommendation": ("recommendation_sessions", "item=title"),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("erase") / "store"
    write(simulate(StoreConfig(queries=60, seed=3)), folder)
    return folder


def run_of(task, store, root):
    """What a run leaves: samples and texts as ingest writes them, a row a sample in what comes after."""
    run, (file, columns) = root / "runs" / task, LOGS[task]
    ingested([str(store / f"{file}.parquet")], load_config(None, {"task": task, "columns": columns}, []), run)
    samples = read_samples(run / "samples")
    texts = pd.read_parquet(run / "texts" / "texts.parquet")["text"].tolist()
    place = {text: number for number, text in enumerate(texts)}
    about = {"samples_sha256": read_manifest(run / "samples")["sha256"]}
    with publishing(run / "vectors", **about) as (folder, _):
        np.save(folder / "texts.npy", np.arange(len(texts), dtype=np.float32)[:, None])
        np.save(folder / "pairs.npy", samples[["context", "item"]].map(place.get).to_numpy(np.int32))
        samples[["sample_id"]].to_parquet(folder / "sample_ids.parquet", index=False)
    ids = samples[["sample_id", "group_id", "item_id"]]
    ids.assign(importance=0.5).to_parquet(run / "scores.parquet", index=False)
    arms = [ids.assign(arm=arm, label=samples["label"]) for arm in ("challenger", "control")]
    pd.concat(arms).to_parquet(run / "selection.parquet", index=False)
    tested = ids[samples["split"] == "test"]
    if task == "recommendation":
        # What is ranked over the catalogue is more than the samples.
        tested = pd.concat([tested, tested.assign(sample_id=[f"top-{n}" for n in range(len(tested))])])
    tested.to_parquet(run / "predictions.parquet", index=False)
    (run / "summary.json").write_text("{}")
    return run


def users_of(run):
    return pd.read_parquet(run / "samples" / "users.parquet").set_index("sample_id")["user_id"]


def values(run):
    """{file: all that it says}."""
    return {
        file.relative_to(run).as_posix(): repr(pd.read_parquet(file).to_dict("list"))
        if file.suffix == ".parquet"
        else file.read_bytes().decode("utf-8", "replace")
        for file in run.rglob("*")
        if file.is_file()
    }


def busiest(run):
    return users_of(run).value_counts().index[0]


@pytest.mark.parametrize("keyed", [True, False])
@pytest.mark.parametrize("task", LOGS)
def test_a_user_of_a_log_is_forgotten_by_every_file(task, keyed, store, tmp_path, monkeypatch):
    key = SECRET.encode() if keyed else None
    monkeypatch.setenv(KEY, SECRET) if keyed else monkeypatch.delenv(KEY, raising=False)
    run = run_of(task, store, tmp_path)
    whose, before = users_of(run), read_samples(run / "samples").set_index("sample_id")
    log = pd.read_parquet(store / f"{LOGS[task][0]}.parquet")
    user = log["user_id"].value_counts().index[0]
    name = pseudonym(user, key) if keyed else user
    gone = set(whose.index[whose == name])
    assert 0 < len(gone) < len(before) / 4
    facts = read_manifest(run / "samples")
    facts["ledger"]["examples"] = {"older_review": [f"of {name}"]}
    write_json(run / "samples" / "manifest.json", facts)
    done = erase(user, tmp_path / "runs", key)
    assert (done.samples, done.left, done.exports) == (len(gone), [], [])
    for file, said in values(tmp_path / "runs").items():
        assert name not in said, file
        assert not [one for one in gone if one in said], file
    after = read_samples(run / "samples").set_index("sample_id")
    assert set(after.index) == set(before.index) - gone
    assert repr(after.to_dict("list")) == repr(before.loc[after.index].to_dict("list"))
    assert users_of(run).to_dict() == whose[whose != name].to_dict()
    for table in ("scores", "selection"):
        assert set(pq.read_table(run / f"{table}.parquet")["sample_id"].to_pylist()) == set(after.index)
    tested = set(pd.read_parquet(run / "predictions.parquet")["group_id"])
    assert tested == set(after.loc[after["split"] == "test", "group_id"])
    assert read_manifest(run / "samples")["sha256"] == sha256_of(run / "samples")
    ledger = read_manifest(run / "samples")["ledger"]
    assert ledger["dropped"]["erased"] == len(gone)
    assert ledger["rows_in"] == ledger["rows_out"] + sum(ledger["dropped"].values())
    assert ledger["rows_out"] + sum(ledger["added"].values()) == len(after)


@pytest.mark.parametrize("task", LOGS)
def test_texts_and_vectors_still_belong_to_each_other(task, store, tmp_path):
    run = run_of(task, store, tmp_path)
    old = pd.read_parquet(run / "texts" / "texts.parquet")["text"].tolist()
    erase(busiest(run), tmp_path / "runs")
    texts = pd.read_parquet(run / "texts" / "texts.parquet")["text"].tolist()
    vectors = np.load(run / "vectors" / "texts.npy")[:, 0].astype(int)
    assert len(texts) < len(old)
    assert [old[place] for place in vectors] == texts
    samples, pairs = read_samples(run / "samples"), np.load(run / "vectors" / "pairs.npy")
    assert [texts[place] for place in pairs[:, 0]] == samples["context"].tolist()
    assert [texts[place] for place in pairs[:, 1]] == samples["item"].tolist()
    if task == "recommendation":
        items = pd.read_parquet(run / "samples" / "catalogue.parquet")
        assert [texts[place] for place in items["text"]] == items["item"].tolist()
        seen = pd.read_parquet(run / "samples" / "seen.parquet")
        assert set(seen["group_id"]) == set(samples.loc[samples["split"] == "test", "group_id"])
    assert erase("nobody-at-all", tmp_path / "runs").files == {}


@pytest.mark.parametrize("task", LOGS)
def test_an_erasure_that_was_cut_off_is_finished_whatever_names_the_user(task, store, tmp_path, monkeypatch):
    """The table of users goes after the samples it names, and the texts move up once."""
    import assay.pipelines.erase as module

    run = run_of(task, store, tmp_path)
    user, count = busiest(run), users_of(run).value_counts().iloc[0]
    for name in ("samples_without", "ranking_without", "renewed"):

        def cut(*_):
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(module, name, cut)
            with pytest.raises(KeyboardInterrupt):
                erase(user, tmp_path / "runs")
    assert set(users_of(run).index) <= set(read_samples(run / "samples")["sample_id"])
    done = erase(user, tmp_path / "runs")
    assert done.left == []
    assert user not in "".join(values(run).values())
    texts = pd.read_parquet(run / "texts" / "texts.parquet")["text"].tolist()
    if task == "recommendation":
        items = pd.read_parquet(run / "samples" / "catalogue.parquet")
        assert [texts[place] for place in items["text"]] == items["item"].tolist()
    assert len(texts) == len(np.load(run / "vectors" / "texts.npy"))
    assert read_manifest(run / "samples")["ledger"]["dropped"]["erased"] == count


def test_what_names_sessions_alone_goes_before_what_says_whose_they_are(tmp_path, monkeypatch):
    import assay.pipelines.erase as module

    visits = pd.DataFrame({"user_id": ["user-1", "user-2"], "session_id": ["visit-1", "visit-2"]})
    visits.to_parquet(tmp_path / "a.parquet")
    visits[["session_id"]].to_parquet(tmp_path / "b.parquet")
    whole = module._rewritten

    def cut(file, *given):
        whole(file, *given)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module, "_rewritten", cut)
        with pytest.raises(KeyboardInterrupt):
            erase("user-1", tmp_path)
    assert erase("user-1", tmp_path).left == []
    for name in ("a", "b"):
        assert pd.read_parquet(tmp_path / f"{name}.parquet")["session_id"].tolist() == ["visit-2"]


def test_exports_are_made_again_of_what_is_left_and_those_outside_are_named(store, tmp_path):
    run = run_of("review", store, tmp_path)
    user = busiest(run)
    samples = read_samples(run / "samples").set_index("sample_id")
    words = samples.loc[users_of(run)[lambda s: s == user].index, "item"]
    words = [text for text in words if (samples["item"] == text).sum() == 1]
    assert words
    inside, one, outside = run / "for-bge", tmp_path / "runs" / "pairs.parquet", tmp_path / "qrels"
    exported(str(run), "bge", "challenger", inside)
    exported(str(run), "sentence-transformers", "control", one)
    exported(str(run), "trec", "challenger", outside)
    exported(str(run), "bge", "challenger", tmp_path / "runs" / "moved")
    (tmp_path / "runs" / "moved").rename(tmp_path / "elsewhere")
    before = (outside / "corpus.jsonl").read_bytes()
    done = erase(user, tmp_path / "runs")
    assert done.left == []
    assert not [text for text in words for said in values(tmp_path / "runs").values() if text in said]
    pairs = pd.read_parquet(one)
    after = read_samples(run / "samples")
    assert sorted(pairs["document"]) == sorted(after["item"])
    assert len(json.loads((inside / "train.jsonl").read_text().splitlines()[0])["query"]) > 0
    assert done.files["review/for-bge"] == done.files["pairs.parquet"] == done.samples
    assert done.exports == [str(outside), str(tmp_path / "runs" / "moved")]
    assert (outside / "corpus.jsonl").read_bytes() == before
    assert [note["out"] for note in noted(run)] == [str(inside), str(one), str(outside)]
    assert [note.get("erased") for note in noted(run)] == [None, None, done.samples]
    # Named until it was exported again.
    assert erase("nobody-at-all", tmp_path / "runs").exports == [str(outside)]
    (outside / "corpus.jsonl").unlink()
    outside.rename(tmp_path / "old")
    exported(str(run), "trec", "challenger", outside)
    assert erase("nobody-at-all", tmp_path / "runs").exports == []


def test_exports_of_a_run_that_is_made_anew_go(store, tmp_path):
    """Its selection is not there, or not the one that was exported: nobody can tell what they hold."""
    run = run_of("review", store, tmp_path)
    user = busiest(run)
    selection = pd.read_parquet(run / "selection.parquet")
    for name in ("early", "late"):
        exported(str(run), "bge", "challenger", run / name)
        mine = users_of(run)[lambda s: s == user].index
        selection[~selection["sample_id"].isin(mine)].to_parquet(run / "selection.parquet", index=False)
    before = (run / "late" / "train.jsonl").read_bytes()
    assert (run / "early" / "train.jsonl").read_bytes() != before
    assert erase(user, tmp_path / "runs").files["review/early"] == len(mine)
    assert (
        (run / "early" / "train.jsonl").read_bytes() == before == (run / "late" / "train.jsonl").read_bytes()
    )
    (run / "selection.parquet").unlink()
    erase(busiest(run), tmp_path / "runs")
    assert not [name for name in ("early", "late", EXPORTS) if (run / name).exists()]


def test_exports_of_another_run_stay_unless_its_samples_are_not_there(store, tmp_path):
    run = run_of("review", store, tmp_path)
    user, other = busiest(run), tmp_path / "runs" / "other"
    shutil.copytree(run, other)
    erase(user, other)
    exported(str(other), "bge", "challenger", other / "bge.jsonl")
    before = (other / "bge.jsonl").stat()
    started_anew = tmp_path / "runs" / "anew"
    shutil.copytree(run, started_anew)
    exported(str(started_anew), "bge", "challenger", started_anew / "bge.jsonl")
    shutil.rmtree(started_anew / "samples")
    (started_anew / "selection.parquet").unlink()
    done = erase(user, tmp_path / "runs")
    assert (other / "bge.jsonl").stat() == before
    assert not (started_anew / "bge.jsonl").exists()
    assert [file for file in done.files if file.endswith(".jsonl")] == ["anew/bge.jsonl"]


def test_an_export_of_nothing_but_what_is_forgotten_goes(store, tmp_path):
    run = run_of("ads", store, tmp_path)
    user = busiest(run)
    mine = users_of(run)[lambda s: s == user].index
    selection = pd.read_parquet(run / "selection.parquet")
    selection[selection["sample_id"].isin(mine)].to_parquet(run / "selection.parquet", index=False)
    exported(str(run), "sentence-transformers", "control", run / "pairs.parquet")
    erase(user, tmp_path / "runs")
    assert not (run / "pairs.parquet").exists()
    assert not (run / EXPORTS).exists()
