"""The account of rows: in = out + dropped, whatever was made beside them."""

import pytest
from assay.components.ingest.ledger import Ledger


def test_samples_that_no_row_stands_behind_are_no_rows_out():
    ledger = Ledger(rows_in=5)
    ledger.drop("orphan_query_id", 1, ["log 3"])
    ledger.add("drawn_negative", 3)
    found = ledger.as_dict(samples=7)
    assert (found["rows_out"], found["added"]) == (4, {"drawn_negative": 3})
    assert found["rows_in"] == found["rows_out"] + sum(found["dropped"].values())


def test_a_row_that_vanished_is_a_defect():
    with pytest.raises(AssertionError, match="1 rows of 5 vanished"):
        Ledger(rows_in=5).as_dict(samples=4)
