"""Whose a sample is: written beside the samples, for those that come of one user alone."""

import pandas as pd
import pyarrow.parquet as pq
import pytest
from assay.components.core.samples import read_samples
from assay.components.ingest.columns import parse_columns
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.prepare import IngestConfig, ingest
from assay.components.ingest.search import samples_from_impressions, samples_from_judgments
from assay.examples.store import StoreConfig, simulate, write

COLUMNS = {
    "review": "query=title,text=text",
    "ads": "query=placement+device+page,item=title+category",
    "recommendation": "item=title",
}
FILES = {"review": "reviews", "ads": "ads", "recommendation": "recommendation_sessions"}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("users") / "store"
    write(simulate(StoreConfig(queries=60, seed=3)), folder)
    return folder


@pytest.mark.parametrize("task", FILES)
def test_a_task_writes_whose_each_sample_is(store, tmp_path, task):
    file = store / f"{FILES[task]}.parquet"
    folders = [tmp_path / name for name in ("samples", "texts", "truth")]
    ingest(IngestConfig(str(file), task, parse_columns(COLUMNS[task])), *map(str, folders))
    users = pd.read_parquet(tmp_path / "samples" / "users.parquet")
    assert pq.read_schema(tmp_path / "samples" / "users.parquet").names == ["sample_id", "user_id"]
    samples = read_samples(tmp_path / "samples").merge(users, on="sample_id", how="left")
    assert samples["user_id"].notna().all()
    log = pd.read_parquet(file)
    key = {"review": ("review_id", "item_id"), "ads": ("impression_id", "group_id")}.get(task)
    if key:
        whose = log.set_index(key[0])["user_id"]
        assert (samples["user_id"] == samples[key[1]].map(whose)).all()
    else:
        assert (samples["user_id"] == samples["group_id"].str.rpartition("|")[0]).all()


@pytest.mark.parametrize("task", ["review", "ads"])
def test_a_session_stands_in_for_a_user(store, tmp_path, task):
    log = pd.read_parquet(store / f"{FILES[task]}.parquet").rename(columns={"user_id": "session_id"})
    log.to_parquet(tmp_path / "log.parquet")
    config = IngestConfig(str(tmp_path / "log.parquet"), task, parse_columns(COLUMNS[task]))
    ingest(config, *(str(tmp_path / name) for name in ("samples", "texts", "truth")))
    assert set(pd.read_parquet(tmp_path / "samples" / "users.parquet")["user_id"]) == set(log["session_id"])


@pytest.mark.parametrize("label", ["click", "grade"])
def test_a_sample_merged_of_several_users_is_nobodys(label):
    users = {"a": ["ann", "ann"], "b": ["ann", "bob"], "c": ["bob", None], "d": [None], "e": ["bob"]}
    rows = pd.DataFrame([{"item": item, "user_id": user} for item, of in users.items() for user in of])
    rows = rows.assign(group_id="q", context="q", item_id=rows["item"], segment="all", split="train")
    rows = rows.assign(**{label: 1.0}, position=1.0, timestamp=pd.Timestamp(0, tz="UTC"))
    if label == "click":
        merged = samples_from_impressions(rows, "log", Ledger())
    else:
        merged = samples_from_judgments(rows, "log", 1.0, Ledger())
    whose = merged.set_index("item")["user_id"].dropna().to_dict()
    assert whose == {"a": "ann", "e": "bob"}
    assert len(merged) == 5


def test_a_log_without_users_has_no_such_file(store, tmp_path):
    log = pd.read_parquet(store / "reviews.parquet").drop(columns="user_id")
    log.to_parquet(tmp_path / "reviews.parquet")
    config = IngestConfig(str(tmp_path / "reviews.parquet"), "review", parse_columns(COLUMNS["review"]))
    ingest(config, *(str(tmp_path / name) for name in ("samples", "texts", "truth")))
    assert not (tmp_path / "samples" / "users.parquet").exists()
