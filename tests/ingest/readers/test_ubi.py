"""UBI logs: every form they are found in, and what real ones are like."""

import json

import polars as pl
import pytest
from assay.components.core.errors import BadInput
from assay.components.ingest.cleaning.clean import clean
from assay.components.ingest.ledger import Ledger
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ingest.readers.by_claim import read, written
from tests.ingest.readers.published import jsonl, ubi, ubi_event, ubi_query

KEYS = ["action", "query_id", "item_id", "position", "user_id", "session_id", "timestamp"]


def test_lists_are_impressions_and_clicks_are_events(tmp_path):
    tables, ledger, readers = read(*ubi(tmp_path))
    assert readers == ["ubi", "ubi"]
    first = tables["impressions"].filter(pl.col("query_id") == "q3").sort("position")
    assert first.select("item_id", "position", "query").rows() == [
        ("p1", 1, "laptop 3"), ("p2", 2, "laptop 3"), ("p3", 3, "laptop 3"),
    ]  # fmt: skip
    assert ledger.rows_in == 7 * 3 + 7
    # Events of action impression have a place of their own.
    assert tables["impressions"].filter(source="ubi_events.ndjson")["item_id"].to_list() == ["p0", "p1"]
    assert tables["events"]["action"].to_list() == ["click"] * 5
    assert tables["items"].row(0, named=True)["text"] == "Laptop 0 thin, light"
    assert str(tables["events"]["timestamp"][0]) == "2025-03-01 10:02:30+00:00"


def as_bulk(records):
    lines = []
    for record in records:
        index = "ubi_events" if "action_name" in record else "ubi_queries"
        lines += [json.dumps({"index": {"_index": index}}), json.dumps(record)]
    return "\n".join(lines) + "\n"


FORMS = {
    "log.jsonl": lambda records: "".join(json.dumps(one) + "\n" for one in records),
    "log.ndjson": as_bulk,
    "log.json.gz.jsonl": lambda records: "".join(
        json.dumps({"_index": "ubi", "_id": str(n), "_source": one}) + "\n" for n, one in enumerate(records)
    ),
    "log.json": lambda records: json.dumps(
        {"took": 1, "hits": {"hits": [{"_source": one} for one in records]}}
    ),
    "log.log": lambda records: "".join(f".ubi_log_events\t{json.dumps(one)}\n" for one in records),
    "log.tsv": lambda records: "".join(f"ubi_events\t{json.dumps(one)}\n" for one in records),
}


@pytest.mark.parametrize("name", FORMS)
def test_the_same_tables_out_of_every_form(tmp_path, name):
    """Queries and events mixed in one file, as in a `_bulk` body."""
    records = [record for n in range(5) for record in (ubi_query(n, ["p1", f"p{n}"]), ubi_event(n))]
    plain, _, _ = read(written(tmp_path, "plain.jsonl", FORMS["log.jsonl"](records)))
    found, ledger, readers = read(written(tmp_path, name, FORMS[name](records)))
    assert readers == ["ubi"]
    assert ledger.dropped == {}
    for table in ("queries", "impressions", "events", "items"):
        assert found[table].drop("row", "source").equals(plain[table].drop("row", "source")), table


BULK = as_bulk([ubi_event(n) for n in range(6)])


def flat(record):
    out = {}
    for name, value in record.items():
        inside = flat(value) if isinstance(value, dict) else None
        out |= {name: value} if inside is None else {f"{name}.{key}": v for key, v in inside.items()}
    return out


@pytest.mark.parametrize("form", ["nested.parquet", "flat.parquet", "text.parquet", "flat.csv", "flat.jsonl"])
def test_events_as_tables_nested_flat_or_with_json_in_a_cell(tmp_path, form):
    events = [ubi_event(n) for n in range(6)]
    plain, _, _ = read(jsonl(tmp_path / "plain.jsonl", events))
    file = tmp_path / form
    if form.startswith("flat"):
        events = [flat(event) for event in events]
    if form.startswith("text"):
        events = [event | {"event_attributes": json.dumps(event["event_attributes"])} for event in events]
    if form.endswith(".parquet"):
        pl.DataFrame(events).write_parquet(file)
    elif form.endswith(".csv"):
        pl.DataFrame(events).write_csv(file)
    else:
        jsonl(file, events)
    found, _, readers = read(file)
    assert readers == ["ubi"]
    assert found["events"].drop("source").equals(plain["events"].drop("source"))
    assert found["items"].drop("source").equals(plain["items"].drop("source"))


def test_lists_in_the_cells_of_a_csv(tmp_path):
    lists = ('"[""p1"", ""p2""]"', "\"['p3', 'p4']\"", '"p5,p6"', "[]")
    text = "query_id,user_query,query_response_hit_ids\n"
    text += "".join(f"q{n},a,{cell}\n" for n, cell in enumerate(lists, start=1))
    tables, _, _ = read(written(tmp_path, "queries.csv", text))
    shown = tables["impressions"].select("query_id", "item_id", "position").rows()
    assert shown == [
        ("q1", "p1", 1),
        ("q1", "p2", 2),
        ("q2", "p3", 1),
        ("q2", "p4", 2),
        ("q3", "p5", 1),
        ("q3", "p6", 2),
    ]
    assert tables["queries"].height == 4


def test_an_older_dump(tmp_path):
    """`query_response_object_ids`, epoch milliseconds, the session within the attributes, a bare position."""
    query = ubi_query(1, []) | {"query_response_object_ids": [17, "18"], "timestamp": 1728305970620}
    del query["query_response_hit_ids"]
    event = ubi_event(1, timestamp=1728305970999) | {
        "event_attributes": {"object": {"internal_id": 17}, "position": 2, "session_id": "old"}
    }
    del event["session_id"]
    other = ubi_event(1) | {
        "event_attributes": {"object": {"object_id": "18"}, "position": {"xy": {"x": 1.5, "y": 2}}}
    }
    tables, _, _ = read(jsonl(tmp_path / "q.jsonl", [query]), jsonl(tmp_path / "e.jsonl", [event, other]))
    assert tables["impressions"].select("item_id", "position").rows() == [("17", 1), ("18", 2)]
    assert str(tables["queries"]["timestamp"][0]) == "2024-10-07 12:59:30.620000+00:00"
    assert tables["events"].select(*KEYS[:6]).rows() == [
        ("click", "q1", "17", 2, "c1", "old"), ("click", "q1", "18", None, "c1", "s1"),
    ]  # fmt: skip


def test_what_real_logs_are_like(tmp_path):
    """Names of actions beside the enum, no query id, positions from 0, texts for numbers, odd timestamps."""
    names = [
        "click",
        "item_click",
        "global_click",
        "product_hover",
        "add_to_cart",
        "Product Purchase",
        "search",
        "watch",
    ]
    events = [ubi_event(n, name) for n, name in enumerate(names)]
    del events[0]["query_id"]
    events[1]["event_attributes"]["position"]["ordinal"] = "1"
    events[2]["event_attributes"] = {"object": {"object_id": "x"}, "position": "unknown"}
    events[3]["timestamp"] = "yesterday"
    events[6] |= {"event_attributes": None}
    events[7]["event_attributes"]["note"] = 'he said "position": 3, I say {"position":4}'
    events += [{"query_id": "q1", "timestamp": "2025-03-01T10:00:00Z"}]
    tables, ledger, _ = read(jsonl(tmp_path / "events.jsonl", events))
    done = tables["events"]
    assert done["action"].to_list() == [
        "click", "click", "other", "other", "cart", "purchase", "other", "view",
    ]  # fmt: skip
    assert done["attribute.action_name"].drop_nulls().to_list() == ["global_click", "product_hover", "search"]
    assert done["position"].to_list() == [0, 1, None, 3, 4, 5, None, 7]
    assert done["query_id"][0] is None
    assert ledger.repaired == {"unreadable_time": 1}
    assert ledger.examples["unreadable_time"] == ["events.jsonl, row 4: timestamp 'yesterday'"]
    assert ledger.dropped == {"missing_action": 1}
    assert ledger.rows_in == 9


def test_a_query_of_no_words_is_a_query(tmp_path):
    queries = [ubi_query(n, []) | {"user_query": "", "user_id": " "} for n in range(2)]
    for query in queries:
        del query["query_response_id"], query["query_response_hit_ids"]
    tables, ledger, _ = read(written(tmp_path, "bulk.ndjson", as_bulk([*queries, ubi_event(1)])))
    assert tables["queries"].select("query_id", "query", "user_id").rows() == [
        ("q0", None, "c0"),
        ("q1", None, "c1"),
    ]
    assert ledger.dropped == {}


def test_numeric_ids_of_a_parquet_with_nulls_are_whole(tmp_path):
    frame = pl.DataFrame(
        {
            "action_name": ["click"] * 2,
            "query_id": [7.0, None],
            "event_attributes.object.object_id": [12.0, 3.0],
        }
    )
    frame.write_parquet(tmp_path / "events.parquet")
    tables, _, _ = read(tmp_path / "events.parquet")
    assert tables["events"].select("query_id", "item_id").rows() == [("7", "12"), (None, "3")]


def test_an_event_that_was_sent_again_is_told_by_its_id(tmp_path):
    """The id stands in the attributes, or beside them; one id may stand for all items of a list."""

    def event(n, action, item, **more):
        made = ubi_event(n, action) | more
        inside = made["event_attributes"] | {"object": {"object_id": item, "name": item}}
        return made | {"event_attributes": inside | made.pop("inside", {})}

    click = event(1, "click", "p1", inside={"event_id": "e1"})
    shown = [event(1, "impression", item, inside={"event_id": "q1"}) for item in ("p1", "p2")]
    bare = event(2, "click", "p2", event_id="e2")
    # The same search, item and second, but nobody says that it is the same event.
    nameless = [event(3, "purchase", "p1", session_id=None, client_id=None)] * 2
    file = jsonl(tmp_path / "events.jsonl", [*shown, click, bare, shown[1], click, bare, *nameless])
    tables, _, _ = read(file)
    assert tables["events"]["event_id"].to_list() == ["e1", "e2", "e1", "e2", None, None]
    assert tables["impressions"]["impression_id"].to_list() == ["q1"] * 3
    ledger = Ledger()
    kept = clean(tables, ledger)
    assert ledger.dropped == {"duplicate_event": 3}
    assert sorted(kept["events"]["action"]) == ["click", "click", "purchase", "purchase"]
    assert kept["impressions"]["item_id"].to_list() == ["p1", "p2"]


def test_the_chance_of_a_place_is_not_that_of_a_look(tmp_path):
    event = ubi_event(1, "impression")
    drawn = event | {"event_attributes": event["event_attributes"] | {"placement_propensity": 0.25}}
    tables, _, _ = read(jsonl(tmp_path / "drawn.jsonl", [drawn, event]))
    assert tables["impressions"]["feature.placement_propensity"].to_list() == [0.25, None]
    assert tables["impressions"]["propensity"].to_list() == [None, None]
    tables, _, _ = read(jsonl(tmp_path / "plain.jsonl", [event, event]))
    assert "feature.placement_propensity" not in tables["impressions"].columns


RECORD = st.fixed_dictionaries(
    {},
    optional={
        "action_name": st.none() | st.sampled_from(["click", "impression", "hover", ""]),
        "query_id": st.none() | st.sampled_from(["q1", 7, ""]),
        "user_query": st.none() | st.text(max_size=3),
        "timestamp": st.one_of(st.none(), st.integers(0, 2**41), st.just("2025-03-01"), st.text(max_size=3)),
        "query_response_hit_ids": st.none() | st.lists(st.sampled_from(["p1", 2, None]), max_size=3),
        "event_attributes": st.none()
        | st.fixed_dictionaries(
            {},
            optional={
                "object": st.none() | st.fixed_dictionaries({"object_id": st.sampled_from(["p1", 2, None])}),
                "position": st.one_of(
                    st.none(),
                    st.integers(0, 9),
                    st.just("first"),
                    st.just({"ordinal": "3"}),
                    st.just({"x": 1}),
                ),
            },
        ),
    },
)


@settings(max_examples=80, deadline=None)
@given(st.lists(RECORD, min_size=1, max_size=8))
def test_no_record_vanishes(tmp_path_factory, records):
    """Each is a query, an event, an impression, or dropped with a reason; a hit is an impression too."""
    folder = tmp_path_factory.mktemp("ubi")
    file = written(folder, "bulk.ndjson", as_bulk([ubi_event(0), *records]))
    tables, ledger, _ = read(file)
    rows = {
        name: tables[name].height if name in tables else 0 for name in ("queries", "events", "impressions")
    }
    done = [one.get("action_name") or "" for one in records]
    hits = sum(
        len(one.get("query_response_hit_ids") or [])
        for one, action in zip(records, done, strict=True)
        if not action
    )
    dropped = ledger.dropped.get("missing_action", 0)
    assert rows["events"] == 1 + sum(action in ("click", "hover") for action in done)
    assert rows["queries"] + dropped == done.count("")
    assert rows["impressions"] >= done.count("impression")
    assert rows["impressions"] - done.count("impression") == hits - _hits_of_dropped(records)
    assert ledger.rows_in == rows["events"] + rows["impressions"] + dropped


def _hits_of_dropped(records):
    """Hits beside an object but without an action: neither a query nor an event."""
    return sum(
        len(one.get("query_response_hit_ids") or [])
        for one in records
        if not one.get("action_name")
        and ((one.get("event_attributes") or {}).get("object") or {}).get("object_id") is not None
    )


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("e.jsonl", FORMS["log.jsonl"]([ubi_event(n) for n in range(6)])[:-40], "e.jsonl, line 6: not JSON"),
        ("b.ndjson", BULK.rstrip("\n").rpartition("\n")[0], "line 11: no document"),
        ("b.ndjson", BULK[:-40], "b.ndjson, line 12: not JSON"),
        ("b.ndjson", as_bulk([ubi_event(1)]) + '{"update": {"_id": "1"}}\n{"doc": {}}\n', "line 3: expected"),
        ("t.log", FORMS["log.log"]([ubi_event(n) for n in range(6)]) + "ubi_ev", "t.log, line 7: no tab"),
    ],
)  # fmt: skip
def test_a_file_cut_within_a_record_is_refused(tmp_path, name, text, words):
    with pytest.raises(BadInput, match=words):
        read(written(tmp_path, name, text))
