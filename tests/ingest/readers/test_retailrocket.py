"""RetailRocket: three names of events, properties that change over time."""

import pytest
from assay.components.core.errors import BadInput

from tests.ingest.readers.published_shop import FILES, ROCKET
from tests.ingest.readers.reading import filled, read


def test_events(tmp_path):
    tables, _, _ = read(*FILES["retailrocket"](tmp_path))
    assert tables["events"]["action"].to_list() == ["view", "cart", "purchase"]
    assert filled(tables["events"])[2] == {
        "row": 3, "action": "purchase", "user_id": "599528", "item_id": "356475",
        "timestamp": "2015-06-02T05:17:56.276000Z", "attribute.transaction_id": "4000",
    }  # fmt: skip


def test_the_last_value_of_a_property_counts(tmp_path):
    tables, ledger, _ = read(*FILES["retailrocket_items"](tmp_path))
    assert filled(tables["items"]) == [
        {"row": 2, "item_id": "206783", "text": "1116713 960601 n277.200", "attribute.available": "1"},
        {"row": 3, "item_id": "460429", "category": "1173"},
    ]
    assert ledger.rows_in == 0


def test_an_event_of_another_name_is_other(tmp_path):
    (tmp_path / "events.csv").write_text(ROCKET + "1433222276276,1,wish,2,\n")
    tables, _, _ = read(tmp_path / "events.csv")
    assert filled(tables["events"])[3]["attribute.action_name"] == "wish"
    assert tables["events"]["action"].to_list()[3] == "other"
    assert tables["events"]["attribute.action_name"].null_count() == 3


def test_the_tree_of_categories_gives_no_rows_and_is_noted(tmp_path):
    tables, ledger, _ = read(*FILES["retailrocket_tree"](tmp_path))
    assert (tables, ledger.noted) == ({}, {"category_tree_not_used": 3})


def test_a_row_cut_in_the_middle_is_refused(tmp_path):
    (tmp_path / "events.csv").write_text(ROCKET + "1433222276276,5995")
    with pytest.raises(BadInput, match=r"events\.csv, row 4: 2 cells"):
        read(tmp_path / "events.csv")
