"""Avazu: hours in eight digits, a hash that means no device, addresses that are not read."""

import pytest
from assay.components.core.errors import BadInput

from tests.ingest.readers.published_shop import AVAZU, FILES
from tests.ingest.readers.reading import filled, read


def test_impressions_in_a_site_and_in_an_app(tmp_path):
    tables, _, _ = read(*FILES["avazu"](tmp_path))
    site, app = filled(tables["impressions"])
    assert (site["context"], app["context"]) == ("site 1fbe01fe banner 0", "app e2fcccd2 banner 1")
    assert (site["timestamp"], app["timestamp"]) == (
        "2014-10-21T00:00:00.000000Z",
        "2014-10-30T23:00:00.000000Z",
    )
    assert (site["clicked"], app["clicked"]) == (0.0, 1.0)
    # Too long for a float: ids are texts.
    assert site["impression_id"] == "1000009418151094273"
    assert (site["attribute.C1"], site["attribute.device_model"]) == ("1005", "44956a24")
    assert filled(tables["items"])[0] == {
        "row": 1, "item_id": "15706", "text": "C14 15706 C17 1722 C21 79", "size": "320x50",
    }  # fmt: skip


def test_no_device_is_no_user(tmp_path):
    tables, _, _ = read(*FILES["avazu"](tmp_path))
    assert tables["impressions"]["user_id"].to_list() == [None, "0f7c61dc"]


def test_no_address_is_in_any_table(tmp_path):
    tables, _, _ = read(*FILES["avazu"](tmp_path))
    for table in tables.values():
        assert not any("ip" in name.split(".")[-1].split("_") for name in table.columns)
        assert not {"ddd2926e", "96809ac8"} & {str(v) for row in table.rows() for v in row}


def test_an_hour_that_is_none_is_counted(tmp_path):
    (tmp_path / "train.csv").write_text(AVAZU.replace(",14103023,", ",14103099,"))
    tables, ledger, _ = read(tmp_path / "train.csv")
    assert tables["impressions"]["timestamp"].null_count() == 1
    assert ledger.repaired == {"unreadable_time": 1}


def test_a_row_cut_in_the_middle_is_refused(tmp_path):
    (tmp_path / "train.csv").write_text(AVAZU[:-20])
    with pytest.raises(BadInput, match=r"train\.csv, row 2: 20 cells where there are 24 names"):
        read(tmp_path / "train.csv")
