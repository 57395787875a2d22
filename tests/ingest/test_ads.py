from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import polars as pl
import pytest
from assay.components.core.errors import BadInput
from assay.components.core.samples import SPLITS
from assay.components.ingest.ads import build
from assay.components.ingest.building import Policy
from assay.components.ingest.columns import parse_columns
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.prepare import IngestConfig, prepare
from assay.components.ingest.search import build as build_search
from assay.components.ingest.split import assign_splits, check_leaks, groups_of
from assay.components.ingest.tables import canonical

ROLES = parse_columns("query=placement,item=title,click=click,user=user_id")


def impressions(rows):
    frame = pl.DataFrame(
        [{"source": "log", "row": k} | row for k, row in enumerate(rows, start=1)], infer_schema_length=None
    )
    return canonical("impressions", frame)


ROW = {
    "context": "banner", "attribute.device": "phone", "attribute.page": None, "item_id": "a1", "clicked": 1.0,
    "feature.bid": 0.5, "position": 2,
}  # fmt: skip


def with_splits(rows):
    groups, group = groups_of(rows)
    return rows.assign(split=np.asarray(SPLITS)[assign_splits(groups)[group]])


def test_what_is_known_is_written_out_and_numbers_are_features():
    items = pl.DataFrame(
        {"item_id": ["a1"], "text": ["Red shoe"], "price": [9.5], "attribute.shop": ["north"]}
    )
    built = build({"impressions": impressions([ROW]), "items": canonical("items", items)}, Ledger(), Policy())
    row = built.rows.iloc[0]
    assert (row["context"], row["item"]) == ("banner, device phone", "Red shoe, shop north")
    assert (row["feature.bid"], row["feature.price"], row["position"]) == (0.5, 9.5, 2)
    assert (row["click"], row["group_id"]) == (1, "log:1")
    assert (built.metric, built.label_source) == ("log_loss", "click")


def test_an_ad_without_a_text_is_its_id():
    built = build({"impressions": impressions([ROW])}, Ledger(), Policy())
    assert built.rows["item"].tolist() == ["item a1"]


def test_a_split_tears_no_user_and_without_users_no_context():
    rows = [ROW | {"user_id": f"u{k % 60}", "attribute.page": f"p{k}"} for k in range(600)]
    split = with_splits(build({"impressions": impressions(rows)}, Ledger(), Policy()).rows)
    assert split["split"].nunique() == 4
    assert split.groupby("unit")["split"].nunique().max() == 1
    assert split["unit"].nunique() == 60
    nobody = [ROW | {"attribute.page": f"{p} {c}"} for p in range(60) for c in ("new shoes", "Shoes, new!")]
    split = with_splits(build({"impressions": impressions(nobody)}, Ledger(), Policy()).rows)
    assert split["unit"].nunique() == 60
    assert split.groupby("unit")["split"].nunique().max() == 1
    check_leaks(split)


def test_by_time_what_is_last_is_tested_and_a_planted_leak_is_found():
    start = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [ROW | {"user_id": "u", "timestamp": start + timedelta(hours=k)} for k in range(100)]
    frame = impressions(rows)
    built = build({"impressions": frame}, Ledger(), Policy(holdout="time"))
    assert built.rows.groupby("split").size().to_dict() == {"test": 20, "train": 70, "validation": 10}
    check_leaks(built.rows, built.clock)
    torn = built.rows.copy()
    torn.loc[torn["timestamp"].idxmax(), "split"] = "train"
    with pytest.raises(BadInput, match="leak: 1 of 1 test histories"):
        check_leaks(torn, built.clock)
    with pytest.raises(BadInput, match="have no time"):
        build({"impressions": impressions([ROW, ROW])}, Ledger(), Policy(holdout="time"))


def test_thinned_out_rows_weigh_what_they_stand_for(tmp_path):
    rng = np.random.default_rng(1)
    clicked = rng.random(4000) < 0.1
    log = pd.DataFrame({"placement": "home", "title": [f"ad {k % 9}" for k in range(4000)], "click": clicked})
    log.assign(user_id=[f"u{k}" for k in range(4000)]).to_csv(tmp_path / "ads.csv", index=False)
    whole, thin = (
        prepare(IngestConfig(str(tmp_path / "ads.csv"), "ads", ROLES, policy={"keep_unclicked": share}))
        for share in (1.0, 0.2)
    )
    dropped = thin.facts["ledger"]["dropped"]["unclicked_not_kept"]
    assert len(thin.samples) == len(whole.samples) - dropped
    for split in ("test", "validation", "target"):
        assert thin.facts["samples"][split] == whole.facts["samples"][split]
    train, all_train = (one.samples[one.samples["split"] == "train"] for one in (thin, whole))
    assert train["label"].sum() == all_train["label"].sum()
    rate = (train["label"] * train["weight"]).sum() / train["weight"].sum()
    # The sum of ~470 weights of 5 kept by coins of 0.2: its relative sd is 0.04.
    assert rate == pytest.approx(all_train["label"].mean(), rel=0.12)
    assert set(train.loc[train["label"] == 1, "weight"]) == {1.0}
    assert set(train.loc[train["label"] == 0, "weight"]) == {5.0}


SHOWN = [
    {"impression_id": None, "query_id": "q1", "query": "red shoe", "item_id": "a", "clicked": None},
    {"impression_id": None, "query_id": "q1", "query": "red shoe", "item_id": "b", "clicked": None},
]


def events(*rows):
    frame = pl.DataFrame(
        [
            {"source": "log", "row": k, "query_id": q, "item_id": i, "action": a}
            for k, (q, i, a) in enumerate(rows)
        ]
    )
    return canonical("events", frame)


def test_clicks_that_are_events_become_part_of_their_impression():
    done = events(("q1", "a", "click"), ("q1", "a", "cart"), ("q9", "a", "click"), ("q1", "b", "view"))
    ledger = Ledger()
    built = build({"impressions": impressions(SHOWN), "events": done}, ledger, Policy())
    assert built.rows["click"].tolist() == [1, 0]
    assert ledger.dropped == {
        "action_without_label": 1, "joined_to_impression": 2, "click_without_impression": 1,
    }  # fmt: skip
    searched = build_search({"impressions": impressions(SHOWN), "events": done}, Ledger(), Policy())
    assert searched.rows[["context", "item_id", "click"]].values.tolist() == [
        ["red shoe", "a", 1.0], ["red shoe", "b", 0.0],
    ]  # fmt: skip


def test_what_was_clicked_must_be_said():
    with pytest.raises(BadInput, match="2 of 2 impressions have a click that is not 0 or 1"):
        build({"impressions": impressions(SHOWN)}, Ledger(), Policy())
    ledger = Ledger()
    mixed = impressions([SHOWN[0], SHOWN[1] | {"clicked": 0.0}])
    assert len(build({"impressions": mixed}, ledger, Policy(drop_unlabelled=True)).rows) == 1
    assert ledger.dropped == {"unlabelled": 1}
    with pytest.raises(BadInput, match="no impressions in the data"):
        build({}, Ledger(), Policy())


def test_judgments_know_their_query_by_its_id_and_their_item_by_its_text():
    judged = pl.DataFrame(
        {
            "query_id": ["q1", "q1", "q2"],
            "item_id": ["a", "b", "a"],
            "grade": [2.0, 0.0, 1.0],
            "source": "j",
            "row": [1, 2, 3],
        }
    )
    found = {
        "judgments": canonical("judgments", judged),
        "queries": canonical("queries", pl.DataFrame({"query_id": ["q1"], "query": ["red shoe"]})),
        "items": canonical("items", pl.DataFrame({"item_id": ["a"], "text": ["Runner red"]})),
    }
    ledger = Ledger()
    built = build_search(found, ledger, Policy())
    assert built.rows[["context", "item", "grade"]].values.tolist() == [
        ["red shoe", "Runner red", 2.0],
        ["red shoe", "", 0.0],
    ]
    assert (built.max_grade, built.relevant_at) == (2, 1)
    assert ledger.dropped == {"missing_query": 1}
