"""The simulated store: its shape, the flaws planted in it, and how hard it is to rank."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from assay.examples.store import StoreConfig, simulate, write

SMALL = StoreConfig(queries=30, seed=3)


@pytest.fixture(scope="module")
def store():
    """Give a store of the default size, with noise in its judgments."""
    return simulate(StoreConfig(label_noise=0.3))


def digests(folder):
    """Map each file's relative path to the sha256 of its bytes."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.parquet"))
    }


def test_same_config_gives_the_same_bytes_whatever_the_hash_seed(tmp_path):
    write(simulate(SMALL), tmp_path / "here")
    script = (
        "import sys; from assay.examples.store import StoreConfig, simulate, write;"
        "write(simulate(StoreConfig(queries=30, seed=3)), sys.argv[1])"
    )
    subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "there")],
        env=os.environ | {"PYTHONHASHSEED": "12345"},
        check=True,
    )
    assert digests(tmp_path / "here") == digests(tmp_path / "there")
    assert len(digests(tmp_path / "here")) == 7 + 9


def test_another_seed_gives_another_store():
    assert not simulate(SMALL).judgments.equals(simulate(StoreConfig(queries=30, seed=4)).judgments)


@pytest.mark.parametrize(("queries", "items_per_query"), [(1, 20), (30, 20), (60, 7)])
def test_sizes_are_those_asked_for(queries, items_per_query):
    store = simulate(StoreConfig(queries=queries, items_per_query=items_per_query))
    assert len(store.queries) == queries
    assert store.queries["query"].is_unique
    assert (store.judgments.groupby("query_id").size() == items_per_query).all()
    assert not store.judgments.duplicated(["query_id", "item_id"]).any()


@pytest.mark.slow
def test_five_thousand_queries():
    store = simulate(StoreConfig(queries=5_000))
    assert store.queries["query"].nunique() == 5_000
    assert len(store.judgments) == 100_000


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("items", "item_id title category line accessory brand colour material size price"),
        ("queries", "query_id query segment popularity category line colour material size brand"),
        ("judgments", "query_id query item_id title grade segment"),
        (
            "search_events",
            "event_id query_id user_id session_id timestamp query item_id title position click purchase"
            " price",
        ),
        ("recommendation_sessions", "user_id session_id timestamp step event item_id title price"),
        ("reviews", "review_id item_id user_id timestamp title text rating helpful"),
        (
            "ads",
            "impression_id user_id timestamp placement device page item_id title category price bid showings"
            " click",
        ),
    ],
)
def test_schema(store, table, columns):
    assert list(store.tables[table]) == columns.split()


def test_judgments_are_graded_in_four_classes_and_three_segments(store):
    clean = store.truth["judgments"]["grade"]
    assert set(clean) == {0, 1, 2, 3}
    assert 0.35 <= (clean >= 2).mean() <= 0.50
    assert set(store.judgments["segment"]) == {"head", "torso", "tail"}
    assert (clean == 3).groupby(store.truth["judgments"]["query_id"]).any().all()


def test_label_noise_is_exact_and_crosses_the_line(store):
    truth, noisy = store.truth["judgments"], store.judgments["grade"]
    flipped = truth["flipped"]
    assert flipped.sum() == np.floor(0.3 * len(truth) + 0.5)
    assert (noisy[~flipped] == truth["grade"][~flipped]).all()
    assert (noisy[flipped] == np.where(truth["grade"][flipped] >= 2, 0, 3)).all()


def test_noise_leaves_everything_else_as_it_is(store):
    clean = simulate(StoreConfig())
    assert (clean.judgments["grade"] == store.truth["judgments"]["grade"]).all()
    assert clean.search_events.equals(store.search_events)


def test_propensities_can_be_recovered_by_who_knows_the_grades(store):
    events = store.truth["search_events"].merge(
        store.search_events.drop_duplicates("event_id")[["event_id", "click"]], on="event_id"
    )
    people = events[~events["bot"]]
    attraction = np.array(store.config.attraction)[people["grade"]]
    clicks = people["click"].groupby(people["position"]).sum()
    chances = pd.Series(attraction, people.index).groupby(people["position"]).sum()
    np.testing.assert_allclose(clicks / chances, store.truth["propensities"]["examination"], atol=0.05)
    exact = people[people["grade"] == 3]
    rate = exact["click"].groupby(exact["position"]).mean()
    np.testing.assert_allclose(
        rate / store.config.attraction[3], store.truth["propensities"]["examination"], atol=0.12
    )


def test_people_buy_only_what_they_clicked(store):
    events = store.search_events
    assert (events["click"] >= events["purchase"]).all()
    assert events["purchase"].sum() > 0


def test_duplicates_and_missing_values_are_exact(store):
    events = store.search_events
    rows = len(store.truth["search_events"])
    again = events[events.duplicated("event_id")]
    assert sorted(again["event_id"]) == sorted(store.truth["duplicates"]["event_id"])
    assert len(again) == np.floor(store.config.duplicate_share * rows + 0.5)
    assert len(events.drop_duplicates()) == rows
    once = events.drop_duplicates("event_id").set_index("event_id")
    for column in ("title", "query", "position"):
        missing = store.truth["missing"].query("column == @column")["event_id"]
        assert len(missing) == np.floor(store.config.missing_share * rows + 0.5)
        assert set(once.index[once[column].isna()]) == set(missing)


def test_bots_are_named_and_search_faster_than_people(store):
    bots = set(store.truth["bots"]["session_id"])
    people = store.search_events.loc[~store.search_events["session_id"].isin(bots), "session_id"].nunique()
    assert len(bots) == len(store.truth["bots"])
    searches = store.search_events.drop_duplicates("query_id")
    pace = searches.groupby("session_id")["timestamp"].agg(
        lambda times: times.diff().median().total_seconds()
    )
    bot = pace.index.isin(bots)
    assert bot.sum() == len(bots)
    assert people > 20 * len(bots)
    assert pace[bot].max() < pace[~bot].dropna().quantile(0.05)


def test_ads_are_clicked_as_often_as_the_truth_says(store):
    assert store.ads["click"].mean() == pytest.approx(store.truth["ads"]["probability"].mean(), abs=0.01)


@pytest.mark.parametrize(
    ("field", "value"),
    [("queries", 0), ("items_per_query", 1), ("seed", -1), ("label_noise", 1.5), ("attraction", (0.1, 0.2))],
)
def test_a_config_that_cannot_be_simulated_is_refused(field, value):
    with pytest.raises(ValueError, match=field):
        StoreConfig(**{field: value})
