"""Tiny logs by hand: what becomes of each event is known."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from assay.components.core.errors import BadInput
from assay.components.ingest.building import Policy
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.recommendation import build
from assay.components.ingest.split import check_leaks
from assay.components.ingest.tables import canonical

DAY = datetime(2026, 1, 1, tzinfo=UTC)


def tables(rows, kinds=()):
    """Events (user, item, day or None, action, value) in the order given, and an item "the ITEM" of each."""
    events = pl.DataFrame(
        [
            {
                "user_id": user, "item_id": item, "action": action, "value": value, "source": "log",
                "timestamp": None if day is None else DAY + timedelta(days=day), "row": row,
            }
            for row, (user, item, day, action, value) in enumerate(rows, start=1)
        ],
        schema_overrides={"value": pl.Float64, "timestamp": pl.Datetime("us", "UTC"), "item_id": pl.String},
    )  # fmt: skip
    names = sorted({item for _, item, *_ in rows if item})
    items = pl.DataFrame({"item_id": names, "text": [f"the {name}" for name in names]})
    items = items.with_columns(category=pl.col("item_id").replace_strict(dict(kinds), default=None))
    return {"events": canonical("events", events), "items": canonical("items", items)}


def viewed(user, items, start=0):
    return [(user, item, start + day, "view", None) for day, item in enumerate(items)]


def reconciled(ledger, built, events):
    assert events + sum(ledger.added.values()) == len(built.rows) + sum(ledger.dropped.values())


def test_a_history_is_cut_before_what_it_foretells():
    ledger = Ledger()
    log = [row for k in range(12) for row in viewed(f"u{k}", ["a", "b", "c", "d"])]
    built = build(tables(log), ledger, Policy(history=2, negatives=1))
    right = built.rows[built.rows["grade"] == 1].set_index("group_id")
    assert right.loc["u3|3", ["context", "item", "split"]].tolist() == ["the c; the b", "the d", "test"]
    assert (right["context"][right["item"] == "the b"] == "the a").all()
    assert set(right.index[right["split"] == "test"]) == {f"u{k}|3" for k in range(12)}
    assert ledger.dropped == {"first_event": 12}
    reconciled(ledger, built, len(log))
    assert (built.rows["seen_until"] < built.rows["happened"]).all()
    seen = built.ranking.seen
    assert seen.loc[seen["group_id"] == "u3|3", "item_id"].tolist() == ["a", "b", "c"]


def test_what_is_no_event_of_a_user_is_dropped_with_its_reason():
    ledger = Ledger()
    good = [row for k in range(12) for row in viewed(f"u{k}", ["a", "b", "c"])]
    bad = [
        (None, "a", 1, "view", None),
        ("u1", None, 1, "view", None),
        ("u1", "z", 1, "impression", None),
        ("u1", "z", 1, "rating", 2.0),
        ("u1", "a", 9, "view", None),
    ]
    built = build(tables([*good, *bad]), ledger, Policy(relevant_at=4.0, negatives=1))
    assert ledger.dropped == {
        "missing_user": 1, "missing_item_id": 1, "not_an_interaction": 1, "low_rating": 1,
        "repeated_item": 1, "first_event": 12,
    }  # fmt: skip
    reconciled(ledger, built, len(good) + len(bad))


def test_negatives_are_known_to_nobody_and_follow_popularity():
    rng = np.random.default_rng(0)
    log = []
    for k in range(400):
        items = [f"i{n}" for n in rng.choice(60, 6, replace=False)]
        log += viewed(f"u{k:03d}", ["hit", *items] if k % 10 < 3 else items)
    ledger = Ledger()
    built = build(tables(log), ledger, Policy(negatives=3))
    drawn = built.rows[built.rows["grade"] == 0]
    known = {(user, item): day for user, item, day, *_ in reversed(log)}
    for user, group, item in drawn[["unit", "group_id", "item_id"]].itertuples(index=False):
        assert known.get((user, item), 99) > int(group.split("|")[1])
    assert not (drawn["split"] == "test").any()
    assert not drawn.duplicated(["group_id", "item_id"]).any()
    counts = drawn["item_id"].value_counts()
    # 120 users have it, 40 each other item, and 7 of 10 do not know it: 3 ** 0.75 * 0.7 times as often.
    assert counts["hit"] / counts.drop("hit").mean() == pytest.approx(3**0.75 * 0.7, rel=0.2)
    again = build(tables(log), Ledger(), Policy(negatives=3))
    assert again.rows.equals(built.rows)


def test_by_time_the_first_event_after_the_moment_is_tested_and_nothing_later_is_known():
    log = [row for k in range(10) for row in viewed(f"u{k}", [f"i{n}" for n in range(10)])]
    log += viewed("late", ["i1", "i2", "i3"], start=9)
    ledger = Ledger()
    built = build(tables(log), ledger, Policy(holdout="time", negatives=1, cuts=100))
    tested = built.rows[built.rows["split"] == "test"]
    rest = built.rows[built.rows["split"] != "test"]
    assert tested["happened"].min() > rest["happened"].max()
    assert built.clock == "all"
    assert ledger.dropped["after_the_test"] > 0
    assert tested.groupby("unit").size().max() == 1
    reconciled(ledger, built, len(log))
    check_leaks(built.rows, built.clock)


def test_cold_items_and_cold_users_are_segments():
    log = [row for k in range(12) for row in viewed(f"u{k}", ["a", "b", "c", "d", "e"])]
    log += viewed("new", ["a", "b"]) + viewed("brave", ["a", "b", "c", "d", "unheard"])
    log += viewed("early", ["e", "d", "c", "b", "a"])
    rows = build(tables(log), Ledger(), Policy(negatives=1)).rows
    segment = rows[rows["split"] == "test"].set_index("unit")["segment"]
    assert (segment["new"], segment["brave"], segment["u1"]) == ("cold user", "cold item", "warm")


def test_the_next_action_is_ranked_among_all_actions():
    log = []
    for k in range(20):
        deeds = ["view", "cart", "purchase"] * 2
        log += [(f"u{k}", f"i{n}", n, deed, None) for n, deed in enumerate(deeds)]
    ledger = Ledger()
    built = build(tables(log), ledger, Policy(predict="action", history=1))
    assert built.ranking is None
    lists = built.rows.groupby("group_id")
    assert (lists.size() == 3).all()
    assert (lists["grade"].sum() == 1).all()
    tested = built.rows[(built.rows["split"] == "test") & (built.rows["grade"] == 1)]
    assert set(tested["context"]) == {"cart the i4"}
    assert set(tested["item"]) == {"purchase"}
    reconciled(ledger, built, len(log))


def test_a_campaign_reaches_who_turns_to_its_category_next():
    kinds = {"shoe": "feet", "sock": "feet", "hat": "head", "scarf": "head"}
    log = [row for k in range(20) for row in viewed(f"u{k}", ["shoe", "hat", "sock", "scarf"])]
    ledger = Ledger()
    built = build(tables(log, kinds), ledger, Policy(predict="category", history=1))
    right = built.rows[built.rows["grade"] == 1].set_index("group_id")
    assert right.loc["u5|3", ["context", "item"]].tolist() == ["view the sock", "head"]
    assert set(built.rows["item"]) == {"feet", "head"}
    reconciled(ledger, built, len(log))


def test_a_planted_leak_is_found():
    log = [row for k in range(12) for row in viewed(f"u{k}", ["a", "b", "c", "d"])]
    rows = build(tables(log), Ledger(), Policy(negatives=1)).rows
    check_leaks(rows, "user")
    future = rows.copy()
    future.loc[3, "seen_until"] = future.loc[3, "happened"] + 1
    with pytest.raises(BadInput, match="1 contexts tell of what came after"):
        check_leaks(future, "user")
    swapped = rows.copy()
    mine = swapped["unit"] == "u3"
    first, last = swapped.loc[mine, "happened"].min(), swapped.loc[mine, "happened"].max()
    swapped.loc[mine, "split"] = swapped.loc[mine, "happened"].map({first: "test", last: "train"})
    swapped = swapped[swapped["split"].notna()]
    with pytest.raises(BadInput, match=r"1 of \d+ test histories"):
        check_leaks(swapped, "user")


@pytest.mark.parametrize(
    ("log", "policy", "words"),
    [
        ([], Policy(), "no events"),
        (viewed("u", ["a"]), Policy(), "no user has a history"),
        ([("u", "a", None, "view", None), ("u", "b", None, "view", None)], Policy(holdout="time"), "no time"),
        (viewed("u", ["a", "b", "c"]), Policy(predict="action"), "one choice only|nothing to foretell"),
    ],
)
def test_a_log_that_cannot_be_used_is_refused(log, policy, words):
    found = tables(log) if log else {}
    with pytest.raises(BadInput, match=words):
        build(found, Ledger(), policy)
