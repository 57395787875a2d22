import itertools

import numpy as np
import pytest
from assay.components.core.errors import BadInput
from assay.components.select.coverage import COVERAGE, Pool, cover
from assay.components.select.coverage.dpp import eigenvectors
from assay.components.select.coverage.facility import greedy
from scipy.sparse import csc_array


def unit(x):
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def pool_of(n=120, d=6, seed=0):
    rng = np.random.default_rng(seed)
    ids = np.asarray([f"{value:032x}" for value in rng.permutation(n)])
    return Pool(ids, rng.random(n).round(2), unit(rng.normal(size=(n, d))))


@pytest.mark.parametrize("name", COVERAGE)
@pytest.mark.parametrize("count", [0, 1, 40, 119, 120])
def test_every_method_chooses_so_many_rows_whatever_their_order(name, count):
    pool = pool_of()
    chosen = cover(name, pool, count, seed=3)
    assert chosen.dtype == np.int64
    assert len(set(chosen.tolist())) == len(chosen) == count
    assert np.array_equal(chosen, np.sort(chosen))
    assert np.array_equal(chosen, cover(name, pool, count, seed=3))
    order = np.random.default_rng(1).permutation(120)
    shuffled = Pool(pool.ids[order], pool.importance[order], pool.vectors[order])
    assert set(pool.ids[chosen]) == set(shuffled.ids[cover(name, shuffled, count, seed=3)])


@pytest.mark.parametrize("name", [name for name, method in COVERAGE.items() if method.needs_vectors])
def test_a_method_that_compares_rows_says_that_it_needs_vectors(name):
    pool = pool_of()
    with pytest.raises(BadInput, match="needs the vectors"):
        cover(name, Pool(pool.ids, pool.importance), 5, 0)


def test_what_cannot_be_chosen_is_refused():
    pool = pool_of()
    with pytest.raises(BadInput, match="121 rows of a pool of 120"):
        cover("top", pool, 121, 0)
    with pytest.raises(BadInput, match="write one of top, ccs"):
        cover("best", pool, 1, 0)
    many = Pool(np.arange(2001).astype(str), np.zeros(2001), unit(np.ones((2001, 2))))
    with pytest.raises(BadInput, match="2001 rows are too many"):
        cover("dpp", many, 5, 0)


def test_random_methods_draw_anew_by_another_seed():
    pool = pool_of()
    for name in ("ccs", "dpp"):
        assert not np.array_equal(cover(name, pool, 40, 0), cover(name, pool, 40, 1))


def clusters():
    """Three clusters of 30, 20 and 10 rows, far apart, and one row alone."""
    rng = np.random.default_rng(0)
    centres = np.eye(4)
    sizes = [30, 20, 10, 1]
    vectors = np.concatenate(
        [centre + rng.normal(scale=0.02, size=(n, 4)) for centre, n in zip(centres, sizes, strict=True)]
    )
    return np.repeat(np.arange(4), sizes), unit(vectors)


def test_a_few_rows_stand_for_every_cluster():
    of, vectors = clusters()
    pool = Pool(np.arange(len(of)).astype(str), np.full(len(of), 0.5), vectors)
    assert sorted(of[cover("facility", pool, 3, 0)]) == [0, 1, 2]
    assert sorted(of[cover("k_centre", pool, 4, 0)]) == [0, 1, 2, 3]
    # Importance weighs whom a facility serves: the row alone, if it counts for more than a cluster.
    heavy = Pool(pool.ids, np.where(of == 3, 1.0, 0.02), vectors)
    assert 3 in of[cover("facility", heavy, 1, 0)]


def test_the_farthest_row_comes_next():
    angles = np.deg2rad([0, 10, 40, 90])
    pool = Pool(
        np.arange(4).astype(str),
        np.asarray([1.0, 0.9, 0.8, 0.7]),
        unit(np.c_[np.cos(angles), np.sin(angles)]),
    )
    assert cover("k_centre", pool, 2, 0).tolist() == [0, 3]
    assert cover("k_centre", pool, 3, 0).tolist() == [0, 2, 3]


def served_of(seed, n=12, m=9):
    rng = np.random.default_rng(seed)
    return rng.random((n, m)) * (rng.random((n, m)) < 0.6), rng.random(n)


@pytest.mark.parametrize("seed", range(5))
def test_lazy_greedy_is_greedy_and_near_the_optimum(seed):
    dense, worth = served_of(seed)

    def value(columns):
        return float(worth @ dense[:, list(columns)].max(1)) if columns else 0.0

    chosen = greedy(csc_array(dense), worth, 4).tolist()
    plain = []
    for _ in range(4):
        left = [c for c in range(dense.shape[1]) if c not in plain]
        plain.append(max(left, key=lambda c: (round(value([*plain, c]), 12), -c)))
    assert chosen == plain
    best = max(value(some) for some in itertools.combinations(range(dense.shape[1]), 4))
    assert value(chosen) >= (1 - 1 / np.e) * best


def test_coverage_leaves_the_least_important_rows_and_represents_the_others_alike():
    rng = np.random.default_rng(0)
    importance = np.concatenate([rng.uniform(0.8, 1.0, 900), rng.uniform(0.0, 0.8, 100)])
    pool = Pool(np.arange(1000).astype(str), importance)
    chosen = importance[cover("ccs", pool, 100, 0)]
    assert chosen.min() >= np.sort(importance)[99]
    # A tenth of the rows lie below 0.8, and of those chosen far more: bins count alike, not rows.
    assert (chosen < 0.82).mean() > 0.05
    assert (chosen < 0.9).mean() == pytest.approx((importance < 0.9).mean(), abs=0.15)


def test_eigenvectors_are_drawn_by_the_products_of_their_values():
    values = np.asarray([1.0, 2.0, 4.0])
    rng = np.random.default_rng(0)
    counts = {pair: 0 for pair in itertools.combinations(range(3), 2)}
    for _ in range(6000):
        counts[tuple(sorted(eigenvectors(np.log(values), 2, rng)))] += 1
    for pair, seen in counts.items():
        assert seen / 6000 == pytest.approx(values[list(pair)].prod() / 14.0, abs=0.02)


def test_a_determinantal_draw_avoids_rows_alike():
    # Two pairs of near twins: both of a pair are drawn together far more seldom than by chance (1 in 3).
    angles = np.deg2rad([0, 3, 90, 93])
    pool = Pool(np.arange(4).astype(str), np.full(4, 0.5), unit(np.c_[np.cos(angles), np.sin(angles)]))
    drawn = [tuple(cover("dpp", pool, 2, seed)) for seed in range(200)]
    assert sum(pair in ((0, 1), (2, 3)) for pair in drawn) < 10
