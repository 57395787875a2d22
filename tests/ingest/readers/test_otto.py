"""OTTO: sessions in lines, times in two units."""

import json

import pytest
from assay.components.core.errors import BadInput

from tests.ingest.readers.published_shop import FILES, OTTO, json_lines
from tests.ingest.readers.reading import filled, read


def test_an_event_is_a_row_whatever_the_unit_of_its_time(tmp_path):
    tables, ledger, _ = read(*FILES["otto"](tmp_path))
    assert filled(tables["events"]) == [
        {"row": 1, "action": "click", "session_id": "0", "item_id": "1517085",
         "timestamp": "2022-07-31T22:00:00.025000Z"},
        {"row": 1, "action": "cart", "session_id": "0", "item_id": "1563459",
         "timestamp": "2022-07-31T22:01:44.511000Z"},
        {"row": 2, "action": "purchase", "session_id": "1", "item_id": "424964",
         "timestamp": "2022-07-31T22:00:00.000000Z"},
    ]  # fmt: skip
    assert ledger.rows_in == 3


def test_a_session_without_events_is_counted(tmp_path):
    empty = [{"session": 7, "events": []}, {"session": 8, "events": None}]
    tables, ledger, _ = read(*json_lines("train.jsonl", *OTTO, *empty)(tmp_path))
    assert (len(tables["events"]), ledger.rows_in, ledger.dropped) == (3, 5, {"empty_list": 2})
    assert ledger.examples["empty_list"] == ["train.jsonl, row 3", "train.jsonl, row 4"]


def test_a_session_cut_in_the_middle_is_refused(tmp_path):
    (tmp_path / "train.jsonl").write_text(json.dumps(OTTO[0]) + "\n" + json.dumps(OTTO[1])[:40] + "\n")
    with pytest.raises(BadInput, match=r"train\.jsonl, line 2: not JSON"):
        read(tmp_path / "train.jsonl")
