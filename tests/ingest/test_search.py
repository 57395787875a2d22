"""What a search is learnt from: judgments, clicks, or all that was done; and whose a sample is."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from assay.components.core.errors import BadInput
from assay.components.ingest.ads import build as build_ads
from assay.components.ingest.building import Policy
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.prepare import IngestConfig, prepare
from assay.components.ingest.review import build as build_reviews
from assay.components.ingest.search import build, samples_from_impressions, samples_from_judgments
from assay.components.ingest.tables import canonical

from tests.ingest.clicks.logs import done, shown

PAGE = [("s1", item, place, 0) for place, item in enumerate("abcde", start=1)]


def tables(events=(), judgments=(), **more):
    rows = shown(*PAGE, **({"query": ["shoe"] * 5} | more))
    out = {"impressions": rows.with_columns(source=pl.lit("log"), row=pl.int_range(5, dtype=pl.UInt32))}
    if events:
        out["events"] = done(*events)
    if judgments:
        pairs = pl.DataFrame(judgments, ["query", "item_id", "grade"], orient="row")
        out["judgments"] = canonical("judgments", pairs)
    return out


EVENTS = [
    ("s1", "b", "click", 1),
    ("s1", "b", "dwell", 1),
    ("s1", "c", "cart", 1),
    ("s1", "d", "purchase", 1),
]


@pytest.mark.parametrize(
    ("policy", "labels"),
    [
        ({}, [0, 1, 1, 1, 0]),
        ({"label": "click"}, [0, 1, 1, 1, 0]),
        ({"label": "graded"}, [0, 1 / 3, 2 / 3, 1, 0]),
        ({"label": "graded", "min_dwell": 30.0}, [0, 0, 2 / 3, 1, 0]),
    ],
)
def test_labels_are_what_was_done_by_the_policy(policy, labels):
    built = build(
        tables(EVENTS) | {"events": done(*EVENTS, value=[None, 9.0, None, None])}, Ledger(), Policy(**policy)
    )
    rows = built.rows.sort_values("position")
    assert rows["label" if policy.get("label") == "graded" else "click"].to_list() == pytest.approx(labels)
    assert (built.label_source, built.max_grade) == ("click", 1)
    samples = samples_from_impressions(rows.assign(split="train"), "log", Ledger())
    assert samples.sort_values("item_id")["label"].to_list() == pytest.approx(labels)


def test_of_grades_only_what_was_passed_over_is_a_negative_unless_positions_are_corrected():
    ledger = Ledger()
    built = build(tables(EVENTS[:1] + [("s1", "b", "cart", 1)]), ledger, Policy(label="graded"))
    assert "".join(sorted(built.rows["item_id"])) == "abc"
    assert ledger.dropped["not_looked_at"] == 2
    rows = tables([("s1", "b", "cart", 1)])
    again = shown(*(("s2", item, 6 - place, 0) for _, item, place, _ in PAGE), query=["shoe"] * 5)
    rows["impressions"] = pl.concat([rows["impressions"], again])
    built = build(rows, Ledger(), Policy(label="graded", bias="coec"))
    assert len(built.rows) == 10
    assert built.bias.method == "coec"


@pytest.mark.parametrize(
    ("events", "words"),
    [(EVENTS[:1], "nor a dwell"), (EVENTS[:2], "policy.min_dwell says nothing")],
)
def test_grades_ask_for_more_than_clicks(events, words):
    log = tables(events) | {"events": done(*events, value=[None, 9.0][: len(events)])}
    with pytest.raises(BadInput, match=words):
        build(log, Ledger(), Policy(label="graded"))


@pytest.mark.parametrize(
    ("builder", "label"),
    [(build, "helpful"), (build, "liked"), (build_reviews, "graded"), (build_reviews, "click")],
)
def test_a_label_of_another_task_is_refused(builder, label):
    reviews = canonical("reviews", pl.DataFrame({"text": ["good"], "rating": [5.0]}))
    with pytest.raises(BadInput, match=f"policy.label {label}: --task"):
        builder(tables(EVENTS) | {"reviews": reviews}, Ledger(), Policy(label=label))


def test_judgments_come_first_unless_clicks_are_named_and_then_are_what_is_trusted():
    log = tables(EVENTS, [("shoe", "a", 3.0), ("shoe", "b", 0.0)])
    log["items"] = canonical("items", pl.DataFrame({"item_id": list("ab"), "text": ["Red  shoe", "Lamp"]}))
    ledger = Ledger()
    built = build(log, ledger, Policy())
    assert built.label_source == "grade"
    assert ledger.dropped == {"judged_instead": 5 + len(EVENTS)}
    ledger = Ledger()
    built = build(log, ledger, Policy(bias="coec"))
    assert built.label_source == "click"
    assert ledger.dropped["grades_beside_clicks"] == 2
    assert built.bias.grades.values.tolist() == [["shoe", "Lamp", 0.0], ["shoe", "Red shoe", 3.0]]
    assert build(log, Ledger(), Policy(label="click")).bias is None


def test_rows_and_samples_say_whose_they_are():
    who = {"user_id": ["u1", None, "u1", None, "u2"], "session_id": ["x", "y", None, None, "z"]}
    whose = build(tables(EVENTS, **who), Ledger(), Policy()).rows.sort_values("position")["user_id"]
    assert whose.fillna("").to_list() == ["u1", "y", "u1", "", "u2"]
    ads = build_ads(tables(EVENTS, **who, context=["top"] * 5), Ledger(), Policy()).rows
    assert ads.sort_values("position")["user_id"].fillna("").to_list() == ["u1", "y", "u1", "", "u2"]
    log = tables(EVENTS)
    log["queries"] = canonical(
        "queries", pl.DataFrame({"query_id": ["s1"], "query": ["shoe"], "user_id": ["u7"]})
    )
    assert set(build(log, Ledger(), Policy()).rows["user_id"]) == {"u7"}


@pytest.mark.parametrize("judged", [False, True])
def test_a_sample_of_several_users_is_nobodys(judged):
    people = {"a": ["u1", "u1"], "b": ["u1", "u2"], "c": [None, "u1"], "d": [None, None], "e": ["u3"]}
    rows = pd.DataFrame([{"item_id": item, "user_id": who} for item, all_ in people.items() for who in all_])
    about = {"context": "q", "group_id": "q", "segment": "all", "split": "train", "position": 1.0}
    rows = rows.assign(item=rows["item_id"], **about, grade=1.0, click=1.0, timestamp=pd.NaT)
    if judged:
        samples = samples_from_judgments(rows.drop(columns="click"), "", 1.0, Ledger())
    else:
        samples = samples_from_impressions(rows.drop(columns="grade"), "", Ledger())
    whose = samples.sort_values("item_id")["user_id"]
    assert [None if pd.isna(one) else one for one in whose] == ["u1", None, None, None, "u3"]


def test_a_flat_log_says_what_was_done_and_by_whom(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    place = np.tile(np.arange(1, 6), 200)
    search = np.repeat(np.arange(200), 5)
    click = (rng.random(1000) < 0.4).astype(int)
    frame = pd.DataFrame(
        {
            "query": [f"query {k // 4}" for k in search], "title": [f"item {k}" for k in place],
            "query_id": search, "position": place, "click": click, "user": [f"u{k // 4}" for k in search],
            "add_to_cart": click * (place == 1), "purchase": click * (place == 2), "dwell": 40.0,
        }
    )  # fmt: skip
    file = tmp_path / "log.csv"
    frame.to_csv(file, index=False)
    found = prepare(IngestConfig(str(file), policy={"label": "graded"}))
    kept = frame[frame["click"].groupby(search).transform("max") > 0]
    last = (kept["position"] * kept["click"]).groupby(kept["query_id"]).transform("max")
    kept = kept[kept["position"] <= last + 1]
    grade = np.maximum(kept["click"], np.maximum(2 * kept["add_to_cart"], 3 * kept["purchase"])) / 3
    expected = grade.groupby([kept["query"], kept["title"]]).mean()
    samples = found.samples.set_index(["context", "item"])["label"]
    assert np.allclose(samples, expected.loc[samples.index])
    assert found.samples["user_id"].to_list() == [f"u{c.split()[1]}" for c in found.samples["context"]]
    monkeypatch.setenv("ASSAY_ID_KEY", "a key of many bytes")
    hidden = prepare(IngestConfig(str(file))).samples["user_id"]
    assert hidden.str.fullmatch("[0-9a-f]{32}").all()
    assert hidden.nunique() == 50
    frame.drop(columns=["add_to_cart", "purchase"]).to_csv(file, index=False)
    with pytest.raises(BadInput, match="nothing but clicks"):
        prepare(IngestConfig(str(file), policy={"label": "graded"}))
