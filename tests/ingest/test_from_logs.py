"""What `prepare` does to the tables of a log before a task is built of them."""

import json

import polars as pl
from assay.components.ingest.cleaning.clean import clean
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.prepare import IngestConfig, prepare
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
