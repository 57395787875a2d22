"""RecBole's atomic files: the header says what is what."""

import pytest
from assay.components.core.errors import BadInput

from tests.ingest.readers.published_shop import FILES
from tests.ingest.readers.reading import filled, read


def test_interactions_and_items(tmp_path):
    tables, _, claims = read(*FILES["recbole_inter"](tmp_path), *FILES["recbole_item"](tmp_path))
    assert [one.reader.name for one in claims] == ["recbole_inter", "recbole_item"]
    assert filled(tables["events"])[0] == {
        "row": 1, "action": "rating", "user_id": "196", "item_id": "242", "value": 3.0,
        "timestamp": "1997-12-04T15:55:49.000000Z",
    }  # fmt: skip
    assert filled(tables["items"])[1] == {
        "row": 2, "item_id": "2", "text": "GoldenEye Action Adventure Thriller",
        "category": "Action Adventure Thriller",
        "attribute.release_year": "1995",
    }  # fmt: skip


@pytest.mark.parametrize(
    "head",
    ["business_id:token\tuser_id:token", "item_id:token\treviewer:token", "business:token\tuser:token"],
)
def test_columns_in_another_order_and_of_other_names(tmp_path, head):
    (tmp_path / "yelp.inter").write_text(f"{head}\tstars:float\tdevice:token\nb1\tu1\t4\tphone\n")
    tables, _, _ = read(tmp_path / "yelp.inter")
    assert filled(tables["events"]) == [
        {"row": 1, "action": "click", "user_id": "u1", "item_id": "b1", "feature.stars": 4.0,
         "attribute.device": "phone"},
    ]  # fmt: skip


def test_a_header_with_one_id_is_refused(tmp_path):
    (tmp_path / "odd.inter").write_text("user_id:token\trating:float\nu1\t4\n")
    with pytest.raises(BadInput, match="no id of the item; call its column item_id:token"):
        read(tmp_path / "odd.inter")


def test_a_row_cut_in_the_middle_is_refused(tmp_path):
    (tmp_path / "ml.inter").write_text(
        "user_id:token\titem_id:token\trating:float\n" + "1\t2\t3\n" * 9 + "1\t2"
    )
    with pytest.raises(BadInput, match=r"ml\.inter, row 10: 2 cells"):
        read(tmp_path / "ml.inter")
