"""Mappings: those shipped, on layouts as vendors document them; a house format; what mistakes are called."""

import json
from pathlib import Path

import polars as pl
import pytest
from assay.components.core.errors import BadInput
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.readers.known import Claim, gathered
from assay.components.ingest.readers.mapping import reader_of, shipped
from assay.components.ingest.readers.sources import Source
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.ingest.readers.published_shop import ALGOLIA, FILES, SEGMENT
from tests.ingest.readers.reading import filled, read


def by(mapping: str, folder: Path, *objects: dict, name: str = "log.jsonl"):
    """Read objects, or a file that is there, by the text of a mapping."""
    (folder / "house.yaml").write_text(mapping)
    if objects:
        (folder / name).write_text("".join(json.dumps(one) + "\n" for one in objects))
    ledger, source = Ledger(), Source(str(folder / name))
    return gathered([Claim(source, reader_of(folder / "house.yaml"), "")], ledger), ledger


def test_algolia(tmp_path):
    tables, ledger, _ = read(*FILES["algolia_insights"](tmp_path))
    click, view, _, bought, also = filled(tables["events"])
    assert click == {
        "row": 1, "action": "click", "item_id": "9780545139700", "position": 7, "user_id": "user-1",
        "query_id": "43b15df305339e827f0ac0bdc5ebcaa7", "timestamp": "2023-11-14T22:13:20.123000Z",
        "attribute.event_name": "Product Clicked", "attribute.index": "products",
    }  # fmt: skip
    assert (view["action"], view["user_id"], "position" in view) == ("view", "anon-1", False)
    assert [(row["item_id"], row["value"]) for row in (bought, also)] == [("b", 10.5), ("c", 3.0)]
    assert [row.get("query_id") for row in (bought, also)] == ["43b1", None]
    assert (ledger.rows_in, ledger.dropped) == (6, {"unmapped_row": 1})


def test_the_body_of_a_call_is_read_like_lines(tmp_path):
    (tmp_path / "body.json").write_text(json.dumps({"events": ALGOLIA}, indent=1))
    (tmp_path / "array.json").write_text(json.dumps(ALGOLIA))
    lines, _, _ = read(*FILES["algolia_insights"](tmp_path))
    for name in ("body.json", "array.json"):
        tables, _, _ = read(tmp_path / name)
        assert filled(tables["events"]) == filled(lines["events"])


def test_segment(tmp_path):
    tables, ledger, _ = read(*FILES["segment"](tmp_path))
    assert filled(tables["queries"]) == [
        {"row": 1, "query_id": "m1", "query": "red shoes", "locale": "en-GB", "user_id": "anon-1",
         "timestamp": "2024-03-01T10:00:01.000000Z"},
    ]  # fmt: skip
    shown = tables["impressions"]
    assert shown.select("item_id", "position", "context", "impression_id").rows() == [
        ("p1", 1, "Shoes", "m2 1"), ("p2", 2, "Shoes", "m2 2"),
    ]  # fmt: skip
    assert tables["events"].select("action", "item_id", "value", "position").rows() == [
        ("click", "p2", None, 2), ("cart", "p2", None, None), ("purchase", "p2", 29.5, None),
    ]  # fmt: skip
    assert filled(tables["reviews"])[0]["rating"] == 4.0
    assert sorted(tables["items"].select("item_id", "text", "price").rows()) == [
        ("p1", "Runner Lark", 19.0), ("p2", "Boot", 29.5),
    ]  # fmt: skip
    assert ledger.examples["unmapped_row"] == ["segment.jsonl, row 7"]


@pytest.mark.parametrize("name", ["ga4", "ga4/parquet"])
def test_ga4(tmp_path, name):
    tables, ledger, _ = read(*FILES[name](tmp_path))
    assert tables["queries"].select("query", "session_id").rows() == [("mug", "1234.5678 77")]
    assert filled(tables["queries"])[0]["timestamp"] == "2024-03-01T10:00:00.123456Z"
    # "(not set)" is nothing: the place in the list stands in for the position.
    assert tables["impressions"].select("item_id", "position", "context").rows() == [
        ("SKU1", 1, "Search Results"), ("SKU2", 4, "Search Results"),
    ]  # fmt: skip
    events = filled(tables["events"])
    assert [(e["action"], e["item_id"], e["value"]) for e in events] == [
        ("click", "SKU1", 9.5), ("purchase", "SKU1", 9.5),
    ]  # fmt: skip
    assert [e.get("attribute.transaction_id") for e in events] == [None, "T1"]
    assert tables["items"].select("item_id", "text", "brand").rows() == [
        ("SKU1", "Mug", None),
        ("SKU2", "Mug", None),
    ]
    assert ledger.dropped == {"unmapped_row": 1, "empty_list": 1}


def test_google_retail(tmp_path):
    tables, _, _ = read(*FILES["google_retail"](tmp_path))
    assert tables["queries"].select("query_id", "query").rows() == [("tok", "mug")]
    assert tables["impressions"].select("query_id", "item_id", "position").rows() == [
        ("tok", "p1", 1), ("tok", "p2", 2),
    ]  # fmt: skip
    assert tables["events"].select("action", "user_id", "value", "feature.quantity").rows() == [
        ("view", "v1", None, None), ("purchase", "u1", 4.5, 3.0),
    ]  # fmt: skip


def test_amazon_personalize(tmp_path):
    tables, ledger, _ = read(*FILES["amazon_personalize"](tmp_path))
    assert tables["events"].select("action", "value", "attribute.event_type").rows() == [
        ("click", None, "Click"), ("purchase", 12.5, "Purchase"), ("other", None, "Share"),
    ]  # fmt: skip
    assert tables["impressions"].select("item_id", "position", "query_id").rows() == [
        ("a", 1, "R-1"), ("b", 2, "R-1"), ("c", 3, "R-1"),
    ]  # fmt: skip
    assert ledger.rows_in == 6
    (tmp_path / "plain.csv").write_text("USER_ID,ITEM_ID,TIMESTAMP\n1,2,1586731606\n")
    tables, _, _ = read(tmp_path / "plain.csv")
    assert filled(tables["events"])[0]["timestamp"] == "2020-04-12T22:46:46.000000Z"


EVENTS = "tables: {events: {%scolumns: {action: {constant: click}%s}}}"
HOUSE = """
about: Events of our app
detect: [event, user.id]
missing: ["-"]
tables:
  events:
    - when: {event: [tap, buy], test: {not: true}}
      each: items[]
      columns:
        action: {path: event, values: {tap: click, buy: purchase}}
        item_id: items[].sku
        position: $index
        timestamp: {path: at, unit: ms}
        user_id: {path: [user.id, device], default: nobody}
        attribute.campaign: {constant: spring}
        feature.price: items[].price
        query: {join: [words, "brand?"]}
"""
TAP = {
    "event": "tap", "at": 1700000000000, "user": {"id": 7}, "device": "d1", "words": "red", "brand": "Lark",
    "items": [{"sku": "a", "price": "1.5"}, {"sku": "b", "price": "-"}],
}  # fmt: skip


def test_a_house_format(tmp_path):
    buy = TAP | {"event": "buy", "user": {"id": "-"}, "device": None, "brand": None, "items": [{"sku": 3}]}
    tables, ledger = by(HOUSE, tmp_path, TAP, buy, TAP | {"test": True}, TAP | {"event": "scroll"})
    common = {"timestamp": "2023-11-14T22:13:20.000000Z", "attribute.campaign": "spring"}
    assert filled(tables["events"]) == [
        {"row": 1, "action": "click", "item_id": "a", "position": 1, "user_id": "7", "query": "red Lark",
         "feature.price": 1.5, **common},
        {"row": 1, "action": "click", "item_id": "b", "position": 2, "user_id": "7",
         "query": "red Lark", **common},
        {"row": 2, "action": "purchase", "item_id": "3", "position": 1, "user_id": "nobody",
         "query": "red", **common},
    ]  # fmt: skip
    assert ledger.dropped == {"unmapped_row": 2}
    assert ledger.rows_in == 5
    assert ledger.repaired == {}


def test_the_same_rows_out_of_a_parquet(tmp_path):
    lines, _ = by(HOUSE, tmp_path, TAP, TAP | {"event": "buy"})
    rows = [TAP | {"test": None}, TAP | {"event": "buy", "test": None}]
    pl.DataFrame(rows).with_columns(pl.col("at").cast(pl.Datetime("ms"))).write_parquet(
        tmp_path / "log.parquet"
    )
    tables, _ = by(HOUSE, tmp_path, name="log.parquet")
    assert filled(tables["events"]) == filled(lines["events"])


def test_a_flattened_table_is_read_by_the_same_paths(tmp_path):
    mapping = (
        "tables: {events: {columns: {action: {constant: view}, item_id: product.id, user_id: 'user.id?'}}}"
    )
    (tmp_path / "flat.csv").write_text("product.id,other\np1,1\np2,2\n")
    tables, _ = by(mapping, tmp_path, name="flat.csv")
    assert tables["events"]["item_id"].to_list() == ["p1", "p2"]
    tables, _ = by(
        mapping, tmp_path, {"product": {"id": "p1"}, "user": {"id": "u"}}, {"product": {"id": "p2"}}
    )
    assert tables["events"].select("item_id", "user_id").rows() == [("p1", "u"), ("p2", None)]
    tables, _ = by(mapping, tmp_path, {"product.id": "p1", "user.id": "u"}, {"product.id": "p2"})
    assert tables["events"].select("item_id", "user_id").rows() == [("p1", "u"), ("p2", None)]


def test_an_element_by_its_key_and_by_its_place(tmp_path):
    mapping = """
tables:
  events:
    columns:
      action: {constant: click}
      item_id: params[key=sku].value
      query: path[1]
      event_id: path[9]?
"""
    row = {"params": [{"key": "q", "value": "x"}, {"key": "sku", "value": 5}], "path": ["home", "shoes"]}
    tables, ledger = by(mapping, tmp_path, row, {"params": [{"key": "q", "value": "x"}], "path": None})
    assert tables["events"].select("item_id", "query").rows() == [("5", "shoes"), (None, None)]
    assert ledger.noted == {}


def test_a_path_that_no_row_has_is_noted(tmp_path):
    mapping = EVENTS % ("", ", item_id: sku, user_id: usr")
    _, ledger = by(mapping, tmp_path, {"sku": "a", "user": "u"})
    assert (ledger.noted, ledger.examples) == (
        {"path_never_found": 1}, {"path_never_found": ["log.jsonl: usr"]},
    )  # fmt: skip


def test_a_column_that_a_table_lacks_is_refused(tmp_path):
    mapping = EVENTS % ("", ", item_id: sku, user_id: usr")
    (tmp_path / "log.csv").write_text("sku,user\na,u\n")
    with pytest.raises(
        BadInput, match=r"log\.csv: mapping house, tables\.events\[0\]\.columns\.user_id: no column 'usr'"
    ):
        by(mapping, tmp_path, name="log.csv")


def test_values_that_cannot_be_read_are_counted_with_their_rows(tmp_path):
    mapping = EVENTS % ("", ", value: stars, timestamp: at, position: place")
    _, ledger = by(
        mapping,
        tmp_path,
        {"stars": "five", "at": "soon", "place": 1},
        {"stars": 5, "at": 1700000000, "place": 2},
    )
    assert ledger.repaired == {"unreadable_number": 1, "unreadable_time": 1}
    assert ledger.examples["unreadable_time"] == ["log.jsonl, row 1: timestamp 'soon'"]


def test_a_text_is_cut_only_where_the_mapping_says_so(tmp_path):
    columns = "columns: {action: {constant: view}, item_id: 'ids[]', position: $index}"
    (tmp_path / "log.csv").write_text("ids\na|b\n")
    with pytest.raises(BadInput, match=r"ids\[\] is no list but String; of a text, say what cuts it"):
        by(f"tables: {{events: {{each: 'ids[]', {columns}}}}}", tmp_path, name="log.csv")
    split = f"tables: {{events: {{each: 'ids[]', split: '|', {columns}}}}}"
    for name in ("log.csv", "log.jsonl"):
        tables, _ = by(split, tmp_path, *([{"ids": "a|b"}] if name == "log.jsonl" else []), name=name)
        assert tables["events"].select("item_id", "position").rows() == [("a", 1), ("b", 2)]


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ("tables: {event: {columns: {}}}", r"tables: no table 'event'; known: events, impressions"),
        ("tables: {}", "tables: none; say at least one of"),
        ("about: nothing", "tables is missing"),
        ("- a\n- b", "expected keys and values, found list"),
        ("tables: {events: [{columns: {action: [}}]}", "not YAML"),
        ("tables: {events: [{column: {action: x}}]}", r"tables\.events\[0\]: no key 'column'; known"),
        ("tables: {events: {columns: {item_id: x}}}", r"events\[0\]\.columns: action is missing"),
        ("tables: {items: {columns: {text: x}}}", r"items\[0\]\.columns: item_id is missing"),
        (EVENTS % ("", ", sku: x"), "table events has no column 'sku'; it has event_id, action"),
        (EVENTS % ("", ", item_id: 'a..b'"), r"columns\.item_id: 'a\.\.b' is no path \(at character 3\)"),
        (EVENTS % ("", ", item_id: 'a[b'"), "is no path"),
        (EVENTS % ("", ", item_id: ''"), "is no path"),
        (EVENTS % ("", ", item_id: 'a[].b[]'"), "twice"),
        (EVENTS % ("", ", item_id: 'a[].b'"), r"item_id: 'a\[\]\.b': \[\] stands for an element of `each`"),
        (EVENTS % ("", ", position: $index"), r"columns\.position: \$index is a place in the list of `each`"),
        (EVENTS % ("each: a, ", ""), r"each: 'a' must end with \[\]"),
        (EVENTS % ("each: 'a[]', ", ", item_id: 'b[]'"), "stands for an element of `each`"),
        (EVENTS % ("", ", item_id: {path: a, constant: b}"), "say one of path, join, constant"),
        (EVENTS % ("", ", timestamp: {path: a, unit: min}"), r"timestamp\.unit: 'min': one of s, ms, us, ns"),
        (EVENTS % ("", ", item_id: {path: a, were: b}"), "no key 'were'"),
        (EVENTS % ("", ", item_id: a, query: a.b"), "'a' ends at an object: another path goes into it"),
        (EVENTS % ("when: {a: {is: 1}}, ", ""), r"events\[0\]\.when\.a: no key 'is'; known: not"),
        ("tables: {events: {columns: {action: {path: a, values: {x: tap}}}}}", "no action 'tap'; one of im"),
        ("tables: {events: {columns: {action: {constant: tap}}}}", "no action 'tap'"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_place(tmp_path, mapping, words):
    (tmp_path / "house.yaml").write_text(mapping)
    with pytest.raises(BadInput, match=words) as refused:
        reader_of(tmp_path / "house.yaml")
    assert "house.yaml" in str(refused.value)


def test_a_mapping_that_is_not_there(tmp_path):
    with pytest.raises(BadInput, match="no such file, and none of algolia_insights, amazon_personalize"):
        reader_of(tmp_path / "none.yaml")


def test_a_mapping_claims_by_its_columns_or_any_file(tmp_path):
    (tmp_path / "house.yaml").write_text(HOUSE)
    (tmp_path / "log.jsonl").write_text(json.dumps(TAP))
    (tmp_path / "other.jsonl").write_text('{"a": 1}')
    house = reader_of(str(tmp_path / "house.yaml"))
    assert (house.name, house.about) == ("house", "Events of our app")
    assert house.claims(Source(str(tmp_path / "log.jsonl"))) == "columns event, user.id: mapping house"
    assert house.claims(Source(str(tmp_path / "other.jsonl"))) is None
    (tmp_path / "any.yaml").write_text(EVENTS % ("", ""))
    assert reader_of(tmp_path / "any.yaml").claims(Source(str(tmp_path / "other.jsonl")))


_ITEMS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "item_id": st.sampled_from(["a", "b", 3, None, "(not set)"]),
            "price": st.sampled_from([1, "x", None]),
        },
    ),
    max_size=3,
)
_EVENT = st.fixed_dictionaries(
    {"event_name": st.sampled_from(["view_item_list", "select_item", "search", "purchase", "scroll", None])},
    optional={
        "items": st.one_of(
            st.none(), _ITEMS, st.just("none"), _ITEMS.map(lambda items: items[0] if items else {})
        ),
        "event_timestamp": st.sampled_from(["1709287200123456", 1709287200123456, "soon", None]),
        "user_pseudo_id": st.sampled_from(["u", 1.5, None]),
        "event_params": st.sampled_from(
            [None, [], [{"key": "search_term", "value": {"string_value": "x"}}], {"key": 1}]
        ),
    },
)


@given(st.lists(_EVENT, min_size=1, max_size=12))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_row_is_in_a_table_or_counted_whatever_is_in_it(tmp_path, rows):
    (tmp_path / "ga.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    ledger, source = Ledger(), Source(str(tmp_path / "ga.jsonl"))
    tables = gathered([Claim(source, reader_of("ga4"), "")], ledger)
    became = {row for frame in tables.values() for row in frame["row"]}
    assert len(became) + sum(ledger.dropped.values()) == len(rows)
    assert set(ledger.dropped) <= {"unmapped_row", "empty_list"}
    # Each element of a list that was taken is one row, an item's id or not.
    shown = [
        row for row in rows if row["event_name"] == "view_item_list" and isinstance(row.get("items"), list)
    ]
    elements = sum(len(row["items"]) for row in shown)
    whole = sum(
        isinstance(row.get("items"), dict | str) for row in rows if row["event_name"] == "view_item_list"
    )
    assert len(tables.get("impressions", ())) == elements + whole


def test_the_shipped_ones_by_name():
    assert {"algolia_insights", "segment", "ga4", "amazon_personalize", "google_retail"} <= set(shipped())
    assert all(reader_of(name).name == name for name in shipped())


def test_a_record_cut_in_the_middle_is_refused(tmp_path):
    (tmp_path / "log.jsonl").write_text(json.dumps(SEGMENT[1]) + "\n" + json.dumps(SEGMENT[1])[:90])
    with pytest.raises(BadInput, match=r"log\.jsonl, line 2: not JSON"):
        read(tmp_path / "log.jsonl")
