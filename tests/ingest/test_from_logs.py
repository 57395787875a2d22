"""What `prepare` does to the tables of a log before a task is built of them."""

import json

import numpy as np
import pandas as pd
import polars as pl
import pytest
from assay.components.ingest.cleaning.clean import clean
from assay.components.ingest.columns import parse_columns
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.prepare import IngestConfig, prepare
from assay.components.ingest.readers import files
from assay.components.ingest.tables import canonical


def test_personal_data_is_masked_before_samples_are_made(tmp_path):
    lines = [
        {
            "query": f"order of jane.doe{k}@example.org, shoe {k}",
            "pos": [f"shoe {k}"],
            "neg": [f"lamp {k}", "sofa"],
        }
        for k in range(40)
    ]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = prepare(IngestConfig(str(tmp_path / "pairs.jsonl")))
    assert found.facts["reader"] == "bge"
    assert found.facts["ledger"]["repaired"]["masked_email"] == 120
    assert found.samples["context"].str.contains("[email]", regex=False).all()
    assert not found.samples["context"].str.contains("@").any()


def test_ids_are_missing_only_in_a_file_that_has_some():
    rows = [
        {"source": "ga4", "row": 1, "action": "click", "item_id": "a"},
        {"source": "ga4", "row": 2, "action": "click", "item_id": "b"},
        {"source": "ubi", "row": 1, "action": "click", "item_id": "a", "query_id": "q1"},
        {"source": "ubi", "row": 2, "action": "click", "item_id": "b"},
    ]
    queries = pl.DataFrame([{"query_id": "q1", "query": "shoe", "source": "ubi", "row": 1}])
    reviews = [
        {"source": "zh", "row": 1, "text": "good"},
        {"source": "amazon", "row": 1, "text": "good", "item_id": "a"},
        {"source": "amazon", "row": 2, "text": "bad"},
    ]
    ledger = Ledger()
    found = clean(
        {
            "queries": canonical("queries", queries),
            "events": canonical("events", pl.DataFrame(rows)),
            "reviews": canonical("reviews", pl.DataFrame(reviews)),
        },
        ledger,
    )
    assert found["events"].select("source", "row").rows() == [("ga4", 1), ("ga4", 2), ("ubi", 1)]
    assert found["reviews"].select("source", "row").rows() == [("zh", 1), ("amazon", 1)]
    assert ledger.dropped == {"missing_query_id": 1, "missing_item_id": 1}


def test_a_column_of_order_counts_though_the_file_is_in_another(tmp_path):
    rng = np.random.default_rng(0)
    visits = pd.DataFrame([
        {"user_id": f"u{u}", "item_id": f"p{(7 * u + step) % 40}", "title": f"thing {(7 * u + step) % 40}",
         "step": step}
        for u in range(80) for step in range(6)
    ])  # fmt: skip
    found = []
    for name, order in (("sorted", slice(None)), ("shuffled", rng.permutation(len(visits)))):
        visits.iloc[order].to_csv(tmp_path / f"{name}.csv", index=False)
        columns = parse_columns("user=user_id,item=title,order=step")
        config = IngestConfig(str(tmp_path / f"{name}.csv"), task="recommendation", columns=columns)
        found.append(prepare(config).samples.drop(columns="source"))
    pd.testing.assert_frame_equal(*found, check_categorical=False)


@pytest.mark.parametrize("task", ["review", "ads"])
def test_a_flat_log_is_read_by_chunks_as_it_is_whole(tmp_path, monkeypatch, task):
    rng = np.random.default_rng(1)
    number = rng.integers(0, 30, 900)
    log = pd.DataFrame({
        "item_id": [f"p{n}" for n in number], "title": [f"thing {n}" for n in number],
        "text": [f"words {k}" for k in range(900)], "rating": rng.integers(1, 6, 900),
        "placement": "home", "click": rng.integers(0, 2, 900), "user_id": [f"u{k % 90}" for k in range(900)],
    })  # fmt: skip
    log.to_csv(tmp_path / "log.csv.gz", index=False)
    columns = {
        "review": "query=title,text=text,label=rating",
        "ads": "query=placement,item=title,click=click",
    }
    config = IngestConfig(str(tmp_path / "log.csv.gz"), task=task, columns=parse_columns(columns[task]))
    whole = prepare(config)
    monkeypatch.setattr(files.read_chunks, "__defaults__", (100,))
    chunked = prepare(config)
    pd.testing.assert_frame_equal(whole.samples, chunked.samples)
    assert whole.facts == chunked.facts
