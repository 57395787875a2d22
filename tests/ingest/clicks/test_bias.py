"""Position bias of a search log: found, and taken out of labels where that does no harm."""

import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pytest
from assay.components.core.errors import BadInput
from assay.components.ingest.building import Policy
from assay.components.ingest.clicks.bias import Bias, bias_of, decide, taken
from assay.components.ingest.clicks.crossed import crossed
from assay.components.ingest.clicks.estimators import counted
from assay.components.ingest.clicks.propensities import Propensities
from assay.components.ingest.clicks.weights import weight_of
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.prepare import IngestConfig, prepare
from assay.components.ingest.search import build, samples_from_impressions
from assay.components.ingest.tables import canonical

from tests.ingest.clicks.logs import searches

LOOKED = (1, 0.7, 0.5, 0.35, 0.2, 0.15, 0.1, 0.1)


def known(*examined):
    looked = np.array(examined)
    return Propensities("chosen", looked, np.ones(len(looked)), np.ones(len(looked)), 0.01, 0, -1.0)


def rows(*lines, **more):
    """(item, position, shown, clicks) as impressions of one query."""
    out = [
        {"item_id": item, "position": float(position), "click": float(k < clicks)}
        for item, position, shown, clicks in lines
        for k in range(shown)
    ]
    about = {"context": "q", "group_id": "q", "segment": "all", "split": "train", "source": "log"}
    frame = pd.DataFrame(out).assign(**about, **more, timestamp=pd.Timestamp("2026-01-01", tz="UTC"))
    return frame.assign(item=frame["item_id"])


def by_item(samples):
    return samples.set_index("item_id").sort_index()


def test_clicks_over_looks_tell_the_better_item_where_clicks_over_impressions_do_not():
    """40 of 100 looks, and 20 of 25 looks at one position, 4 of 10 at another: 0.4 and 24 / 35."""
    log = rows(("a", 1, 100, 40), ("b", 2, 100, 20), ("b", 3, 100, 4))
    found = by_item(samples_from_impressions(log, "log", Ledger(), bias=Bias("pbm", known(1, 0.25, 0.1))))
    assert found["label"].to_list() == pytest.approx([0.4, 0.12])
    assert found["unbiased"].to_list() == pytest.approx([0.4, 24 / 35])
    assert found["looks"].to_list() == pytest.approx([100, 35])
    assert found["clicks"].to_list() == [40, 24]
    naive = by_item(samples_from_impressions(log, "log", Ledger()))
    assert naive["label"].equals(found["label"])
    assert naive["weight"].equals(found["weight"])
    assert "looks" not in naive


def test_a_propensity_is_held_at_one_tenth_and_a_label_at_one():
    log = rows(("a", 1, 10, 1), ("b", 2, 1, 1))
    found = by_item(samples_from_impressions(log, "log", Ledger(), bias=Bias("pbm", known(1, 0.01))))
    assert found["looks"].to_list() == pytest.approx([10, 0.1])
    assert found["unbiased"].to_list() == [0.1, 1]
    own = by_item(
        samples_from_impressions(log.assign(propensity=0.5), "log", Ledger(), bias=Bias("pbm", known(1, 1)))
    )
    assert own["looks"].to_list() == pytest.approx([5, 0.5])


def test_a_row_that_stands_for_several_counts_as_they_would_and_once():
    """3 clicked and 2 of 10 unclicked, each for 5: the rate of the whole log; a lone row weighs its own."""
    kept = rows(("a", 1, 5, 3), ("b", 1, 1, 0), ("c", 1, 1, 1))
    thin = by_item(
        samples_from_impressions(kept.assign(weight=np.where(kept["click"] > 0, 1.0, 5.0)), "", Ledger())
    )
    assert thin["label"].to_list() == pytest.approx([3 / 13, 0, 1])
    assert thin.loc["b", "weight"] / thin.loc["c", "weight"] == pytest.approx(5)
    plain = by_item(samples_from_impressions(kept, "", Ledger()))
    assert (thin["weight"] / plain["weight"]).to_list() == pytest.approx([13 / 5, 5, 1])


def world(seed=0):
    """A flat log whose titles say what is good ("w3") and, apart from that, what is shown first ("top")."""
    rng = np.random.default_rng(seed)
    queries, times, look = 150, 60, np.array(LOOKED)
    good, first = np.tile(np.arange(4), 2), np.repeat([0, 1], 4)
    search = np.repeat(np.arange(queries * times), 8)
    query = search // times
    worth = 2.0 * first + rng.normal(0, 1, (queries * times, 8))
    item = np.argsort(-worth, axis=1).ravel()
    position = np.tile(np.arange(8), queries * times)
    click = rng.random(len(item)) < look[position] * np.array([0.05, 0.2, 0.4, 0.6])[good[item]]
    return pd.DataFrame(
        {
            "query": [f"need {q}" for q in query],
            "query_id": search,
            "user_id": search // 7,
            "title": [f"w{good[i]} {'top' if first[i] else 'low'} item" for i in item],
            "product_id": [f"{q}-{i}" for q, i in zip(query, item, strict=True)],
            "position": position + 1,
            "click": click.astype(int),
            "purchase": (
                click & (rng.random(len(item)) < np.array([0.02, 0.1, 0.3, 0.6])[good[item]])
            ).astype(int),
            "timestamp": pd.Timestamp("2026-01-01", tz="UTC")
            + pd.to_timedelta(search * 45.0 + position, unit="s"),
        }
    )


def test_a_chosen_store_is_ranked_as_it_is_only_once_positions_are_out():
    log = world()
    shown = pl.DataFrame(
        {
            "source": "log", "row": np.arange(len(log)), "query": log["query"].to_numpy(object),
            "query_id": log["query_id"].to_numpy(), "item_id": log["product_id"].to_numpy(object),
            "position": log["position"].to_numpy(), "clicked": log["click"].to_numpy(float),
        }
    )  # fmt: skip
    items = pl.from_pandas(log[["product_id", "title"]].drop_duplicates()).rename(
        {"product_id": "item_id", "title": "text"}
    )
    tables = {"impressions": canonical("impressions", shown), "items": canonical("items", items)}
    built = build(tables, Ledger(), Policy(bias="harvesting"))
    assert np.abs(built.bias.propensities.examined - LOOKED).mean() < 0.02
    found = samples_from_impressions(built.rows.assign(split="train"), "log", Ledger(), bias=built.bias)
    good = found["item"].str[1].astype(int)

    def misplaced(name):
        """Share of the pairs of one query, one being the better, that a label has the wrong way round."""
        wrong = seen = 0
        for _, some in found.assign(good=good).groupby("context"):
            grade, label = some["good"].to_numpy(), some[name].to_numpy()
            better = grade[:, None] > grade
            seen += better.sum()
            wrong += (better & (label[:, None] <= label)).sum()
        return wrong / seen

    shares = misplaced("unbiased"), misplaced("label")
    assert shares[0] < 0.09
    assert shares[1] > 0.15


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    file = tmp_path_factory.mktemp("flat") / "events.parquet"
    world().to_parquet(file, index=False)
    return file


@pytest.mark.parametrize("method", ["auto", "pbm"])
def test_a_flat_log_is_corrected_where_purchases_say_that_it_does_no_harm(store, method):
    found = prepare(IngestConfig(str(store), policy={"bias": method}))
    told = found.facts["bias"]
    assert (told["asked"], told["kept"]) == (method, "corrected")
    assert told["check"]["low"] > 0
    assert told["check"]["trusted"] == "purchases of those who clicked"
    assert np.abs(np.array(told["propensities"]["examined"]) - LOOKED).mean() < 0.02
    assert 0 < told["weights"]["effective_samples"] <= len(found.samples)
    assert found.facts["ledger"]["noted"]["corrected_for_position"] == len(found.samples)
    assert "do no harm" in found.facts["ledger"]["examples"]["corrected_for_position"][0]
    naive = prepare(IngestConfig(str(store)))
    assert "bias" not in naive.facts

    def by_words(samples):
        return samples.groupby(samples["item"].str.split().str[:2].str.join(" "))["label"].mean()

    rates, clicks = by_words(found.samples), by_words(naive.samples)
    assert clicks["w3 low"] < clicks["w2 top"]
    assert rates["w3 low"] == pytest.approx(0.6, abs=0.05)
    assert rates["w2 top"] == pytest.approx(0.4, abs=0.05)
    assert (naive.samples["sample_id"] == found.samples["sample_id"]).all()
    assert not {"looks", "unbiased", "sampled", "clicks", "bought"} & set(found.samples)


def test_a_correction_that_harms_is_refused_and_everything_stays_as_it_was(store):
    """Propensities the wrong way round: what is shown first is taken for even better than its clicks say."""
    log = pd.read_parquet(store)
    frame = pd.DataFrame(
        {
            "context": log["query"], "group_id": log["query"], "item": log["title"],
            "item_id": log["product_id"], "segment": "all", "click": log["click"].astype(float),
            "bought": log["purchase"].astype(float),
            "position": log["position"].astype(float), "timestamp": log["timestamp"], "source": "log",
        }
    )  # fmt: skip
    number = frame["context"].str.split().str[1].astype(int)
    frame["split"] = np.where(number % 5 == 0, "validation", np.where(number % 5 == 1, "target", "train"))
    wrong = Bias("pbm", known(0.1, 0.1, 0.15, 0.2, 0.35, 0.5, 0.7, 1))
    samples, ledger = samples_from_impressions(frame, "log", Ledger(), bias=wrong), Ledger()
    decision = decide(samples, wrong, ledger)
    assert not decision.taken
    assert decision.facts["kept"] == "naive"
    assert decision.facts["check"]["high"] < 0
    assert "fell back to naive labels" in ledger.examples["not_corrected_for_position"][0]
    kept = taken(samples, decision)
    assert kept["label"].equals(samples["label"])
    assert kept["weight"].equals(samples["weight"])
    right = replace(decision, taken=True)
    parts = [taken(samples.iloc[k::2], right) for k in range(2)]
    whole = taken(samples, right)
    assert whole["label"].equals(samples["unbiased"])
    assert whole["weight"].to_numpy() == pytest.approx(weight_of(samples["looks"].to_numpy()))
    pd.testing.assert_frame_equal(pd.concat(parts).sort_index(), whole)


def test_without_grades_or_purchases_nothing_is_corrected(store, tmp_path):
    file = tmp_path / "events.parquet"
    pd.read_parquet(store).drop(columns="purchase").to_parquet(file, index=False)
    found = prepare(IngestConfig(str(file), policy={"bias": "harvesting"}))
    assert found.facts["bias"]["kept"] == "naive"
    assert "neither grades nor purchases" in found.facts["bias"]["why"]
    assert found.facts["ledger"]["noted"] == {"not_corrected_for_position": len(found.samples)}
    pd.testing.assert_series_equal(found.samples["label"], prepare(IngestConfig(str(file))).samples["label"])


def test_auto_says_why_it_corrects_nothing_and_a_named_estimator_fails():
    log, _ = searches(LOOKED, queries=30, times=50, shake=0.0)
    with pytest.raises(BadInput, match="at two positions"):
        bias_of(counted(log, "harvesting"), "harvesting")
    bias = bias_of(counted(log, "auto"), "auto")
    assert bias.propensities is None
    samples = samples_from_impressions(rows(("a", 1, 4, 1)), "", Ledger(), bias=bias)
    assert samples["unbiased"].equals(samples["label"])
    ledger = Ledger()
    assert not decide(samples, bias, ledger).taken
    assert "cannot be told apart" in ledger.examples["not_corrected_for_position"][0]


def test_bots_are_out_before_positions_are_told(store, tmp_path):
    log = pd.read_parquet(store)
    bot = log.head(8 * 600).assign(click=1, purchase=0, user_id=-1)
    bot["timestamp"] = log["timestamp"].min() + pd.to_timedelta(np.arange(len(bot)) * 0.2, unit="s")
    file = tmp_path / "events.parquet"
    pd.concat([log, bot]).to_parquet(file, index=False)
    found = prepare(IngestConfig(str(file), policy={"bias": "harvesting"}))
    assert found.facts["ledger"]["dropped"]["bot_session"] == len(bot)
    clean = prepare(IngestConfig(str(store), policy={"bias": "harvesting"}))
    assert found.facts["bias"]["propensities"] == clean.facts["bias"]["propensities"]


def test_crossed_words_are_told_apart_and_unlike_texts_have_no_cosine():
    found = crossed(["red shoe", "red shoe", "blue lamp"], ["red shoe", "green hat", "green hat"])
    assert found.shape[0] == 3
    assert found[:, [-1]].toarray().ravel() == pytest.approx([1, 0, 0])
    products = found[:, :-1]
    assert np.diff(products.indptr).tolist() == [4, 4, 4]
    assert products.multiply(products > 0).max(axis=0).nnz == 12
    assert products.data.mean() == pytest.approx(1)


def test_without_scikit_learn_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.feature_extraction.text", None)
    with pytest.raises(BadInput, match="pip install"):
        crossed(["red"], ["shoe"])


@pytest.mark.parametrize("wrong", [{"bias": "magic"}, {"min_dwell": -1.0}, {"label": "stars"}])
def test_a_policy_that_means_nothing_is_refused(wrong):
    with pytest.raises(BadInput, match="policy"):
        Policy(**wrong)
