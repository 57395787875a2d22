"""Grades from behaviour, what was passed over, and what is drawn."""

import polars as pl
import pytest
from assay.components.core.errors import BadInput
from assay.components.ingest.clicks.joining import join
from assay.components.ingest.clicks.labels import LabelPolicy, graded, with_negatives
from assay.components.ingest.clicks.sampled import sampled_negatives
from assay.components.ingest.ledger import Ledger

from tests.ingest.clicks.logs import done, shown


def behaviour(**more):
    columns = {"clicked": 0.0, "carted": 0.0, "purchased": 0.0, "dwell": None, "rating": None} | more
    return pl.DataFrame({name: [value] for name, value in columns.items()}).with_columns(
        pl.col("dwell", "rating").cast(pl.Float64)
    )


@pytest.mark.parametrize(
    ("what", "grade"),
    [
        ({}, 0),
        ({"clicked": 1.0}, 1),
        ({"clicked": None}, 0),
        ({"clicked": 1.0, "dwell": 9.0}, 0),
        ({"clicked": 1.0, "dwell": 10.0}, 1),
        ({"carted": 1.0}, 2),
        ({"clicked": 1.0, "dwell": 1.0, "purchased": 1.0, "carted": 1.0}, 3),
        ({"purchased": 1.0, "rating": 1.0}, 0),
        ({"clicked": 1.0, "rating": 5.0}, 3),
        ({"carted": 1.0, "rating": 3.0}, 2),
    ],
)
def test_the_most_that_was_done_holds_and_a_rating_overrules_it(what, grade):
    rows = graded(behaviour(**what), LabelPolicy(min_dwell=10.0))
    assert (rows["grade"].item(), rows["label"].item()) == (grade, pytest.approx(grade / 3))


@pytest.mark.parametrize(
    "wrong",
    [
        {"click": 4.0},
        {"cart": 0.5},
        {"negatives": "some"},
        {"below": -1},
        {"liked_from": 2.0},
        {"cart": float("nan")},
    ],
)
def test_a_wrong_policy_is_refused(wrong):
    with pytest.raises(BadInput, match="labels"):
        LabelPolicy(**wrong)


def test_the_policy_is_in_the_manifest():
    assert LabelPolicy(below=2).as_dict() == {
        "purchase": 3.0, "cart": 2.0, "click": 1.0, "min_dwell": 0.0, "liked_from": 4.0, "disliked_to": 2.0,
        "negatives": "skipped", "below": 2, "empty_pages": False, "max_grade": 3.0,
    }  # fmt: skip


def page():
    impressions = shown(
        ("s1", "a", 1, 0), ("s1", "b", 2, 0), ("s1", "c", 3, 0), ("s1", "d", 4, 0), ("s1", "e", 5, 0),
        ("s2", "a", 1, 0), ("s2", "b", 2, 0),
    )  # fmt: skip
    return graded(join(impressions, done(("s1", "b", "click", 1)), Ledger()))


@pytest.mark.parametrize(
    ("policy", "kept", "dropped"),
    [
        (LabelPolicy(), "abc", {"page_without_click": 2, "not_looked_at": 2}),
        (LabelPolicy(below=0), "ab", {"page_without_click": 2, "not_looked_at": 3}),
        (LabelPolicy(empty_pages=True), "abcab", {"not_looked_at": 2}),
        (LabelPolicy(negatives="all"), "abcdeab", {}),
        (LabelPolicy(negatives="none"), "b", {"not_clicked": 6}),
    ],
)
def test_negatives_are_what_was_passed_over(policy, kept, dropped):
    ledger = Ledger()
    rows = with_negatives(page(), ledger, policy)
    assert "".join(rows["item_id"]) == kept
    assert ledger.dropped == dropped
    assert "__page" not in rows.columns


def test_a_bought_item_far_down_makes_all_above_it_negatives():
    events = done(("s1", "e", "purchase", 1))
    rows = with_negatives(graded(join(page().drop("grade", "label"), events, Ledger())), Ledger())
    assert "".join(rows["item_id"]) == "abcde"


def catalogue(count):
    return pl.DataFrame({"item_id": [f"i{n:03d}" for n in range(count)]}, {"item_id": pl.String})


def test_sampled_negatives_are_as_many_as_asked_and_none_of_the_list():
    lists = {"query_id": list("qqqrr"), "item_id": ["i000", "i001", "i002", "i000", "i005"]}
    rows = pl.DataFrame(lists | {"label": [1.0, 0.5, 0.0, 1.0, 0.0]})
    drawn = sampled_negatives(rows, catalogue(200), per_positive=3)
    assert drawn.group_by("query_id").len().sort("query_id").rows() == [("q", 6), ("r", 3)]
    assert drawn.join(rows, on=["query_id", "item_id"]).is_empty()
    assert drawn.select("query_id", "item_id").is_unique().all()
    assert set(drawn["label"]) == {0.0}
    mixed = sampled_negatives(rows.reverse(), catalogue(200).reverse(), per_positive=3)
    assert drawn.equals(mixed)
    assert not drawn.equals(sampled_negatives(rows, catalogue(200), per_positive=3, seed=1))


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_draws_go_with_popularity_to_a_power(power):
    lists = pl.DataFrame({"query_id": [f"q{n}" for n in range(3000)], "item_id": "x", "label": 1.0})
    often = pl.DataFrame({"query_id": "z", "item_id": ["i001"] * 99, "label": 0.0})
    drawn = sampled_negatives(pl.concat([lists, often]), catalogue(10), 1, power)
    # Of the ten that can be drawn one was seen 99 times, the others never.
    expected = 100**power / (100**power + 9)
    share = (drawn["item_id"] == "i001").mean()
    chances = drawn.filter(pl.col("item_id") == "i001")["chance"].unique().item()
    others = drawn.filter(pl.col("item_id") == "i002")["chance"].unique().item()
    assert share == pytest.approx(expected, abs=0.03)
    assert chances / others == pytest.approx(100**power)


def test_a_small_catalogue_gives_what_it_has():
    rows = pl.DataFrame({"query_id": ["q"], "item_id": ["i000"], "label": [1.0]})
    assert sampled_negatives(rows, catalogue(2), per_positive=9)["item_id"].to_list() == ["i001"]
    with pytest.raises(BadInput, match="no items to draw from"):
        sampled_negatives(rows, catalogue(0))
    with pytest.raises(BadInput, match="a count from 1 up"):
        sampled_negatives(rows, catalogue(2), per_positive=0)
