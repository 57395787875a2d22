"""A log that is added to is what it would be had all of it come at once."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest
from assay.components.core.errors import BadInput
from assay.components.core.samples import read_samples
from assay.components.ingest import log_store
from assay.components.ingest.columns import parse_columns
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.log_store import LogStore
from assay.components.ingest.parts.seen import Seen, hashed
from assay.components.ingest.prepare import IngestConfig, ingest
from assay.components.ingest.reading import read_new
from assay.components.ingest.tables import canonical
from assay.examples.store import StoreConfig, simulate
from assay.pipelines.config import RunConfig
from assay.pipelines.ingesting import ingested

COLUMNS = "query=query,item=title,item_id=item_id,click=click,position=position,timestamp=timestamp"
FILES = ("samples", "texts", "truth")


@pytest.fixture(scope="module")
def log():
    return simulate(StoreConfig(queries=100, searches_per_query=10)).search_events


def as_flat(log, folder, name):
    log.to_parquet(folder / f"{name}.parquet", index=False)
    return [str(folder / f"{name}.parquet")]


def frames(out):
    return [
        read_samples(out / "samples").drop(columns="source"),
        pd.read_parquet(out / "texts/texts.parquet"),
        pd.read_parquet(out / "truth/truth.parquet"),
    ]


def same(one, other):
    for a, b in zip(frames(one), frames(other), strict=True):
        pd.testing.assert_frame_equal(a, b, check_categorical=False)


def test_two_files_one_after_the_other_are_one_log(tmp_path, log):
    config = RunConfig(columns=COLUMNS, noise=0.1)
    half = len(log) // 2
    whole = ingested(as_flat(log, tmp_path, "all"), config, tmp_path / "whole")
    # Events that were sent again are in the other file, and some of the first come late.
    first = ingested(as_flat(log[:half], tmp_path, "first"), config, tmp_path / "out", append=True)
    mixed = pd.concat([log[half:], log[:half].sample(40, random_state=0)])
    second = ingested(as_flat(mixed, tmp_path, "second"), config, tmp_path / "out", append=True)
    same(tmp_path / "whole", tmp_path / "out")
    assert second["files"] == ["first.parquet", "second.parquet"]
    assert first["rows_in"] == half
    assert second["rows_in"] == whole["rows_in"] + 40
    again = second["dropped"]["duplicate_event"] - whole["dropped"]["duplicate_event"]
    assert again == 40
    assert second["watermark"] >= first["watermark"]
    assert pd.Timestamp(first["watermark"]) == log["timestamp"][:half].max()
    assert "late_event" not in first["noted"]


def test_the_same_file_twice_changes_nothing(tmp_path, log):
    config = RunConfig(columns=COLUMNS)
    once = ingested(as_flat(log, tmp_path, "log"), config, tmp_path / "out", append=True)
    before = {
        file: file.stat().st_mtime_ns for file in sorted((tmp_path / "out").rglob("*")) if file.is_file()
    }
    twice = ingested(as_flat(log, tmp_path, "another-name"), config, tmp_path / "out", append=True)
    assert twice == once
    assert before == {file: file.stat().st_mtime_ns for file in before}


def test_late_rows_find_their_place_and_those_too_late_are_dropped(tmp_path, log):
    config = RunConfig(columns=COLUMNS)
    days = (log["timestamp"] - log["timestamp"].min()) / pd.Timedelta(days=1)
    newest = days.max()
    old, late = log[days >= newest - 7], log[days < newest - 7]
    too_late = int((days[late.index] < newest - 14).sum())
    for name, limit in (("all", 0.0), ("week", 14.0)):
        ingested(as_flat(old, tmp_path, "old"), config, tmp_path / name, append=True, late_days=limit)
        found = ingested(
            as_flat(late, tmp_path, "late"), config, tmp_path / name, append=True, late_days=limit
        )
        # Counted once it was read: events twice, and those without a query or a click, are gone by then.
        read = sum(found["noted"].get(k, 0) + found["dropped"].get(k, 0) for k in ("late_event", "too_late"))
        assert len(late) * 0.9 < read <= len(late)
        if limit:
            assert 0.9 * too_late < found["dropped"]["too_late"] <= too_late
        else:
            assert "too_late" not in found["dropped"]
    ingested(as_flat(log, tmp_path, "whole"), config, tmp_path / "whole")
    same(tmp_path / "whole", tmp_path / "all")


def test_canonical_tables_are_kept_too_and_hold_no_personal_data(tmp_path, monkeypatch):
    monkeypatch.setenv("ASSAY_ID_KEY", "k" * 40)

    def lines(numbers):
        return "".join(
            json.dumps({"user_id": f"user{n % 50}", "parent_asin": f"p{n % 20}", "rating": 1 + n // 20 % 5,
                        "title": f"review {n}", "text": f"write to me{n}@example.org, it is {n % 7}",
                        "timestamp": 1_700_000_000_000 + n * 1000}) + "\n"
            for n in numbers
        )  # fmt: skip

    (tmp_path / "all.jsonl").write_text(lines(range(900)))
    (tmp_path / "one.jsonl").write_text(lines(range(500)))
    (tmp_path / "two.jsonl").write_text(lines(range(500, 900)))
    config = RunConfig(task="review")
    whole = ingested([str(tmp_path / "all.jsonl")], config, tmp_path / "whole")
    for name in ("one", "two"):
        found = ingested([str(tmp_path / f"{name}.jsonl")], config, tmp_path / "out", append=True)
    assert found["reader"] == whole["reader"] == "amazon_reviews"
    assert found["dropped"] == whole["dropped"]
    kept = b"".join(file.read_bytes() for file in (tmp_path / "out/log").rglob("*") if file.is_file())
    assert kept
    tables = [pd.read_parquet(file) for file in (tmp_path / "out/log").rglob("reviews-*.parquet")]
    text = pd.concat(tables).astype(str).to_csv()
    assert "@example" not in text
    assert "user4" not in text
    reviews = frames(tmp_path / "whole")[0]
    assert len(reviews) == len(frames(tmp_path / "out")[0]) > 0


def test_what_was_read_before_a_kill_is_not_read_again(tmp_path, log, monkeypatch):
    config = IngestConfig("", columns=parse_columns(COLUMNS))
    parts = [
        as_flat(part, tmp_path, f"p{n}")[0] for n, part in enumerate((log[:400], log[400:900], log[900:]))
    ]
    store = LogStore(tmp_path / "log")
    rows = log_store.Writer.add
    written = []

    def dies(self, table, frame):
        written.append(self)
        if len(written) == 3:
            raise KeyboardInterrupt
        rows(self, table, frame)

    monkeypatch.setattr(log_store.Writer, "add", dies)
    with pytest.raises(KeyboardInterrupt):
        read_new(",".join(parts), config.how(), store)
    assert [reading.about["file"] for reading in store.readings()] == ["p0.parquet", "p1.parquet"]
    new = read_new(",".join(parts), config.how(), store)
    assert [reading.about["file"] for reading in new] == ["p2.parquet"]
    ingest(replace(config, data="log"), *(str(tmp_path / "a" / name) for name in FILES), log=store)
    whole = IngestConfig(as_flat(log, tmp_path, "whole")[0], columns=config.columns)
    ingest(whole, *(str(tmp_path / "b" / name) for name in FILES))
    same(tmp_path / "a", tmp_path / "b")


def test_what_was_made_otherwise_is_not_added_to(tmp_path, log):
    files = as_flat(log, tmp_path, "log")
    ingested(files, RunConfig(columns=COLUMNS), tmp_path / "out", append=True)
    with pytest.raises(BadInput, match="out: was made with another columns"):
        ingested(files, RunConfig(columns=f"{COLUMNS},segment=session_id"), tmp_path / "out", append=True)
    ingested(files, RunConfig(columns=COLUMNS), tmp_path / "plain")
    with pytest.raises(BadInput, match="without --append"):
        ingested(files, RunConfig(columns=COLUMNS), tmp_path / "plain", append=True)


def test_ids_seen_before_are_told_in_any_run():
    seen, rng = Seen(), np.random.default_rng(0)
    known: set = set()
    for _ in range(30):
        ids = pd.Series(rng.integers(0, 3000, 200).astype(str), dtype=object)
        ids[rng.integers(0, 200, 5)] = None
        found = seen.again(hashed(ids))
        expected = []
        for one in ids:
            expected.append(one is not None and one in known)
            known |= {one} if one is not None else set()
        assert found.tolist() == expected


def test_what_nothing_new_speaks_of_stays_as_it_was(tmp_path, log):
    config = RunConfig(columns=COLUMNS)
    last = log["query_id"].dropna().unique()[-3:]
    new = log["query_id"].isin(last)
    ingested(as_flat(log[~new], tmp_path, "first"), config, tmp_path / "out", append=True)
    before = read_samples(tmp_path / "out/samples").drop(columns="source").set_index("sample_id")
    ingested(as_flat(log[new], tmp_path, "second"), config, tmp_path / "out", append=True)
    after = read_samples(tmp_path / "out/samples").drop(columns="source").set_index("sample_id")
    touched = set(log.loc[new, "query"].dropna().str.strip())
    same_as_was = before[~before["context"].isin(touched)]
    assert 0 < len(same_as_was) < len(before)
    columns = ["label", "weight", "split", "context", "item"]
    assert after.loc[same_as_was.index, columns].astype(str).equals(same_as_was[columns].astype(str))


def test_a_clock_that_runs_ahead_makes_nothing_late(tmp_path, log):
    half = len(log) // 2
    first = log[:half].copy()
    first.loc[first.index[5], "timestamp"] = pd.Timestamp("2999-01-01", tz="UTC")
    config = RunConfig(columns=COLUMNS)
    ingested(as_flat(first, tmp_path, "first"), config, tmp_path / "out", append=True)
    found = ingested(as_flat(log[half:], tmp_path, "second"), config, tmp_path / "out", append=True)
    assert "late_event" not in found["noted"]
    assert pd.Timestamp(found["watermark"]) == log["timestamp"].max()
    reviews = canonical("reviews", pl.DataFrame({"text": ["good", "bad"], "timestamp": [
        datetime(2026, 1, 1, tzinfo=UTC), datetime(2999, 1, 1, tzinfo=UTC)]}))  # fmt: skip
    writer = LogStore(tmp_path / "log").writer("reviews.csv", "0" * 64)
    writer.add("reviews", reviews)
    assert writer.close(Ledger()).last == datetime(2026, 1, 1, tzinfo=UTC)
