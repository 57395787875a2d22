"""Reviews as published: quotes, line ends within them, two languages."""

import os
from pathlib import Path

import pytest
from assay.components.core.errors import BadInput

from tests.ingest.readers.published_shop import CHINESE, FILES, WOMENS
from tests.ingest.readers.reading import filled, read


def data(name: str) -> Path:
    if not os.environ.get("ASSAY_DATA"):
        pytest.skip("ASSAY_DATA names no data folder")
    return Path(os.environ["ASSAY_DATA"]) / name


def test_womens_clothing(tmp_path):
    tables, _, _ = read(*FILES["reviews"](tmp_path))
    assert filled(tables["reviews"])[1] == {
        "row": 2, "item_id": "1080", "title": 'My "favourite"\nbuy', "rating": 5.0, "helpful": 4.0,
        "text": "Love this dress!  it's sooo pretty, really.", "category": "Dresses", "feature.age": 34.0,
        "attribute.recommended": "1", "attribute.division": "General", "attribute.department": "Dresses",
    }  # fmt: skip


def test_datafiniti_without_names_and_cities(tmp_path):
    tables, _, _ = read(*FILES["reviews/datafiniti"](tmp_path))
    first, second = filled(tables["reviews"])
    assert (first["item_id"], first["rating"], first["helpful"]) == ("AVqkIhwDv8e3D1O-lebb", 5.0, 3.0)
    assert (second["timestamp"], second["attribute.recommended"]) == ("2017-01-12T00:00:00.000000Z", "false")
    assert not {"truman", "Berlin", "Adapter"} & {str(v) for row in (first, second) for v in row.values()}


def test_chinese(tmp_path):
    tables, _, _ = read(*FILES["reviews/chinese"](tmp_path))
    assert filled(tables["reviews"]) == [
        {"row": 1, "category": "书籍", "rating": 1.0, "text": "做父母一定要有这样的心态，不断地学习",
         "attribute.sentiment": "positive"},
        {"row": 2, "category": "平板", "rating": 0.0, "text": "屏幕太暗, 不好",
         "attribute.sentiment": "negative"},
    ]  # fmt: skip


def test_a_rating_that_is_no_number_is_counted(tmp_path):
    (tmp_path / "zh.csv").write_text(CHINESE + "手机,好,不错\n")
    tables, ledger, _ = read(tmp_path / "zh.csv")
    assert tables["reviews"]["rating"].to_list() == [1.0, 0.0, None]
    assert ledger.repaired == {"unreadable_number": 1}


def test_a_file_cut_within_a_review_is_refused(tmp_path):
    (tmp_path / "womens.csv").write_text(WOMENS[: WOMENS.index(",5,1,4") - 10])
    with pytest.raises(BadInput, match=r"womens\.csv, row 2: .*cut"):
        read(tmp_path / "womens.csv")


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "rows", "mean", "categories"),
    [("reviews_womens_clothing", 22_640, 4.18, 20), ("reviews_zh_online_shopping", 62_755, 0.506, 10)],
)
def test_the_real_files(name, rows, mean, categories):
    tables, ledger, _ = read(data(name) / "reviews.parquet")
    reviews = tables["reviews"]
    assert (len(reviews), ledger.rows_in, ledger.repaired) == (rows, rows, {})
    assert reviews["rating"].mean() == pytest.approx(mean, abs=0.005)
    assert reviews["category"].drop_nulls().n_unique() == categories
    assert reviews["text"].null_count() == 0
