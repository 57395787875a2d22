"""Interactions whose order is given and whose times are not."""

import os
from pathlib import Path

import polars as pl
import pytest
from assay.components.core.errors import BadInput

from tests.ingest.readers.published_shop import FILES
from tests.ingest.readers.reading import filled, read


def test_the_order_and_the_split_are_kept(tmp_path):
    tables, _, _ = read(*FILES["interactions"](tmp_path), *FILES["interactions_items"](tmp_path))
    assert filled(tables["events"])[1] == {
        "row": 2, "action": "click", "user_id": "0", "item_id": "7", "feature.order": 1.0,
        "attribute.split": "test",
    }  # fmt: skip
    assert filled(tables["items"])[0] == {
        "row": 1, "item_id": "5", "text": "X: Beyond the Frontier - PC", "category": "Video Games > PC",
        "attribute.asin": "B00004DSDE",
    }  # fmt: skip


def test_ids_that_a_csv_made_floats_of_are_left_as_they_are_written(tmp_path):
    """Ids are compared as text: 5.0 of a csv is "5.0"; of a parquet column of floats, it is 5."""
    rows = pl.DataFrame(
        {
            "user_id": [1.0, 2.5, None],
            "item_id": [5, 6, 7],
            "split": "train",
            "pos_in_split": 0,
            "position": [0, 1, 2],
        }
    )
    rows.write_parquet(tmp_path / "floats.parquet")
    rows.write_csv(tmp_path / "floats.csv")
    assert read(tmp_path / "floats.parquet")[0]["events"]["user_id"].to_list() == ["1", "2.5", None]
    assert read(tmp_path / "floats.csv")[0]["events"]["user_id"].to_list() == ["1.0", "2.5", None]


def test_a_cut_file_is_refused(tmp_path):
    (tmp_path / "log.csv").write_text("user_id,item_id,split,pos_in_split,position\n1,2,train,0,0\n1,3,tra")
    with pytest.raises(BadInput, match=r"log\.csv, row 2: 3 cells"):
        read(tmp_path / "log.csv")


@pytest.mark.realdata
def test_the_real_log():
    if not os.environ.get("ASSAY_DATA"):
        pytest.skip("ASSAY_DATA names no data folder")
    folder = Path(os.environ["ASSAY_DATA"]) / "rec_amazon_games"
    tables, ledger, _ = read(folder / "interactions.parquet", folder / "items.parquet")
    events = tables["events"]
    assert (len(events), ledger.rows_in, events["user_id"].n_unique()) == (342_329, 342_329, 49_156)
    assert dict(events.group_by("attribute.split").len().iter_rows()) == {
        "train": 299_987, "valid": 22_609, "test": 19_733,
    }  # fmt: skip
    assert set(events["item_id"]) <= set(tables["items"]["item_id"])
    assert not events.select("user_id", "feature.order").is_duplicated().any()
