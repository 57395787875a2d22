"""`assay ingest`: a log as its system writes it in, samples and a ledger out."""

import gzip
import json
import subprocess
import sys

import pytest
from assay.components.core.samples import read_samples
from assay.components.ingest.privacy import id_key
from assay.examples.store import StoreConfig, simulate
from assay.pipelines.config import RunConfig
from assay.pipelines.erase import erase
from assay.pipelines.ingesting import ingested

KINDS = ("dropped", "repaired", "noted", "added")


def assay(folder, *arguments):
    command = [sys.executable, "-m", "assay.pipelines.cli", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def log(tmp_path):
    """UBI: 60 searches of 10 items, some clicks; 7 events name a search that nobody knows, 1 names none."""
    queries, events = [], []
    for k in range(60):
        hits = [f"p{(7 * k + j) % 30}" for j in range(10)]
        queries.append({
            "application": "shop", "query_id": f"q{k}", "client_id": f"c{k % 9}", "user_query": f"shoe {k}",
            "timestamp": "2026-01-02T10:00:00Z", "query_response_hit_ids": hits,
        })  # fmt: skip
        for place in (k % 4, k % 7):
            events.append({
                "action_name": "click", "query_id": f"q{k}", "client_id": f"c{k % 9}",
                "timestamp": "2026-01-02T10:00:30Z", "session_id": f"s{k}{place}",
                "event_attributes": {
                    "object": {"object_id": hits[place], "name": f"shoe {hits[place]}"},
                    "position": {"ordinal": place + 1},
                },
            })  # fmt: skip
    for k in range(7):
        events[k]["query_id"] = f"lost{k}"
    events[7]["query_id"] = None
    for name, rows in (("queries", queries), ("events", events)):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / f"{name}.ndjson.gz").write_bytes(gzip.compress(text.encode()))
    return tmp_path


def test_a_log_becomes_samples_and_a_ledger_that_reconciles(log):
    done = assay(log, "ingest", "queries.ndjson.gz", "events.ndjson.gz", "--task", "search", "--out", "out")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "out/ledger.json"
    ledger = json.loads((log / "out" / "ledger.json").read_text())
    assert (ledger["reader"], ledger["rows_in"]) == ("ubi", 60 * 10 + 120)
    assert ledger["rows_in"] == ledger["rows_out"] + sum(ledger["dropped"].values())
    assert (ledger["dropped"]["orphan_query_id"], ledger["dropped"]["missing_query_id"]) == (7, 1)
    samples = read_samples(log / "out" / "samples")
    assert len(samples) == ledger["rows_out"] == sum(ledger["samples"].values())
    assert set(samples["task"]) == {"search"}
    assert 0 < (samples["label"] > 0).mean() < 0.5
    for kind in KINDS:
        assert all(reason in done.stderr for reason in ledger[kind])


def test_it_explains_which_reader_a_file_has_and_writes_nothing(log):
    (log / "house.csv").write_text("frage,titel,note\na,b,1\n")
    done = assay(log, "ingest", "queries.ndjson.gz", "events.ndjson.gz", "--explain")
    first, second = done.stdout.splitlines()
    assert "queries.ndjson.gz: ubi" in first
    assert "query_response_hit_ids" in first
    assert "action_name" in second
    alone = assay(log, "ingest", "house.csv", "--explain")
    assert "none of" in alone.stdout
    assert not (log / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["queries.ndjson.gz", "house.csv"], "house.csv: no reader knows this format (it has frage, titel"),
        (["none.csv"], "none.csv: no such file"),
        (["house.csv", "--format", "morse"], "--format morse: no such format; known: "),
        (["house.csv", "--mapping", "none.yaml"], "none.yaml"),
        (["house.csv", "--columns", "query=frage", "--format", "ubi"], "leave one out"),
        (["cut.ndjson.gz"], "cut.ndjson.gz"),
    ],
)
def test_what_cannot_be_read_is_told_with_exit_code_2_and_nothing_is_written(log, arguments, words):
    (log / "house.csv").write_text("frage,titel,note\na,b,1\n")
    whole = (log / "queries.ndjson.gz").read_bytes()
    (log / "cut.ndjson.gz").write_bytes(whole[: len(whole) // 2])
    done = assay(log, "ingest", *arguments, "--out", "out")
    assert done.returncode == 2, done.stdout + done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (log / "out" / "ledger.json").exists()


def test_a_log_that_forgot_a_user_is_added_to(tmp_path, monkeypatch):
    monkeypatch.setenv("ASSAY_ID_KEY", "k" * 40)
    log = simulate(StoreConfig(queries=60, seed=3)).search_events
    first, second = log[:3000], log[3000:]
    first.to_parquet(tmp_path / "first.parquet")
    second.to_parquet(tmp_path / "second.parquet")
    user = first["user_id"].iloc[200]
    # Who comes back is in the second file again, and that is another log.
    second[second["user_id"] != user].to_parquet(tmp_path / "second.parquet")
    config, out = RunConfig(), tmp_path / "runs" / "log"
    ingested([str(tmp_path / "first.parquet")], config, out, append=True)
    done = erase(user, tmp_path / "runs", id_key())
    assert done.left == []
    found = ingested([str(tmp_path / "second.parquet")], config, out, append=True)
    assert found["dropped"]["erased"] > 0
    log[log["user_id"] != user].to_parquet(tmp_path / "others.parquet")
    ingested([str(tmp_path / "others.parquet")], config, tmp_path / "others")
    columns = ["sample_id", "label", "split"]
    theirs, ours = (
        read_samples(folder / "samples", columns=columns) for folder in (tmp_path / "others", out)
    )
    assert ours.astype(str).equals(theirs.astype(str))
