"""Events joined to impressions: the stated rule, and that every event is attributed or counted."""

import polars as pl
import pytest
from assay.components.core.errors import BadInput
from assay.components.ingest.clicks.joining import Attribution, join
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.tables import canonical
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ingest.clicks.logs import done, shown


def joined(impressions, events, rule=None):
    ledger = Ledger(rows_in=len(events))
    rows = join(impressions, events, ledger, rule)
    ledger.as_dict(0)  # Every event is accounted for, or this raises.
    return rows, ledger


def test_an_event_goes_to_the_last_impression_before_it():
    impressions = shown(("s1", "a", 1, 0), ("s1", "a", 4, 10), ("s1", "a", 2, 20), ("s1", "b", 1, 10))
    rows, ledger = joined(impressions, done(("s1", "a", "click", 15), ("s1", "a", "cart", 20)))
    assert rows["clicked"].to_list() == [0, 1, 0, 0]
    assert rows["carted"].to_list() == [0, 0, 1, 0]
    assert rows["position"].to_list() == [1, 4, 2, 1]
    assert ledger.dropped == {"joined_to_impression": 2}


def test_the_end_of_the_window_is_within_it():
    impressions = shown(("s1", "a", 1, 0), ("s2", "a", 1, 0))
    rows, ledger = joined(impressions, done(("s1", "a", "click", 30), ("s2", "a", "click", 30.001)))
    assert rows["clicked"].to_list() == [1, 0]
    assert ledger.dropped == {"joined_to_impression": 1, "outside_window": 1}
    assert ledger.examples["outside_window"] == ["event of item a"]


def test_an_action_may_have_a_window_of_its_own():
    impressions = shown(("s1", "a", 1, 0))
    events = done(("s1", "a", "click", 90), ("s1", "a", "purchase", 90))
    rows, ledger = joined(impressions, events, Attribution(windows={"purchase": 86_400}))
    assert (rows["clicked"].item(), rows["purchased"].item()) == (0, 1)
    assert ledger.dropped["outside_window"] == 1


def test_each_event_that_has_no_impression_says_why():
    impressions = shown(("s1", "a", 1, 10))
    events = done(
        ("s1", "b", "click", 11), ("s9", "a", "click", 11), ("s1", "a", "click", 9), ("s1", "a", "other", 11),
        ("s1", None, "click", 11), (None, "a", "click", 11),
    )  # fmt: skip
    rows, ledger = joined(impressions, events)
    assert rows["clicked"].to_list() == [0]
    assert ledger.dropped == {
        "click_without_impression": 3, "event_before_impression": 1, "action_without_label": 1,
        "event_without_item": 1,
    }  # fmt: skip


def test_an_event_without_a_search_belongs_to_its_session_then_to_its_user():
    impressions = shown(
        ("s1", "a", 1, 0), ("s2", "a", 1, 1), ("s3", "a", 1, 2),
        session_id=["x", "x", None], user_id=["u", "u", "v"],
    )  # fmt: skip
    events = done(
        (None, "a", "click", 5), (None, "a", "cart", 5),
        session_id=["x", None], user_id=["v", "v"],
    )  # fmt: skip
    rows, _ = joined(impressions, events)
    assert rows["clicked"].to_list() == [0, 1, 0]
    assert rows["carted"].to_list() == [0, 0, 1]


def test_a_search_that_is_named_is_not_looked_for_elsewhere():
    impressions = shown(("s1", "a", 1, 0), session_id=["x"])
    rows, ledger = joined(impressions, done(("gone", "a", "click", 1), session_id=["x"]))
    assert rows["clicked"].item() == 0
    assert ledger.dropped == {"click_without_impression": 1}


def test_without_times_a_named_search_is_enough():
    impressions = shown(("s1", "a", 1, None), ("s1", "b", 2, None), session_id=["x", "x"])
    events = done(("s1", "b", "click", None), (None, "b", "click", 3), session_id=["x", "x"])
    rows, ledger = joined(impressions, events)
    assert rows["clicked"].to_list() == [0, 1]
    assert ledger.dropped == {"joined_to_impression": 1, "event_without_time": 1}


def test_dwell_is_the_longest_and_rating_the_last():
    impressions = shown(("s1", "a", 1, 0))
    events = done(
        ("s1", "a", "dwell", 1), ("s1", "a", "dwell", 2), ("s1", "a", "rating", 4), ("s1", "a", "rating", 3),
        ("s1", "a", "click", 1), ("s1", "a", "click", 2), value=[40.0, 5.0, 2.0, 5.0, None, None],
    )  # fmt: skip
    rows, ledger = joined(impressions, events)
    assert rows.select("clicked", "dwell", "rating").row(0) == (1, 40, 2)
    assert ledger.noted == {"clicked_again": 1}


def test_what_the_log_says_of_clicks_is_kept():
    impressions = shown(("s1", "a", 1, 0), ("s1", "b", 2, 0), ("s1", "c", 3, 0), clicked=[1.0, None, 0.0])
    nothing, _ = joined(impressions, canonical("events", pl.DataFrame({"action": []}, {"action": pl.String})))
    assert nothing["clicked"].to_list() == [1, None, 0]
    rows, _ = joined(impressions, done(("s1", "c", "click", 1)))
    assert rows["clicked"].to_list() == [1, 0, 1]


@pytest.mark.parametrize("wrong", [{"window": 0}, {"windows": {"buy": 5}}, {"clicks": ("tap",)}])
def test_a_wrong_rule_is_refused(wrong):
    with pytest.raises(BadInput, match="attribution"):
        Attribution(**wrong)


KEY = st.sampled_from(["1", "2", None])
MINUTES = st.one_of(st.none(), st.integers(0, 90))
IMPRESSIONS = st.lists(st.tuples(KEY, st.sampled_from("ab"), st.integers(1, 5), MINUTES, KEY), min_size=1)
EVENTS = st.lists(
    st.tuples(
        KEY, st.sampled_from(["a", "b", "c", None]), st.sampled_from(["click", "cart", "other"]), MINUTES, KEY
    ),
    min_size=1,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(impressions=IMPRESSIONS, events=EVENTS, random=st.randoms(use_true_random=False))
def test_every_event_is_attributed_or_counted_whatever_the_order(impressions, events, random):
    def tables(impressions, events):
        sessions = [pl.Series([row[4] for row in rows], dtype=pl.String) for rows in (impressions, events)]
        return (
            shown(*(row[:4] for row in impressions), session_id=sessions[0]),
            done(*(row[:4] for row in events), session_id=sessions[1]),
        )

    rows, ledger = joined(*tables(impressions, events))
    assert len(rows) == len(impressions)
    clicks = rows["clicked"].sum() + rows["carted"].sum()
    assert clicks <= ledger.dropped.get("joined_to_impression", 0)
    mixed = random.sample(impressions, len(impressions)), random.sample(events, len(events))
    again, other = joined(*tables(*mixed))
    assert ledger.dropped == other.dropped
    columns = ["query_id", "item_id", "position", "timestamp", "session_id", "clicked", "carted"]
    assert rows.select(columns).sort(columns).equals(again.select(columns).sort(columns))
