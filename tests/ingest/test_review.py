import polars as pl
import pytest
from assay.components.core.errors import BadInput
from assay.components.ingest.building import Policy
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.review import build
from assay.components.ingest.split import alike, check_leaks
from assay.components.ingest.tables import canonical


def tables(rows, products=()):
    frame = pl.DataFrame(
        [{"source": "r.csv", "row": k, "text": f"text {k}"} | row for k, row in enumerate(rows, start=1)],
        infer_schema_length=None,
    )
    found = {"reviews": canonical("reviews", frame)}
    if products:
        names, texts = zip(*products, strict=True)
        found["items"] = canonical("items", pl.DataFrame({"item_id": names, "text": texts}))
    return found


FOUR = [
    {"item_id": "p1", "title": "Good", "rating": 5.0, "user_id": "u1"},
    {"item_id": "p1", "title": None, "rating": 1.0, "user_id": "u2"},
    {"item_id": "p2", "title": "Meh", "rating": 3.0, "user_id": "u1", "category": "lamps"},
    {"item_id": "p2", "title": "Fine", "rating": 4.0, "user_id": "u3", "category": "lamps"},
]


def test_a_review_is_ranked_among_those_of_its_product():
    built = build(tables(FOUR, [("p1", "Red shoe")]), Ledger(), Policy(label="rating"))
    assert built.rows["context"].tolist() == ["Red shoe", "Red shoe", "lamps", "lamps"]
    assert built.rows["item"].tolist() == ["Good. text 1", "text 2", "Meh. text 3", "Fine. text 4"]
    assert built.rows["group_id"].tolist() == built.rows["unit"].tolist() == ["p1", "p1", "p2", "p2"]
    assert built.rows["grade"].tolist() == [5, 1, 3, 4]
    assert (built.max_grade, built.relevant_at, built.metric) == (5, 2.5, "quadratic_kappa")
    assert "label" not in built.rows


def test_a_named_threshold_makes_two_classes_of_it():
    built = build(tables(FOUR), Ledger(), Policy(relevant_at=4.0))
    assert built.metric == "auc"
    assert built.rows["label"].tolist() == [1, 0, 0, 1]


def test_helpfulness_is_a_share_of_votes_where_they_are_known():
    rows = [
        {"item_id": "p1", "helpful": 3.0, "votes": 4.0},
        {"item_id": "p1", "helpful": 1.0, "votes": 4.0},
        {"item_id": "p2", "helpful": 0.0, "votes": 0.0},
    ]
    ledger = Ledger()
    built = build(tables(rows), ledger, Policy(label="helpful"))
    assert built.rows["grade"].tolist() == [0.75, 0.25]
    assert built.rows["label"].tolist() == [1, 0]
    assert ledger.dropped == {"no_votes": 1}
    counted = [{"item_id": "p1", "helpful": n} for n in (0.0, 2.0, 7.0)]
    built = build(tables(counted), Ledger(), Policy(label="helpful"))
    assert built.rows["label"].tolist() == [0, 1, 1]


def test_one_review_a_user_and_product_the_newest():
    rows = [
        {"item_id": "p1", "user_id": "u", "rating": 1.0, "timestamp": "2026-01-02T00:00:00Z"},
        {"item_id": "p1", "user_id": "u", "rating": 5.0, "timestamp": "2026-01-03T00:00:00Z"},
        {
            "item_id": "p1",
            "user_id": "v",
            "rating": 2.0,
            "timestamp": "2026-01-01T00:00:00Z",
            "review_id": "x",
        },
        {
            "item_id": "p1",
            "user_id": "w",
            "rating": 2.0,
            "timestamp": "2026-01-01T00:00:00Z",
            "review_id": "x",
        },
        {"item_id": "p2", "user_id": None, "rating": 2.0, "timestamp": "2026-01-01T00:00:00Z"},
    ]
    found = tables(FOUR)["reviews"].clear()
    frame = pl.DataFrame(
        [{"source": "r", "row": k, "text": "t"} | row for k, row in enumerate(rows)], infer_schema_length=None
    )
    frame = frame.with_columns(pl.col("timestamp").str.to_datetime(time_zone="UTC"))
    ledger = Ledger()
    built = build({"reviews": pl.concat([found, canonical("reviews", frame)])}, ledger, Policy())
    assert built.rows["grade"].tolist() == [5, 2, 2]
    assert ledger.dropped == {"duplicate_review": 1, "older_review": 1}


def test_reviews_of_the_same_words_lie_in_one_split_where_there_is_no_product():
    rows = [
        {"text": "Very good!", "rating": 1.0},
        {"text": "good, VERY", "rating": 0.0},
        {"text": "bad", "rating": 0.0},
    ]
    built = build(tables(rows), Ledger(), Policy())
    unit = built.rows["unit"]
    assert unit[0] == unit[1] != unit[2]
    assert built.rows["group_id"].is_unique
    assert alike(pl.Series(["!?", "ＡＢ c", "C ab"])).to_list() == ["!?", "ab c", "ab c"]


def test_a_planted_leak_is_found():
    rows = build(tables(FOUR), Ledger(), Policy()).rows
    check_leaks(rows.assign(split=["train", "train", "test", "test"]))
    with pytest.raises(BadInput, match="leak: 1 of 2 values of group_id"):
        check_leaks(rows.assign(split=["train", "train", "test", "train"]))
    apart = rows.assign(group_id=list("abcd"), split=["train", "test", "test", "test"])
    with pytest.raises(BadInput, match="leak: 1 of 2 values of unit"):
        check_leaks(apart)


def test_a_rating_that_is_none_is_refused_or_dropped():
    rows = [*FOUR, {"item_id": "p3", "rating": None}, {"item_id": "p3", "rating": -1.0}]
    with pytest.raises(BadInput, match="2 of 6 reviews have no usable rating"):
        build(tables(rows), Ledger(), Policy())
    ledger = Ledger()
    assert len(build(tables(rows), ledger, Policy(drop_unlabelled=True)).rows) == 4
    assert ledger.dropped == {"unlabelled": 2}
    with pytest.raises(BadInput, match="no reviews in the data"):
        build({}, Ledger(), Policy())
