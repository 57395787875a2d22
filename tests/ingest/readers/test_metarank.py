"""Metarank events as documented, with their traps."""

import json

import pytest
from assay.components.core.errors import BadInput

from tests.ingest.readers.by_claim import read, written
from tests.ingest.readers.published import jsonl, metarank


def test_items_rankings_and_interactions(tmp_path):
    tables, ledger, readers = read(*metarank(tmp_path))
    assert readers == ["metarank"]
    assert tables["impressions"].select("query_id", "query", "item_id", "position").rows()[:2] == [
        ("r1", "cat", "i1", 1), ("r1", "cat", "i2", 2),
    ]  # fmt: skip
    assert tables["impressions"]["feature.relevancy"].to_list() == [2.0, 1.0, 2.0, 1.0]
    click = tables["events"].row(0, named=True)
    assert (click["action"], click["query_id"], click["item_id"], click["event_id"]) == (
        "click",
        "r1",
        "i2",
        "e1",
    )
    assert str(click["timestamp"]) == "2020-09-06 11:24:28+00:00"
    item = tables["items"].row(0, named=True)
    assert (item["text"], item["colour"], item["price"]) == (
        "Your favourite cat white, black",
        "white, black",
        12.5,
    )
    assert (item["feature.is_cute"], item["attribute.mood"]) == (1.0, "calm")
    assert ledger.noted == {"user_record": 1}


def test_what_cannot_be_read_is_counted(tmp_path):
    event = {"event": "interaction", "id": "e", "type": "rating", "item": "i", "timestamp": "soon"}
    event["fields"] = [{"name": "rating", "value": "good"}]
    tables, ledger, _ = read(jsonl(tmp_path / "events.jsonl", [event]))
    assert tables["events"].select("timestamp", "value").rows() == [(None, None)]
    assert ledger.repaired == {"unreadable_time": 1, "unreadable_number": 1}
    assert ledger.examples["unreadable_time"] == ["events.jsonl, row 1: timestamp 'soon'"]


def test_labels_are_judgments_and_an_interaction_may_have_no_ranking(tmp_path):
    events = [
        {"event": "ranking", "id": "r1", "timestamp": 1599391467, "fields": [{"name": "query", "value": "a"}],
         "items": [{"id": 5, "label": 3}, {"id": 6, "label": 0},
                   {"id": 7, "label": None, "fields": [{"name": "relevancy", "value": 0.5}]}]},
        {"event": "interaction", "id": "e1", "timestamp": "2020-09-06T11:24:28Z", "type": "like", "item": 5},
        {"event": "interaction", "id": "e2", "ranking": "", "timestamp": "1599391468000", "type": "purchase",
         "item": "6", "fields": [{"name": "price", "value": 9.5}]},
        {"event": "interaction", "id": "e3", "timestamp": "1599391468000", "type": "filter-applied"},
        {"event": "feedback", "id": "e4", "timestamp": "1599391468000"},
    ]  # fmt: skip
    tables, ledger, _ = read(jsonl(tmp_path / "events.jsonl", events))
    assert tables["judgments"].select("query_id", "query", "item_id", "grade").rows() == [
        ("r1", "a", "5", 3.0), ("r1", "a", "6", 0.0),
    ]  # fmt: skip
    assert tables["impressions"].select("item_id", "feature.relevancy").rows() == [
        ("5", None), ("6", None), ("7", 0.5),
    ]  # fmt: skip
    assert tables["events"].select("action", "query_id", "value", "attribute.action_name").rows() == [
        ("like", None, None, None), ("purchase", None, 9.5, None), ("other", None, None, "filter-applied"),
    ]  # fmt: skip
    assert (
        len(
            {str(moment)[:16] for moment in [*tables["events"]["timestamp"], *tables["queries"]["timestamp"]]}
        )
        == 1
    )
    assert ledger.dropped == {"unknown_record": 1}
    assert ledger.rows_in == 3 + 2 + 3 + 1


@pytest.mark.parametrize(
    ("last", "words"),
    [
        ('{"event": "ranking", "id": "r2", "it', "events.jsonl, line 8: not JSON"),
        (json.dumps({"event": "ranking", "id": "r2", "items": {}}), "line 8: items of a ranking"),
        (json.dumps({"event": "item", "item": "i1", "fields": {"a": "x"}}), "line 8: fields must"),
    ],
)  # fmt: skip
def test_a_record_that_is_none_is_refused(tmp_path, last, words):
    [file] = metarank(tmp_path)
    with pytest.raises(BadInput, match=words):
        read(written(tmp_path, "events.jsonl", file.read_text() + last))
