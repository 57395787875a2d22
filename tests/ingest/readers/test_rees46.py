"""REES46: times with a zone in words, products told by their events."""

import pytest
from assay.components.core.errors import BadInput

from tests.ingest.readers.published_shop import FILES, REES46
from tests.ingest.readers.reading import filled, read


def test_events_and_the_products_they_are_of(tmp_path):
    tables, _, _ = read(*FILES["rees46"](tmp_path))
    assert filled(tables["events"])[3] == {
        "row": 4, "action": "purchase", "value": 1000.5, "feature.price": 1000.5, "item_id": "1004237",
        "user_id": "535871217", "session_id": "c6bd", "timestamp": "2019-10-01T00:01:09.000000Z",
    }  # fmt: skip
    assert filled(tables["items"]) == [
        {"row": 1, "item_id": "44600062", "text": "shiseido", "brand": "shiseido", "price": 35.79,
         "category": "2103807459595387724"},
        {"row": 2, "item_id": "1004237", "text": "electronics smartphone apple", "brand": "apple",
         "category": "electronics.smartphone", "price": 1081.98},
    ]  # fmt: skip


def test_taking_out_of_the_cart_is_no_cart(tmp_path):
    tables, _, _ = read(*FILES["rees46"](tmp_path))
    assert tables["events"]["action"].to_list() == ["view", "cart", "other", "purchase"]
    assert tables["events"]["attribute.action_name"].to_list() == [None, None, "remove_from_cart", None]


def test_a_time_that_is_none_is_counted(tmp_path):
    (tmp_path / "log.csv").write_text(REES46 + "yesterday,view,1,2,,,x,3,4\n")
    tables, ledger, _ = read(tmp_path / "log.csv")
    assert tables["events"]["timestamp"].null_count() == 1
    assert ledger.repaired == {"unreadable_number": 1, "unreadable_time": 1}
    assert ledger.examples["unreadable_time"] == ["log.csv, row 5: event_time 'yesterday'"]


def test_a_row_cut_in_the_middle_is_refused(tmp_path):
    (tmp_path / "2019-Oct.csv").write_text(REES46[:-30])
    with pytest.raises(BadInput, match=r"2019-Oct\.csv, row 4: 5 cells"):
        read(tmp_path / "2019-Oct.csv")
