"""Each rule finds what was planted, no more, and says where; rows in = rows out + dropped, always."""

import datetime as dt

import numpy as np
import polars as pl
import pytest
from assay.components.core.errors import BadInput
from assay.components.ingest.cleaning.clean import RULES, clean
from assay.components.ingest.cleaning.facts import Facts
from assay.components.ingest.cleaning.policy import Policy
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.tables import SCHEMAS, logged_rows
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ingest.cleaning.logs import START, WHOLE_LOGS, any_log, clean_log, more, spoilt, table

LATER = START + dt.timedelta(hours=3)


def cleaned(tables, **policy):
    ledger = Ledger(rows_in=logged_rows(tables))
    out = clean(tables, ledger, Policy(**policy))
    ledger.as_dict(logged_rows(out))
    return out, ledger


def counts(ledger):
    return {kind: counted for kind in ("dropped", "repaired", "noted") if (counted := getattr(ledger, kind))}


def click(**over):
    row = {"action": "click", "query_id": "q3", "item_id": "p5", "user_id": "u3", "session_id": "n3"}
    return row | {"timestamp": LATER} | over


def test_a_clean_log_stays_as_it_is():
    tables = clean_log()
    out, ledger = cleaned(tables)
    assert counts(ledger) == {}
    for name in tables:
        assert out[name].equals(tables[name]), name


def test_the_orphans_and_nulls_of_a_real_log():
    """As in the Chorus sample: 944 events name a query nobody knows, 2 name none; one has a text."""
    tables = clean_log()
    orphans = [click(query_id=f"lost{n}", timestamp=LATER + dt.timedelta(seconds=40 * n)) for n in range(944)]
    orphans[0]["query"] = "green hat"
    nulls = [click(query_id=None, timestamp=LATER - dt.timedelta(seconds=40 * n)) for n in (1, 2)]
    out, ledger = cleaned(more(tables, "events", orphans + nulls))
    assert counts(ledger) == {
        "dropped": {"orphan_query_id": 943, "missing_query_id": 2},
        "noted": {"orphan_query_id": 1},
    }
    assert len(out["events"]) == 41
    assert ledger.examples["missing_query_id"] == ["events.csv 985", "events.csv 986"]
    assert len(ledger.examples["orphan_query_id"]) == 20
    kept, ledger = cleaned(more(tables, "events", orphans), orphan_query_id="keep")
    assert len(kept["events"]) == 984
    assert ledger.noted == {"orphan_query_id": 944}


def test_a_log_without_queries_has_no_orphans():
    tables = clean_log()
    del tables["queries"]
    assert counts(cleaned(tables)[1]) == {}


def at(**changes):
    return lambda tables: spoilt(tables, *changes["where"], changes["values"])


PLANTED = {
    "missing_item_id": ("dropped", 2, at(where=("events", "item_id"), values={4: None, 7: " "})),
    "not_about_an_item": (
        "dropped", 1, lambda t: more(t, "events", [click(action="other", item_id=None)]),
    ),
    "unknown_item": ("dropped", 3, lambda t: more(t, "events", [
        click(action="cart", item_id=f"nowhere{n}") for n in range(3)])),
    "duplicate_event": ("dropped", 2, lambda t: more(t, "events", [
        click(event_id=f"e{n}", query_id=f"q{n}", item_id=f"p{n + 2}") for n in (3, 4)])),
    "duplicate_review": ("dropped", 1, lambda t: t | {"reviews": table("reviews", [
        {"review_id": "r", "item_id": "p1", "text": "good", "rating": 5.0}] * 2)}),
    "repeated_event": ("dropped", 2, lambda t: more(t, "events", [
        click(timestamp=LATER + dt.timedelta(milliseconds=300 * n)) for n in range(3)])),
    "impossible_timestamp": ("repaired", 2, at(
        where=("events", "timestamp"),
        values={5: dt.datetime(1970, 1, 1, 3, tzinfo=dt.UTC), 9: dt.datetime(2999, 1, 1, tzinfo=dt.UTC)})),
    "clock_skew": ("repaired", 2, at(
        where=("events", "timestamp"),
        values={1: START - dt.timedelta(hours=2), 40: START + dt.timedelta(days=40)})),
    "out_of_order": ("noted", 1, lambda t: more(t, "events", [
        click(action="cart"), click(action="cart", timestamp=LATER - dt.timedelta(hours=1))])),
    "zero_based_position": ("repaired", 240, lambda t: t | {
        name: t[name].with_columns(pl.col("position") - 1) for name in ("impressions",)}
        | {"events": t["events"].with_columns(position=pl.int_range(pl.len(), dtype=pl.Int32) % 3)}),
    "impossible_position": ("repaired", 2, at(where=("events", "position"), values={4: -1, 5: 99_999})),
    "click_without_impression": ("dropped", 1, lambda t: more(t, "events", [click(item_id="p11")])),
    "empty_text": ("dropped", 1, lambda t: t | {"reviews": table("reviews", [
        {"review_id": "a", "item_id": "p1", "text": " \u200b "},
        {"review_id": "b", "item_id": "p1", "text": "good"}])}),
    "rating_out_of_range": ("dropped", 2, lambda t: t | {"reviews": table("reviews", [
        {"review_id": f"r{n}", "item_id": "p1", "text": f"good {n}", "rating": r}
        for n, r in enumerate([1.0, 2.0, 3.0, 4.0, 5.0] * 60 + [-1.0, 55.0])])}),
    "negative_dwell": ("repaired", 1, lambda t: more(t, "events", [click(action="dwell", value=-4.0)])),
    "outlier_dwell": ("repaired", 1, lambda t: more(t, "events", [
        click(action="dwell", value=20.0 + n, timestamp=LATER + dt.timedelta(seconds=n * n + 60 * n))
        for n in range(150)]
        + [click(action="dwell", value=90_000.0, timestamp=LATER + dt.timedelta(hours=12))])),
    "negative_price": ("repaired", 1, at(where=("items", "price"), values={3: -1.0})),
    "duplicate_item": ("noted", 1, lambda t: more(t, "items", [{"item_id": "p1", "text": "other"}])),
    "duplicate_query": ("noted", 1, lambda t: more(t, "queries", [{"query_id": "q1", "query": "other"}])),
    "empty_query": ("dropped", 6, at(where=("queries", "query"), values={4: "<br>"})),
    "conflicting_grades": ("noted", 1, lambda t: t | {"judgments": table("judgments", [
        {"query_id": "q1", "item_id": "p1", "grade": 1.0}, {"query_id": "q1", "item_id": "p1", "grade": 3.0},
        *[{"query_id": "q1", "item_id": "p2", "grade": 2.0}] * 2])}),
    "replacement_character": ("noted", 1, at(where=("items", "text"), values={2: "caf\ufffd"})),
}  # fmt: skip


@pytest.mark.parametrize("reason", PLANTED)
def test_a_planted_fault_is_counted_and_nothing_else(reason):
    kind, number, plant = PLANTED[reason]
    _, ledger = cleaned(plant(clean_log()))
    found = counts(ledger)
    # A text of white space and zero-width characters, or of markup, is mended first.
    for step in ("zero_width", "white_space", "html"):
        found.get("repaired", {}).pop(step, None)
    assert {k: v for k, v in found.items() if v} == {kind: {reason: number}}
    assert ledger.examples[reason]


def test_missing_query_ids_are_only_those_without_a_text():
    tables = spoilt(clean_log(), "events", "query_id", {1: None, 2: ""})
    tables = spoilt(tables, "events", "query", {2: "red shoe"})
    assert counts(cleaned(tables)[1]) == {
        "dropped": {"missing_query_id": 1},
        "noted": {"missing_query_id": 1},
    }


def test_bots_go_with_their_figures_and_people_stay():
    tables = clean_log()
    crawler = [
        {"query_id": "q0", "item_id": f"p{n % 12}", "session_id": "spider", "position": 1 + n % 5,
         "timestamp": LATER + dt.timedelta(seconds=2 * n), "clicked": 1.0}
        for n in range(30)
    ]  # fmt: skip
    slow = [
        {"query_id": "q0", "item_id": f"p{n % 12}", "session_id": "cron", "position": 1 + n % 5,
         "timestamp": LATER + dt.timedelta(seconds=600 * n)}
        for n in range(30)
    ]  # fmt: skip
    greedy = [
        {"query_id": "q0", "item_id": f"p{n % 12}", "session_id": "greedy", "position": 1 + n % 5,
         "timestamp": LATER + dt.timedelta(seconds=n * n % 977), "clicked": float(n % 2)}
        for n in range(120)
    ]  # fmt: skip
    gaps = np.diff(np.unique(np.arange(120) ** 2 % 977))
    # Quick for a moment only: fewer requests than are believed.
    person = [
        {"query_id": "q0", "item_id": f"p{n}", "session_id": "person", "position": 1 + n % 5,
         "timestamp": LATER + dt.timedelta(seconds=n)}
        for n in range(12)
    ]  # fmt: skip
    out, ledger = cleaned(more(tables, "impressions", crawler + slow + greedy + person), bot_requests=20)
    assert counts(ledger) == {
        "dropped": {"bot_session": 180},
        "noted": {"out_of_order": ledger.noted["out_of_order"]},
    }
    assert ledger.examples["bot_session"] == [
        "session cron: 30 rows, 30 requests, 0.1 a minute, gaps vary by 0.00, clicks 0% of 30",
        f"session greedy: 120 rows, {len(gaps) + 1} requests, {60 / gaps.mean():.1f} a minute, "
        f"gaps vary by {gaps.std(ddof=1) / gaps.mean():.2f}, clicks 50% of 120",
        "session spider: 30 rows, 30 requests, 30.0 a minute, gaps vary by 0.00, clicks 100% of 30",
    ]
    assert "person" in out["impressions"]["session_id"]


def test_sources_that_count_differently_are_told_apart():
    """One file counts from 0, the other from 1; a third mixes both, list by list."""
    tables = clean_log()
    shown = tables["impressions"]
    number = pl.col("query_id").str.slice(1).cast(pl.Int32)
    spoilt_ = shown.with_columns(
        source=pl.when(number < 10)
        .then(pl.lit("a.csv"))
        .when(number < 20)
        .then(pl.lit("b.csv"))
        .otherwise(pl.lit("c.csv")),
        position=pl.when((number < 10) | (number >= 30)).then(pl.col("position") - 1).otherwise("position"),
    )
    out, ledger = cleaned(tables | {"impressions": spoilt_})
    assert out["impressions"].sort("row")["position"].to_list() == shown.sort("row")["position"].to_list()
    assert ledger.repaired == {"zero_based_position": 100}
    assert ledger.noted == {"mixed_positions": 100}


def test_skew_is_repaired_to_the_query_or_dropped():
    tables = spoilt(clean_log(), "events", "timestamp", {3: START - dt.timedelta(days=1)})
    out, _ = cleaned(tables)
    asked = tables["queries"].filter(pl.col("query_id") == "q2")["timestamp"][0]
    assert out["events"].filter(pl.col("row") == 3)["timestamp"][0] == asked
    dropped, ledger = cleaned(tables, clock_skew="drop")
    assert ledger.dropped == {"clock_skew": 1}
    assert 3 not in dropped["events"]["row"]
    # Clocks differ by some seconds.
    near = spoilt(clean_log(), "events", "timestamp", {1: START - dt.timedelta(seconds=30)})
    assert counts(cleaned(near)[1]) == {}


def test_dwell_is_winsorised_at_the_quantile_where_that_is_above_half_an_hour():
    rows = [
        click(action="dwell", value=float(n), timestamp=LATER + dt.timedelta(seconds=n * n))
        for n in range(1, 101)
    ]
    tables = more(clean_log(), "events", rows)
    out, ledger = cleaned(tables, dwell_seconds=0.0, dwell_quantile=0.9)
    assert ledger.repaired == {"outlier_dwell": 10}
    assert out["events"]["value"].max() == 90.0


def test_missing_values_by_column():
    tables = spoilt(clean_log(), "items", "price", {1: None})
    tables = spoilt(tables, "events", "position", {4: None})
    tables = spoilt(tables, "impressions", "policy", dict.fromkeys(range(2, 201), "p"))
    policy = {"items.price": "fill=median", "events.position": "drop", "impressions.policy": "fill=none",
              "events.value": "keep"}  # fmt: skip
    out, ledger = cleaned(tables, missing=policy)
    assert counts(ledger) == {
        "dropped": {"missing_position": 1},
        "repaired": {"filled_price": 1, "filled_policy": 1},
    }
    assert out["items"]["price"][0] == 16.0
    assert out["impressions"]["policy"].to_list().count("none") == 1
    with pytest.raises(BadInput, match="'many' is no Int32"):
        cleaned(tables, missing={"events.position": "fill=many"})


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"orphan_query_id": "mend"}, "'mend' is none of drop, keep"),
        ({"missing": {"events.colour": "drop"}}, "there is no events.colour"),
        ({"missing": {"events.value": "guess"}}, "'guess' is none of drop, keep, fill=VALUE"),
        ({"dwell_quantile": 99}, "does not lie in"),
        ({"bot_rate": -1.0}, "must be 0 or more"),
        ({"ratings": (5.0, 1.0)}, "lowest and highest"),
    ],
)
def test_a_policy_that_cannot_be_is_refused(wrong, words):
    with pytest.raises(BadInput, match=words):
        Policy(**wrong)


def test_rules_do_not_change_what_they_are_given():
    tables = spoilt(clean_log(), "events", "item_id", {4: None})
    before = {name: frame.clone() for name, frame in tables.items()}
    clean(tables, Ledger())
    assert all(tables[name].equals(before[name]) for name in before)


POLICIES = st.fixed_dictionaries(
    {
        "orphan_query_id": st.sampled_from(["drop", "keep"]),
        "clock_skew": st.sampled_from(["repair", "drop"]),
        "impossible_timestamp": st.sampled_from(["repair", "drop"]),
        "click_without_impression": st.sampled_from(["drop", "keep"]),
        "bot_requests": st.sampled_from([2, 20]),
        "bot_rows": st.sampled_from([3, 5_000]),
        "missing": st.sampled_from(
            [{}, {"events.value": "drop", "judgments.grade": "fill=0", "reviews.title": "drop"}]
        ),
    }
)


@settings(WHOLE_LOGS, max_examples=60)
@given(any_log(), POLICIES)
def test_rows_in_are_rows_out_and_dropped_whatever_the_log(tables, policy):
    known = {reason for rule in RULES for reason in rule.reasons}
    for rule in RULES:
        ledger = Ledger(rows_in=logged_rows(tables))
        tables = rule.apply(tables, ledger, Policy(**policy), Facts.of(tables, Policy(**policy)))
        ledger.as_dict(logged_rows(tables))
        said = {*ledger.dropped, *ledger.repaired, *ledger.noted}
        if rule is not RULES[-1]:
            assert said <= set(rule.reasons) <= known
        for reason in said:
            assert 1 <= len(ledger.examples[reason]) <= 20
        for name, frame in tables.items():
            assert frame.columns == list(SCHEMAS[name])


@settings(WHOLE_LOGS, max_examples=30)
@given(any_log())
def test_what_is_clean_is_not_cleaned_again(tables):
    """A second time nothing is repaired and nothing is dropped that depends on a row alone."""
    once = clean(tables, Ledger())
    ledger = Ledger(rows_in=logged_rows(once))
    twice = clean(once, ledger)
    alone = {"missing_item_id", "not_about_an_item", "duplicate_event", "duplicate_review", "unknown_item",
             "orphan_query_id", "missing_query_id", "empty_query", "empty_text"}  # fmt: skip
    assert not alone & set(ledger.dropped)
    steps = {"mojibake", "html", "control_characters", "zero_width", "white_space", "impossible_timestamp",
             "impossible_position", "negative_dwell", "negative_price"}  # fmt: skip
    assert not steps & set(ledger.repaired)
    ledger.as_dict(logged_rows(twice))
