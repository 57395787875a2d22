"""Amazon Reviews of three years, as each was published."""

import json

import pytest
from assay.components.core.errors import BadInput

from tests.ingest.readers.published_shop import FILES, META_2018, REVIEW_2014, REVIEW_2018, json_lines
from tests.ingest.readers.reading import filled, read


def test_2014_counts_votes_in_a_pair(tmp_path):
    tables, _, [claim] = read(*FILES["amazon_reviews"](tmp_path))
    assert "reviewerID, asin, overall" in claim.why
    assert filled(tables["reviews"])[0] == {
        "row": 1, "item_id": "0000013714", "user_id": "A2SUAM1J3GNN3B", "rating": 5.0,
        "helpful": 2.0, "votes": 3.0,
        "title": "Heavenly Highway Hymns", "text": "I bought this for my husband.",
        "timestamp": "2009-09-13T00:00:00.000000Z",
    }  # fmt: skip


def test_2018_counts_votes_in_text_and_has_styles(tmp_path):
    tables, _, _ = read(*FILES["amazon_reviews/2018"](tmp_path))
    first, second = filled(tables["reviews"])
    assert (first["helpful"], first["verified"], first["attribute.style"]) == (
        1234.0,
        True,
        "Charcoal, Large",
    )
    assert "helpful" not in second
    assert "Abbey" not in str(tables["reviews"].to_dicts())


def test_the_written_day_stands_in_where_there_are_no_seconds(tmp_path):
    no_seconds = {k: v for k, v in REVIEW_2018.items() if k != "unixReviewTime"}
    tables, _, _ = read(*json_lines("r.jsonl", no_seconds)(tmp_path))
    assert filled(tables["reviews"])[0]["timestamp"] == "2018-01-01T00:00:00.000000Z"


def test_2023_is_by_the_parent_product(tmp_path):
    tables, _, _ = read(*FILES["amazon_reviews/2023"](tmp_path))
    assert filled(tables["reviews"])[0] == {
        "row": 1, "item_id": "B00YQ6X8EP", "attribute.asin": "B00YQ6X8EO", "rating": 4.0, "helpful": 7.0,
        "verified": True, "title": "Such a lovely scent", "text": "This spray is really nice.",
        "user_id": "AGKHLEW2SOWHNMFQIJGBECAF7INQ", "timestamp": "2020-05-05T14:08:48.923000Z",
    }  # fmt: skip


def test_ratings_alone_are_events(tmp_path):
    tables, _, _ = read(*FILES["amazon_ratings"](tmp_path))
    assert filled(tables["events"])[1] == {
        "row": 2, "action": "rating", "value": 2.0, "user_id": "AGKHLEW", "item_id": "B07NPWK167",
        "timestamp": "2018-04-07T09:35:14.024000Z",
    }  # fmt: skip


def test_products_have_a_text_in_a_stated_order(tmp_path):
    tables, _, _ = read(*FILES["amazon_meta"](tmp_path))
    assert filled(tables["items"])[0] == {
        "row": 1, "item_id": "B01CUPMQZE", "brand": "Howard Products", "category": "All Beauty",
        "price": 14.99,
        "text": "Howard LC0008 Leather Conditioner Howard Products 8-ounce UV inhibitors",
        "feature.average_rating": 4.8, "feature.ratings": 10.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("price", "read_as", "unreadable"),
    [("$12.99 - $1,034.50", 12.99, 0), ("1,034.50", 1034.5, 0), ("None", None, 0), ("", None, 0),
     (None, None, 0), (".a-box-inner{background-color:#fff}", None, 1)],
)  # fmt: skip
def test_prices_as_pages_show_them(tmp_path, price, read_as, unreadable):
    tables, ledger, _ = read(*json_lines("meta.json", META_2018 | {"price": price}, META_2018)(tmp_path))
    assert tables["items"]["price"].to_list() == [read_as]
    assert ledger.repaired.get("unreadable_number", 0) == unreadable


def test_keys_of_another_shape_do_not_stop_a_file(tmp_path):
    """Descriptions are lists or texts, styles objects or null, ratings words: by the year and the row."""
    odd = [
        META_2018 | {"asin": "x", "feature": "One point", "category": None},
        META_2018 | {"asin": "y", "brand": 5},
    ]
    tables, _, _ = read(*json_lines("meta.json", *odd)(tmp_path))
    assert tables["items"]["text"].to_list() == [
        "Lace dress Lark One point",
        "Lace dress 5 Cotton Knee length",
    ]
    odd = [
        REVIEW_2018 | {"style": None, "overall": "five"},
        REVIEW_2018 | {"style": ["Large"], "reviewText": 7},
    ]
    tables, ledger, _ = read(*json_lines("reviews.jsonl", *odd)(tmp_path))
    assert tables["reviews"]["text"].to_list() == ["I now have 4 of the 5 available colors", "7"]
    assert ledger.repaired == {"unreadable_number": 1}
    assert ledger.examples["unreadable_number"] == ["reviews.jsonl, row 1: overall 'five'"]


def test_a_record_cut_in_the_middle_is_named_by_its_line(tmp_path):
    file = tmp_path / "reviews.jsonl"
    file.write_text("".join(json.dumps(REVIEW_2014) + "\n" for _ in range(9)) + json.dumps(REVIEW_2014)[:60])
    with pytest.raises(BadInput, match=r"reviews\.jsonl, line 10: not JSON"):
        read(file)
