"""WANDS: tabs in a .csv, quotes, features behind bars."""

import pytest
from assay.components.core.errors import BadInput

from tests.ingest.readers.by_claim import read
from tests.ingest.readers.published import cut, table, wands


def test_queries_products_and_labels(tmp_path):
    tables, ledger, readers = read(*wands(tmp_path))
    assert readers == ["wands"] * 3
    item = tables["items"].row(0, named=True)
    assert item["text"] == (
        'solid wood platform bed Beds good, deep sleep can be had on a 60" bed '
        "overallwidth-sidetoside: 64.7, color: natural wood, frame: wood"
    )
    assert (item["colour"], item["type"], item["category"]) == (
        "natural wood", "Beds", "Furniture / Bedroom Furniture / Beds",
    )  # fmt: skip
    assert item["feature.average_rating"] == 4.5
    assert tables["judgments"].select("query_id", "item_id", "grade").rows()[:3] == [
        ("0", "0", 2.0), ("0", "1", 1.0), ("0", "2", 0.0),
    ]  # fmt: skip
    assert tables["queries"]["attribute.query_class"].to_list() == ["Beds"] * 7
    assert ledger.rows_in == 7


def test_labels_that_are_none_are_counted(tmp_path):
    header = ["id", "query_id", "product_id", "label"]
    tables, ledger, _ = read(
        table(tmp_path / "label.csv", header, [(1, 1, 1, "Exact"), (2, 1, 2, ""), (3, 1, 3, "?")], tab=True)
    )
    assert tables["judgments"]["item_id"].to_list() == ["1"]
    assert ledger.dropped == {"unlabelled": 1, "unknown_label": 1}
    assert ledger.rows_in == 3


def test_a_file_cut_within_a_record_is_refused(tmp_path):
    for file in wands(tmp_path):
        with pytest.raises(BadInput, match=rf"{file.name}, row 7: 1 cells where there are"):
            read(cut(file))
