import heapq
import itertools
from pathlib import Path

import numpy as np
import pytest
from assay.components.core.errors import BadInput
from assay.components.core.samples import hash_unit
from assay.components.select.coverage import ccs as strata_of_importance
from assay.components.select.coverage import facility as location
from assay.components.select.coverage.ccs import ccs
from assay.components.select.coverage.dpp import dpp, kernel
from assay.components.select.coverage.facility import facility, greedy, serves, sum_served
from assay.components.select.coverage.k_centre import k_centre
from assay.components.select.coverage.methods import COVERAGE, coverage
from assay.components.select.coverage.pool import Pool
from hypothesis import given, settings
from hypothesis import strategies as st


def unit(matrix):
    return (matrix / np.linalg.norm(matrix, axis=1, keepdims=True)).astype(np.float32)


def at_angles(*degrees):
    """Rows on the unit circle; the cosine of two is that of the angle between them."""
    radians = np.radians(np.asarray(degrees, dtype=np.float64))
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def ids_of(n):
    return [f"r{i:06d}" for i in range(n)]


def clusters(n, seed, d=16, size=30):
    rng = np.random.default_rng(seed)
    centres = unit(rng.normal(size=(max(1, n // size), d)))
    vectors = unit(centres[rng.integers(len(centres), size=n)] + 0.7 * unit(rng.normal(size=(n, d))))
    return Pool(ids_of(n), rng.uniform(0, 1, n), vectors)


def shuffled(pool, seed):
    order = np.random.default_rng(seed).permutation(len(pool))
    return Pool([pool.sample_ids[i] for i in order], pool.importance[order], pool.vectors[order])


def chosen_ids(pool, rows):
    return [pool.sample_ids[i] for i in rows]


@pytest.mark.parametrize("name", COVERAGE)
def test_the_contract(name):
    pool, way = clusters(300, 0), COVERAGE[name]
    for count in (1, 7, 40, 299, 300):
        rows = way.choose(pool, count, 5)
        assert rows.shape == (count,)
        assert rows.dtype == np.int64
        assert len(np.unique(rows)) == count
        assert rows.min() >= 0
        assert rows.max() < 300
        assert np.array_equal(rows, way.choose(pool, count, 5))
        other = shuffled(pool, count)
        assert chosen_ids(other, way.choose(other, count, 5)) == chosen_ids(pool, rows)
    for count in (0, 301, -1):
        with pytest.raises(BadInput, match=f"{count} rows of 300"):
            way.choose(pool, count, 5)
    bare = Pool(pool.sample_ids, pool.importance)
    if way.needs_vectors:
        with pytest.raises(BadInput, match=f"{name} looks at vectors.*top, ccs"):
            way.choose(bare, 7, 5)
    else:
        assert np.array_equal(way.choose(bare, 7, 5), way.choose(pool, 7, 5))
    if way.at_most is not None:
        n = way.at_most + 1
        large = Pool(ids_of(n), np.ones(n), np.tile(at_angles(0), (n, 1)))
        with pytest.raises(BadInput, match=f"at most {way.at_most}"):
            way.choose(large, 7, 5)


@pytest.mark.parametrize("name", COVERAGE)
def test_the_contract_where_rows_are_alike_and_worth_nothing(name):
    pool = Pool(ids_of(40), np.zeros(40), np.tile(at_angles(33), (40, 1)))
    rows = COVERAGE[name].choose(pool, 39, 0)
    assert len(np.unique(rows)) == 39


@pytest.mark.parametrize("name", ["ccs", "dpp"])
def test_another_seed_draws_other_rows(name):
    pool, way = clusters(300, 0), COVERAGE[name]
    assert set(way.choose(pool, 40, 5)) != set(way.choose(pool, 40, 6))


def test_a_name_that_is_not_there():
    with pytest.raises(BadInput, match="coverage best: unknown; known: top, ccs"):
        coverage("best")
    assert coverage("dpp") is COVERAGE["dpp"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"sample_ids": ["a", "a"]}, "occurs twice"),
        ({"importance": np.array([0.1])}, "one number a row"),
        ({"importance": np.array([0.1, np.nan])}, r"not in \[0, 1\]"),
        ({"importance": np.array([0.1, 1.1])}, r"not in \[0, 1\]"),
        ({"vectors": np.ones((3, 2))}, "one vector a row"),
        ({"vectors": np.ones((2, 2))}, "unit length"),
        ({"vectors": np.array([[1, 0], [np.nan, 0]])}, "unit length"),
    ],
)
def test_a_pool_that_is_none(fields, words):
    good = {"sample_ids": ["a", "b"], "importance": np.array([0.1, 0.2]), "vectors": at_angles(0, 90)}
    Pool(**good)
    with pytest.raises(BadInput, match=words):
        Pool(**(good | fields))


def test_top_takes_the_best_and_ties_by_id():
    pool = Pool(["c", "b", "a", "d"], np.array([0.5, 0.5, 0.1, 0.9]))
    assert chosen_ids(pool, COVERAGE["top"].choose(pool, 2, 0)) == ["d", "b"]


def test_ccs_by_hand():
    """100 rows from 0 to 0.99; the lowest 10 are cut; the rest is 50 ranges of which 40 hold 2 rows."""
    pool = Pool(ids_of(100), np.arange(100) / 100)
    rows = ccs(pool, 50, 0)
    assert rows.min() >= 10
    stratum = np.minimum((rows / 100 - 0.10) / 0.89 * 50, 49).astype(int)
    assert np.bincount(stratum, minlength=50).tolist() == [1] * 50
    assert (np.diff(rows) < 0).all()
    everything = ccs(pool, 95, 0)
    assert sorted(everything) == list(range(5, 100))


def test_ccs_gives_what_a_small_stratum_cannot_fill_to_the_others(monkeypatch):
    monkeypatch.setattr(strata_of_importance, "STRATA", 3)
    monkeypatch.setattr(strata_of_importance, "HARDEST", 0.0)
    pool = Pool(ids_of(36), np.repeat([0.0, 0.5, 1.0], [30, 2, 4]))
    rows = ccs(pool, 15, 0)
    assert np.bincount((pool.importance[rows] * 2).astype(int)).tolist() == [9, 2, 4]
    low = rows[pool.importance[rows] == 0]
    draw = hash_unit(ids_of(30), "assay-ccs-0")
    assert set(low) == set(np.argsort(draw)[:9])


def test_k_centre_on_a_line():
    pool = Pool(ids_of(6), np.array([0, 0, 0.5, 0, 0, 0]), at_angles(0, 1, 40, 41, 90, 100))
    # From 40 the farthest is 100, then 0; then 90 is 10 away and no other more than 1.
    assert k_centre(pool, 4, 0).tolist() == [2, 5, 0, 4]


def test_k_centre_takes_the_more_important_of_rows_at_one_place():
    pool = Pool(ids_of(5), np.array([0.1, 0.2, 0.3, 0.4, 0.9]), at_angles(0, 0, 0, 0, 60))
    assert k_centre(pool, 5, 0).tolist() == [4, 3, 2, 1, 0]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(3, 9), st.integers(1, 4))
def test_k_centre_is_within_twice_of_the_best(seed, n, count):
    rng = np.random.default_rng(seed)
    pool = Pool(ids_of(n), rng.uniform(0, 1, n), unit(rng.normal(size=(n, 3))))
    count = min(count, n)
    apart = np.sqrt(np.maximum(2 - 2 * (pool.vectors @ pool.vectors.T), 0))
    radius = {some: apart[:, some].min(axis=1).max() for some in itertools.combinations(range(n), count)}
    assert radius[tuple(sorted(k_centre(pool, count, 0)))] <= 2 * min(radius.values()) + 1e-3


def test_facility_takes_the_middle_of_each_cluster_the_largest_first():
    """Three planes at right angles, with a row alone, three rows 10 degrees apart, and five."""
    vectors = np.zeros((9, 6), dtype=np.float32)
    vectors[0, :2] = at_angles(0)
    vectors[1:4, 2:4] = at_angles(20, 10, 0)
    vectors[4:, 4:] = at_angles(0, 10, 40, 20, 30)
    assert facility(Pool(ids_of(9), np.ones(9), vectors), 3, 0).tolist() == [7, 2, 0]


def test_facility_prefers_the_important():
    vectors = at_angles(0, 2, 90, 92)
    assert set(facility(Pool(ids_of(4), np.array([1, 0.2, 0.2, 1]), vectors), 2, 0)) == {0, 3}
    assert set(facility(Pool(ids_of(4), np.array([0.2, 1, 1, 0.2]), vectors), 2, 0)) == {1, 2}
    # Who matters not need not be served: the second choice goes to the side where rows matter.
    assert set(facility(Pool(ids_of(4), np.array([1, 1, 0, 0]), at_angles(0, 40, 90, 92)), 2, 0)) == {0, 1}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 10), st.integers(1, 4))
def test_facility_reaches_its_share_of_the_best_sum(seed, n, count):
    rng = np.random.default_rng(seed)
    pool = Pool(ids_of(n), rng.uniform(0, 1, n), unit(rng.normal(size=(n, 3))))
    count = min(count, n)
    table = np.maximum(pool.vectors @ pool.vectors.T, 0) * np.outer(pool.importance, pool.importance)
    best = max(table[:, some].max(axis=1).sum() for some in itertools.combinations(range(n), count))
    rows = facility(pool, count, 0)
    assert sum_served(pool.vectors, pool.importance, rows) == pytest.approx(
        table[:, rows].max(axis=1).sum(), rel=1e-5
    )
    assert table[:, rows].max(axis=1).sum() >= (1 - 1 / np.e) * best - 1e-6


def lazy_greedy(table, count):
    """Minoux 1978: gains only shrink, so that an old one is a bound. (count,) columns."""
    served, bounds = np.zeros(len(table)), [(-gain, j) for j, gain in enumerate(table.sum(axis=0))]
    heapq.heapify(bounds)
    chosen = []
    while len(chosen) < count:
        _, j = heapq.heappop(bounds)
        gain = np.maximum(table[:, j] - served, 0).sum()
        if not bounds or gain >= -bounds[0][0]:
            chosen.append(j)
            served = np.maximum(served, table[:, j])
        else:
            heapq.heappush(bounds, (-gain, j))
    return np.array(chosen)


@pytest.mark.parametrize(("n", "count"), [(1_500, 75), (1_500, 300), (5_000, 250)])
def test_stochastic_and_lazy_agree_within_two_percent(n, count):
    """The last is beyond the size at which all rows are compared with all."""
    pool = clusters(n, 1)
    table = np.maximum(pool.vectors @ pool.vectors.T, 0) * np.outer(pool.importance, pool.importance)
    lazy = sum_served(pool.vectors, pool.importance, lazy_greedy(table, count))
    ours = sum_served(pool.vectors, pool.importance, facility(pool, count, 0))
    random = sum_served(pool.vectors, pool.importance, np.arange(count))
    assert ours >= 0.98 * lazy
    assert random < 0.95 * lazy


def test_a_small_choice_from_a_large_pool_covers_it(monkeypatch):
    """A chosen row stands for 1,200: with 32 neighbours a row, it would seem to serve few of them."""
    pool = clusters(6_000, 3, d=64, size=6)
    pool = Pool(pool.sample_ids, np.ones(6_000), pool.vectors)
    lazy = sum_served(
        pool.vectors, pool.importance, lazy_greedy(np.maximum(pool.vectors @ pool.vectors.T, 0), 5)
    )
    assert sum_served(pool.vectors, pool.importance, facility(pool, 5, 0)) >= 0.96 * lazy
    monkeypatch.setattr(location, "CROWD", 6_000)
    monkeypatch.setattr(location, "LINKS", 32 * 6_000)
    assert sum_served(pool.vectors, pool.importance, facility(pool, 5, 0)) < 0.96 * lazy


def test_looking_at_all_rows_is_the_plain_greedy():
    pool = clusters(400, 2)
    served = serves(pool.vectors, pool.importance, 400, 0)
    table = np.maximum(pool.vectors @ pool.vectors.T, 0) * np.outer(pool.importance, pool.importance)
    assert np.allclose(served.toarray(), table, atol=1e-6)
    assert greedy(served, 50, 400, 0).tolist() == lazy_greedy(served.toarray().astype(float), 50).tolist()


def test_rows_are_served_by_those_that_serve_them_best():
    pool = clusters(500, 4)
    table = np.maximum(pool.vectors @ pool.vectors.T, 0) * np.outer(pool.importance, pool.importance)
    served = serves(pool.vectors, pool.importance, 20, 0).toarray()
    assert (np.count_nonzero(served, axis=1) == 20).all()
    expected = np.sort(table, axis=1)[:, -20:]
    assert np.allclose(np.sort(served, axis=1)[:, -20:], expected, atol=1e-6)


def test_dpp_draws_as_often_as_the_determinants_say():
    pool = Pool(ids_of(5), np.array([1, 0.9, 0.8, 0.9, 0.5]), at_angles(0, 20, 50, 90, 130))
    matrix, draws = kernel(pool), 4_000
    sets = [list(some) for some in itertools.combinations(range(5), 2)]
    weights = np.array([np.linalg.det(matrix[np.ix_(some, some)]) for some in sets])
    expected = draws * weights / weights.sum()
    seen = [sorted(dpp(pool, 2, seed).tolist()) for seed in range(draws)]
    found = np.array([seen.count(some) for some in sets])
    assert expected.min() > 1
    # 9 degrees of freedom: 27.9 is passed by chance once in 1,000.
    assert ((found - expected) ** 2 / expected).sum() < 27.9


def test_dpp_draws_more_rows_than_there_are_dimensions():
    pool = clusters(200, 0, d=4)
    rows = dpp(pool, 150, 0)
    assert len(np.unique(rows)) == 150


@pytest.mark.gpu
def test_facility_on_the_gpu_is_as_good():
    if not Path("/dev/nvidiactl").exists():
        pytest.skip("needs a CUDA device")
    pool = clusters(6_000, 1)
    rows = facility(pool, 300, 0)
    assert np.array_equal(rows, facility(pool, 300, 0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("torch.cuda.is_available", lambda: False)
        there = facility(pool, 300, 0)
    ours, theirs = (sum_served(pool.vectors, pool.importance, some) for some in (rows, there))
    assert ours == pytest.approx(theirs, rel=5e-3)
