"""A log that memory does not hold gives what it gives when memory holds it."""

import json

import numpy as np
import pandas as pd
import polars as pl
import pytest
from assay.components.core.samples import read_samples, shard_files
from assay.components.ingest.cleaning.clean import clean
from assay.components.ingest.cleaning.policy import Policy
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.parts import parted, scattered
from assay.components.ingest.parts.parted import Parted, Spool
from assay.components.ingest.parts.scattered import SLOTS, Scattered, slots_in_order, slots_of
from assay.components.ingest.parts.visitors import _parts, parts_of
from assay.components.ingest.prepare import IngestConfig, ingest
from assay.components.ingest.tables import canonical, logged_rows, together
from assay.examples.store import StoreConfig, simulate, write
from assay.pipelines.preflight import STORE
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tests.ingest.cleaning.logs import WHOLE_LOGS, any_log

TINY = {"HELD": 300, "PART": 500}


@pytest.fixture(scope="module")
def store_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    write(simulate(StoreConfig(queries=120, searches_per_query=12)), folder)
    return folder


@pytest.fixture
def small_memory(monkeypatch):
    """As if little fitted: every way through files is gone."""

    def start():
        for name, rows in TINY.items():
            monkeypatch.setattr(scattered, name, rows)
        monkeypatch.setattr(parted, "WHOLE", 400)
        monkeypatch.setattr(parted, "PART", 700)

    return start


def ubi(store, folder):
    """The store's searches as OpenSearch would log them."""
    events = store.search_events.dropna(subset=["query", "position"]).drop_duplicates("event_id")
    queries = [
        {
            "query_id": key,
            "client_id": page["user_id"].iloc[0],
            "user_query": page["query"].iloc[0],
            "timestamp": page["timestamp"].iloc[0].isoformat(),
            "query_response_hit_ids": page.sort_values("position")["item_id"].tolist(),
        }
        for key, page in events.groupby("query_id")
    ]
    clicks = [
        {
            "action_name": "click",
            "query_id": row.query_id,
            "client_id": row.user_id,
            "session_id": row.session_id,
            "timestamp": (row.timestamp + pd.Timedelta(seconds=9)).isoformat(),
            "event_attributes": {
                "object": {"object_id": row.item_id, "object_id_field": "item_id", "description": row.title},
                "position": {"ordinal": int(row.position)},
            },
        }
        for row in events[events["click"] == 1].itertuples()
    ]
    files = []
    for name, lines in (("ubi_queries.ndjson", queries), ("ubi_events.ndjson", clicks)):
        files.append(folder / name)
        files[-1].write_text("".join(json.dumps(line) + "\n" for line in lines))
    items = [
        {"_id": i, "title": t, "text": ""}
        for i, t in zip(store.items["item_id"], store.items["title"], strict=True)
    ]
    files.append(folder / "corpus.jsonl")
    files[-1].write_text("".join(json.dumps(item) + "\n" for item in items))
    return ",".join(map(str, files))


def configs(folder, tmp_path):
    flat = {task: (str(folder / file), columns) for task, (file, columns) in STORE.items()}
    clicks = {"query": ["query"], "item": ["title"], "item_id": ["item_id"], "click": ["click"]}
    return {
        "grades": IngestConfig(flat["search"][0], columns=flat["search"][1], noise=0.1),
        "clicks": IngestConfig(
            str(folder / "search_events.parquet"), columns=clicks, sample=4000, test_sample=900
        ),
        "ubi": IngestConfig(ubi(simulate(StoreConfig(queries=120, searches_per_query=12)), tmp_path)),
        "review": IngestConfig(flat["review"][0], task="review", columns=flat["review"][1], relevant_at=4),
        "stars": IngestConfig(
            flat["review"][0], task="review", columns=flat["review"][1], policy={"label": "rating"}
        ),
        "ads": IngestConfig(
            flat["ads"][0], task="ads", columns=flat["ads"][1], policy={"keep_unclicked": 0.4}
        ),
        "late ads": IngestConfig(
            flat["ads"][0], task="ads", columns=flat["ads"][1], policy={"holdout": "time"}
        ),
        "recommendation": IngestConfig(
            flat["recommendation"][0], task="recommendation", columns=flat["recommendation"][1], sample=3000
        ),
    }


@pytest.mark.parametrize(
    "name", ["grades", "clicks", "ubi", "review", "stars", "ads", "late ads", "recommendation"]
)
def test_samples_are_the_same_in_many_parts(store_folder, tmp_path, small_memory, name):
    config = configs(store_folder, tmp_path)[name]
    found = {}
    for memory in ("large", "small"):
        if memory == "small":
            small_memory()
        folders = [tmp_path / memory / part for part in ("samples", "texts", "truth")]
        facts = ingest(config, *map(str, folders), 3)
        facts["ledger"].pop("examples")
        found[memory] = (
            facts,
            read_samples(folders[0]),
            len(shard_files(folders[0])),
            pd.read_parquet(folders[1] / "texts.parquet"),
            pd.read_parquet(folders[1] / "attributes.parquet"),
            pd.read_parquet(folders[2] / "truth.parquet"),
        )
    for one, other in zip(found["large"], found["small"], strict=True):
        if isinstance(one, pd.DataFrame):
            pd.testing.assert_frame_equal(one, other, check_categorical=False)
        else:
            assert one == other


def test_slots_come_back_in_order_and_memory_is_left(tmp_path):
    rng = np.random.default_rng(0)
    ids = [f"{value:032x}" for value in rng.integers(0, 2**63, 5000).astype(object) * 2**65]
    rows = Scattered(tmp_path / "rows", held=700)
    for start in range(0, 5000, 500):
        part = pd.DataFrame({"id": ids[start : start + 500], "n": np.arange(start, start + 500)})
        # A column that a chunk lacks is missing there.
        rows.add(part.assign(more=1.5) if start else part, slots_in_order(part["id"]))
    assert len(rows) == 5000
    assert len(list((tmp_path / "rows").iterdir())) > 3
    parts = rows.parts(600)
    assert [slot for part in parts for slot in part] == list(range(SLOTS))
    found = [rows.read(part) for part in parts]
    assert max(map(len, found)) <= 600
    everything = pd.concat([part.sort_values("id") for part in found], ignore_index=True)
    assert everything["id"].tolist() == sorted(ids)
    assert everything["more"].isna().sum() == 500
    assert rows.read(parts[0], ["n"]).columns.tolist() == ["n"]


@settings(WHOLE_LOGS, max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=40), st.integers(1, 9))
def test_parts_are_those_of_connected_components(pairs, parts):
    edges = np.array([*pairs, *((node, node) for pair in pairs for node in pair)]).reshape(-1, 2)
    nodes = np.unique(edges).astype(np.uint64) * np.uint64(977)
    ends = np.searchsorted(np.unique(edges), edges)
    graph = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), (len(nodes),) * 2)
    _, linked = connected_components(graph, directed=False)
    least = pd.Series(nodes).groupby(linked).transform("min").to_numpy(np.uint64)
    assert np.array_equal(_parts(ends, nodes, parts), least % np.uint64(parts))


def test_one_key_has_one_slot():
    keys = pd.Series(["shoe", "lamp", "shoe"])
    assert slots_of(keys)[0] == slots_of(keys)[2]


def test_what_users_sessions_and_searches_link_is_in_one_part():
    chunks = [
        canonical("events", pl.DataFrame([
            {"user_id": f"u{n}", "session_id": f"s{n}", "source": "a", "row": n} for n in range(200)
        ])),
        canonical("impressions", pl.DataFrame([
            {"session_id": f"s{n}", "query_id": f"q{n}", "source": "a", "row": n} for n in range(200)
        ])),
        canonical("queries", pl.DataFrame([
            {"query_id": f"q{n}", "source": "a", "row": n} for n in range(200)
        ])),
    ]  # fmt: skip
    events, shown, queries = parts_of(lambda: iter(chunks), 7)
    assert np.array_equal(events, shown)
    assert np.array_equal(events, queries)
    assert len(set(events)) == 7
    # Nobody named: rows are spread, each by itself.
    [alone] = parts_of(
        lambda: iter([canonical("events", pl.DataFrame([{"source": "a", "row": n} for n in range(300)]))]), 7
    )
    assert len(set(alone)) == 7


@settings(WHOLE_LOGS, max_examples=60)
@given(any_log(), st.sampled_from([5, 9]))
def test_a_log_in_parts_is_cleaned_as_a_whole(tmp_path_factory, tables, rows):
    """Whatever the log: the same rows are left, and as many are counted for each reason."""
    policy, whole, parts = Policy(), Ledger(), Ledger()
    expected = clean(tables, whole, policy)
    folder = tmp_path_factory.mktemp("parts")
    spool = Spool(folder / "read", 0)
    for name, table in tables.items():
        spool.add(name, table)
    found = {}
    if logged_rows(tables):
        found = together(Parted(spool.chunks, logged_rows(tables), folder, parts, policy, rows).cleaned())
        assert parts.dropped == whole.dropped
        assert parts.repaired == whole.repaired
        assert parts.noted == whole.noted
        for name, table in expected.items():
            by = ["source", "row", *[c for c in table.columns if c not in ("source", "row")]]
            left = found.get(name, table.head(0)).select(table.columns)
            assert left.sort(by).equals(table.sort(by)), name
