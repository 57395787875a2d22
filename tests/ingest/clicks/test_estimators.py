"""One contract for all estimators of position bias, and known answers of each."""

import numpy as np
import polars as pl
import pytest
from assay.components.core.errors import BadInput
from assay.components.ingest.clicks.cascade import dbn_relevance
from assay.components.ingest.clicks.coec import coec
from assay.components.ingest.clicks.estimators import ESTIMATORS, counted, estimate, estimated
from assay.components.ingest.clicks.pbm import attraction_of, pbm
from assay.components.ingest.clicks.shown import DEEPEST, PAIR, Cells, cells_of, merged, statistics
from assay.examples.store import StoreConfig, simulate

from tests.ingest.clicks.logs import searches, table

EXAMINED = (1.0, 0.7, 0.5, 0.35, 0.25)
HOLDS = {"harvesting": 0.02, "pbm": 0.03}
"""{estimator whose model the log follows: mean absolute error that is enough}."""


@pytest.fixture(scope="module")
def log():
    return searches(EXAMINED)[0]


@pytest.mark.parametrize("method", list(ESTIMATORS))
def test_every_estimator_keeps_the_contract(log, method):
    found = estimate(log, method, floor=0.1)
    assert found.method == method
    assert len(found.examined) == len(found.shown) == len(found.clicks) == 5
    assert found.examined.max() == 1.0
    assert (found.examined >= 0.1).all()
    assert found.shown.sum() == len(log)
    assert found.clicks.sum() == log["clicked"].sum()
    assert found.log_likelihood < 0
    assert 0 < found.effective_clicks <= found.clicks.sum() + 1e-6
    assert {"left_out", "swapped_pairs", "least_clicks", "monotone"} <= set(found.diagnostics)
    assert found.of(np.array([1, 5, 99])).tolist() == [found.examined[i] for i in (0, 4, 4)]
    mean = np.average(found.examined, weights=found.shown)
    assert found.of(np.array([np.nan, 0])).tolist() == [mean, mean]
    mixed = estimate(log.sample(fraction=1, shuffle=True, seed=3), method, floor=0.1)
    assert mixed.as_dict() == found.as_dict()


@pytest.mark.parametrize("method", list(ESTIMATORS))
def test_counts_of_parts_add_up_to_those_of_the_log(log, method):
    """A part may hold no click at all, or nothing that tells of positions."""
    lost = log.head(7).with_columns(position=None)
    log = pl.concat([log, lost])
    part = pl.col("query_id").cast(int) % 3
    quiet = log.head(20).with_columns(clicked=0.0, query_id=pl.format("quiet {}", "query_id"))
    parts = [*(log.filter(part == k) for k in range(3)), quiet, lost]
    counts = merged(counted(one, method) for one in parts)
    assert counts.equals(merged([counts]))
    found = estimated(counts, method)
    assert found.as_dict() == estimate(pl.concat([log, quiet, lost]), method).as_dict()
    assert found.diagnostics["left_out"] == 14


def test_auto_harvests_where_positions_change_and_refuses_elsewhere(log):
    assert estimate(log, "auto").as_dict() == estimate(log, "harvesting").as_dict()
    fixed = table(np.zeros(50, int), np.tile([0, 1], (50, 1)), np.eye(2, dtype=int)[np.arange(50) % 2])
    with pytest.raises(BadInput, match="0 pairs were seen at several positions"):
        estimate(fixed, "auto")


@pytest.mark.parametrize("method", list(HOLDS))
def test_chosen_propensities_are_found_again(log, method):
    found = estimate(log, method)
    assert np.abs(found.examined - EXAMINED).mean() <= HOLDS[method]
    assert found.warnings == ()
    assert found.diagnostics["monotone"]


def test_click_rates_take_a_good_ranker_for_position_bias(log):
    """Which is why they say of themselves that they hold for random positions alone."""
    biased = estimate(log, "coec")
    assert (biased.examined[1:] < np.array(EXAMINED)[1:] - 0.02).all()
    assert "random positions" in biased.warnings[0]
    random = estimate(searches(EXAMINED, shake=1e6)[0], "coec")
    assert np.abs(random.examined - EXAMINED).mean() <= 0.02


@pytest.mark.parametrize("method", list(HOLDS))
def test_a_grid_that_is_looked_at_in_the_middle(method):
    examined = (0.5, 1.0, 0.5, 0.25)
    found = estimate(searches(examined)[0], method)
    assert np.abs(found.examined - examined).mean() <= HOLDS[method]
    assert not found.diagnostics["monotone"]
    assert "grid" in found.warnings[0]


def test_what_the_store_planted_is_found_once_bots_are_out():
    store = simulate(StoreConfig(queries=200, searches_per_query=12, bot_share=0.0))
    log = pl.from_pandas(store.search_events).with_columns(
        clicked=pl.col("click").cast(pl.Float64), context=None
    )
    found = estimate(log, "harvesting")
    assert np.abs(found.examined - store.config.examination).mean() <= 0.03
    assert found.diagnostics["left_out"] > 0


def cells(*rows):
    return Cells(
        *(np.array(column, dtype=t) for column, t in zip(zip(*rows, strict=True), "iiff", strict=True))
    )


def test_two_positions_and_two_items_have_a_closed_form():
    """Each item at each position: rates .4 / .2 and .8 / .4 are made by attractions .4, .8 and a half."""
    log = cells((0, 0, 100, 40), (0, 1, 100, 20), (1, 0, 100, 80), (1, 1, 100, 40))
    found = pbm(log, tolerance=1e-9)
    assert found.examined[1] / found.examined[0] == pytest.approx(0.5, abs=1e-4)
    # The best of all models gives each cell its rate.
    rate = np.array([0.4, 0.2, 0.8, 0.4])
    best = 100 * (rate * np.log(rate) + (1 - rate) * np.log(1 - rate)).sum()
    assert found.log_likelihood == pytest.approx(best, abs=1e-3)
    harvested = ESTIMATORS["harvesting"](pl.DataFrame(), log)
    assert harvested.examined == pytest.approx([1.0, 0.5])
    assert harvested.log_likelihood == pytest.approx(best, abs=1e-3)


def test_likelihood_rises_with_every_iteration(log):
    counts = cells_of(statistics(log))
    likely = [pbm(counts, most=most).log_likelihood for most in (1, 2, 5, 20, 100)]
    assert likely == sorted(likely)
    assert "not converged after 5" in pbm(counts, most=5).warnings[0]


def test_attraction_under_known_propensities():
    log, attraction = searches(EXAMINED, queries=10, times=4000)
    counts = cells_of(statistics(log))
    found = attraction_of(counts, np.array(EXAMINED))
    names = log.select("query", "item_id", PAIR).unique().sort("pair")
    truth = attraction[names["query"].cast(int).to_numpy(), names["item_id"].cast(int).to_numpy()]
    often = counts.by_pair(counts.shown * np.array(EXAMINED)[counts.position]) >= 1000
    assert often.sum() > 20
    assert np.abs(found - truth)[often].mean() <= 0.015


def test_people_who_stop_at_the_first_click():
    """Half of them click the first item, half of the rest the second: the third is read by a quarter."""
    clicked = np.array([[1, 0, 0]] * 4 + [[0, 1, 0]] * 2 + [[0, 0, 1]] + [[0, 0, 0]])
    log = table(np.zeros(8, int), np.tile(np.arange(3), (8, 1)), clicked)
    assert estimate(log, "cascade", floor=0.01).examined == pytest.approx([1, 0.5, 0.25])
    assert estimate(log, "dbn", floor=0.01).examined == pytest.approx([1, 0.5, 0.25])
    rates = np.array([0.5, 0.5, 0.5])
    expected = (np.array([8, 4, 2]) * np.log(rates)).sum()
    assert estimate(log, "cascade").log_likelihood == pytest.approx(expected)


def test_people_who_read_on_until_they_are_satisfied():
    clicked = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0], [0, 1, 0]])
    log = table(np.zeros(4, int), np.tile(np.arange(3), (4, 1)), clicked)
    found = dbn_relevance(log)
    assert found["shown"].to_list() == [4, 3, 1]
    assert found["attraction"].to_list() == pytest.approx([2 / 4, 2 / 3, 0])
    assert found["satisfaction"].to_list() == [0.5, 1.0, None]
    assert found["relevance"].to_list() == pytest.approx([0.25, 2 / 3, 0])
    assert estimate(log, "dbn").examined == pytest.approx([1, 3 / 4, 1 / 4])


def test_coec_sums_expectations_over_the_impressions_of_a_pair():
    """Two at position 1 (mean rate 3/4), one at 2 (1/2): `a` was expected 2, and `b` 0.75 + 0.5."""
    log = table(
        np.zeros(4, int),
        np.array([[0, 1], [0, 2], [1, 0], [3, 1]]),
        np.array([[1, 0], [1, 1], [0, 1], [1, 0]]),
    )
    found = coec(log)
    assert found["item_id"].to_list() == ["0", "1", "2", "3"]
    assert found["expected"].to_list() == [2.0, 1.75, 0.5, 0.75]
    assert found["coec"].to_list() == pytest.approx([1.5, 0, 2, 4 / 3])


def test_positions_that_no_swap_leads_to_take_the_nearest_above():
    log = cells((0, 0, 100, 40), (0, 1, 100, 20), (1, 2, 100, 5))
    found = ESTIMATORS["harvesting"](pl.DataFrame(), log)
    assert np.isnan(found.examined[2])
    assert found.warnings == ("no swaps lead to positions 3",)
    rows = table(np.zeros(200, int), np.tile([0, 1, 2], (200, 1)), np.ones((200, 3), int))
    rows = rows.with_columns(
        item_id=pl.when(pl.col("query_id").cast(int) % 2 == 0).then("item_id").otherwise(
            pl.col("item_id").replace({"0": "1", "1": "0"})
        ),
        clicked=(pl.col("query_id").cast(int) % (2 * pl.col("position")) < 2).cast(pl.Float64),
    )  # fmt: skip
    last = estimate(rows, "harvesting")
    assert last.examined[2] == last.examined[1]
    assert last.diagnostics["unknown_positions"] == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"position": None}, "has an item, a position"),
        ({"position": DEEPEST + 1}, "has an item, a position"),
        ({"clicked": 0.0}, "no impression"),
        ({"clicked": 1.0}, "every impression"),
        ({"clicked": None}, "a click of 0 or 1"),
    ],
)
@pytest.mark.parametrize("method", list(ESTIMATORS))
def test_logs_that_tell_nothing_are_refused(log, method, change, words):
    with pytest.raises(BadInput, match=words):
        estimate(
            log.head(100).with_columns(**{name: pl.lit(value) for name, value in change.items()}), method
        )


def test_logs_without_swaps_or_searches_are_refused_where_they_are_needed(log):
    fixed = table(np.zeros(50, int), np.tile([0, 1], (50, 1)), np.eye(2, dtype=int)[np.arange(50) % 2])
    with pytest.raises(BadInput, match="at two positions"):
        estimate(fixed, "harvesting")
    assert "can hardly be told apart" in estimate(fixed, "pbm").warnings[0]
    for method in ("cascade", "dbn"):
        with pytest.raises(BadInput, match="query_id"):
            estimate(log.with_columns(query_id=pl.lit(None, pl.String)), method)
    with pytest.raises(BadInput, match="known: harvesting, pbm"):
        estimate(log, "magic")
    with pytest.raises(BadInput, match="floor"):
        estimate(log, floor=0.0)
