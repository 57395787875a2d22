import numpy as np
import pandas as pd
import pytest
from assay.components.core.errors import BadInput
from assay.components.select import duplicates
from assay.components.select.duplicates import (
    conflicts,
    near_duplicates,
    near_pairs,
    normalised,
    representative_of,
)
from hypothesis import given, settings
from hypothesis import strategies as st


def unit(matrix):
    return (matrix / np.linalg.norm(matrix, axis=1, keepdims=True)).astype(np.float32)


def at_angles(*degrees):
    """Rows on the unit circle; the cosine of two is that of the angle between them."""
    radians = np.radians(np.asarray(degrees, dtype=np.float64))
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def planted(n, families, seed, d=48):
    """n rows in clusters, the first 2 * families of them pairs with a cosine of 0.90 to 1."""
    rng = np.random.default_rng(seed)
    centres = unit(rng.normal(size=(n // 50, d)))
    rows = unit(centres[rng.integers(len(centres), size=n)] + unit(rng.normal(size=(n, d))))
    for i in range(families):
        cosine = rng.uniform(0.90, 1.0)
        away = rng.normal(size=d)
        away -= (away @ rows[2 * i]) * rows[2 * i]
        rows[2 * i + 1] = cosine * rows[2 * i] + np.sqrt(1 - cosine**2) * away / np.linalg.norm(away)
    return unit(rows)


def ids_of(n):
    return [f"r{i:06d}" for i in range(n)]


def test_texts_that_differ_in_nothing_that_matters():
    texts = [
        ("Red  Shoe", "Nike ﬁt\tAir"),
        ("red shoe", "NIKE fit air"),
        ("red shoe", "nike fit air max"),
        ("red shoe nike", "fit air"),  # the words of the first two, cut at another place
        ("STRASSE", "x"),
        ("straße", "X "),
    ]
    found = near_duplicates(ids_of(6), None, texts)
    assert found.tolist() == [0, 0, 2, 3, 4, 4]
    assert found.dtype == np.int64
    assert normalised(" Ｆｕｌｌ　Width ") == "full width"


def test_vectors_at_and_below_the_threshold():
    # 18.19 degrees is a cosine of 0.95.
    assert near_duplicates(ids_of(4), at_angles(0, 18, 90, 108.4), None).tolist() == [0, 0, 2, 3]
    assert near_duplicates(ids_of(2), at_angles(0, 30), None, threshold=0.86).tolist() == [0, 0]
    assert near_duplicates(ids_of(2), at_angles(40, 40), None, threshold=1.0).tolist() == [0, 0]


def test_vectors_and_texts_join_rows_together():
    texts = [("a", "1"), ("b", "2"), ("B", "2 "), ("c", "3")]
    assert near_duplicates(ids_of(4), at_angles(0, 10, 90, 180), texts).tolist() == [0, 0, 0, 3]


def test_other_contexts_can_be_left_out():
    texts = [("q", "1"), ("Q ", "2"), ("other", "3"), ("other", "4")]
    vectors = at_angles(0, 10, 5, 5)
    assert near_duplicates(ids_of(4), vectors, texts).tolist() == [0, 0, 0, 0]
    assert near_duplicates(ids_of(4), vectors, texts, across_contexts=False).tolist() == [0, 0, 2, 2]
    with pytest.raises(BadInput, match="texts are missing"):
        near_duplicates(ids_of(4), vectors, None, across_contexts=False)


@pytest.mark.parametrize("threshold", [0.0, -1, 1.1, float("nan")])
def test_a_threshold_that_means_nothing(threshold):
    with pytest.raises(BadInput, match="threshold"):
        near_duplicates(ids_of(1), at_angles(0), None, threshold)


def test_as_many_vectors_as_rows():
    with pytest.raises(BadInput, match="1 vectors of 2 rows"):
        near_duplicates(ids_of(2), at_angles(0), None)


def test_cells_miss_few_of_the_pairs_and_invent_none():
    vectors = planted(6_000, 2_500, seed=1)
    alike = vectors @ vectors.T
    expected = {(i, j) for i, j in np.argwhere(alike >= 0.95).tolist() if i < j}
    found = {
        (i, j)
        for left, right in near_pairs(vectors, 0.95, 0)
        for i, j in zip(left.tolist(), right.tolist(), strict=True)
    }
    assert len(expected) > 1_000
    assert len(found & expected) >= 0.99 * len(expected)
    assert all(alike[i, j] >= 0.95 - 1e-5 for i, j in found - expected)


def test_neither_the_order_of_rows_nor_memory_changes_anything(monkeypatch):
    vectors, ids = planted(6_000, 1_500, seed=2), np.array(ids_of(6_000), dtype=object)
    found = near_duplicates(ids, vectors, None, seed=3)
    assert 500 < (found != np.arange(6_000)).sum() < 1_500
    order = np.random.default_rng(0).permutation(6_000)
    assert np.array_equal(near_duplicates(ids[order], vectors[order], None, seed=3), found[order])
    monkeypatch.setattr(duplicates, "_EDGES", 1_000)
    assert np.array_equal(near_duplicates(ids, vectors, None, seed=3), found)


def test_a_thousand_equal_rows_are_one_component():
    vectors = np.concatenate([np.repeat(at_angles(0), 5_000, axis=0), at_angles(90, 91)])
    assert near_duplicates(ids_of(5_002), vectors, None).tolist() == [0] * 5_000 + [5_000, 5_000]


CHAIN = at_angles(0, 15, 30, 45, 60)
"""Each row is within 18.19 degrees of the next and of no other."""


@pytest.mark.parametrize(
    ("importance", "onto"),
    [
        ([0.1, 0.9, 0.2, 0.8, 0.3], [1, 1, 1, 3, 3]),  # two stand for the others
        ([0.9, 0.1, 0.8, 0.1, 0.7], [0, 0, 2, 2, 4]),  # the ends and the middle
        ([0.1, 0.2, 0.9, 0.2, 0.1], [0, 2, 2, 2, 4]),  # the middle: the ends are no duplicates of it
        ([0.5, 0.5, 0.5, 0.5, 0.5], [0, 0, 2, 2, 4]),  # ties by id
    ],
)
def test_a_chain_is_one_component_and_drags_nobody_along(importance, onto):
    components = near_duplicates(ids_of(5), CHAIN, None)
    assert components.tolist() == [0] * 5
    found = representative_of(components, np.array(importance), ids_of(5), vectors=CHAIN)
    assert found.tolist() == onto
    kept = representative_of(components, np.array(importance), ids_of(5), vectors=CHAIN) == np.arange(5)
    assert kept.tolist() == [row == i for i, row in enumerate(onto)]


def test_the_most_important_of_a_component_and_ties_by_id():
    components = np.array([0, 0, 0, 3, 4, 4])
    importance = np.array([0.2, 0.9, 0.9, 0.1, 0.5, 0.5])
    kept = representative_of(components, importance, ["a", "c", "b", "d", "f", "e"]) == np.arange(6)
    assert kept.tolist() == [False, False, True, True, False, True]


def test_a_row_of_another_label_is_never_collapsed():
    components, importance = np.zeros(5, dtype=np.int64), np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    labels = np.array([1.0, 0.0, 1.0, 0.0, 0.5])
    assert representative_of(components, importance, ids_of(5), labels).tolist() == [0, 1, 0, 1, 4]


def test_equal_texts_collapse_whatever_their_vectors():
    texts, vectors = [("a", "X"), ("A", "x"), ("a", "y")], at_angles(0, 90, 10)
    components = near_duplicates(ids_of(3), vectors, texts)
    importance = np.array([0.9, 0.8, 0.7])
    assert components.tolist() == [0, 0, 0]
    assert representative_of(components, importance, ids_of(3), None, vectors, texts).tolist() == [0, 0, 0]
    assert representative_of(components, importance, ids_of(3), None, vectors).tolist() == [0, 1, 0]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.sampled_from([2, 3, 1024]))
def test_what_holds_of_all_representatives(seed, n, at_once):
    """A row is kept or a near-duplicate, of the same label, of a kept row that is no less important."""
    rng = np.random.default_rng(seed)
    vectors, labels = at_angles(*rng.uniform(0, 180, n)), rng.integers(0, 2, n).astype(float)
    importance, ids = rng.integers(0, 5, n) / 4, np.array(ids_of(n), dtype=object)
    components = near_duplicates(ids, vectors, None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "_AT_ONCE", at_once)
        onto = representative_of(components, importance, ids, labels, vectors)
    assert (onto[onto] == onto).all()
    assert (components[onto] == components).all()
    assert (labels[onto] == labels).all()
    assert (importance[onto] >= importance).all()
    assert ((vectors * vectors[onto]).sum(axis=1) >= 0.95 - 1e-5).all()
    kept = np.flatnonzero(onto == np.arange(n))
    alike = (vectors[kept] @ vectors[kept].T > 0.95 + 1e-5) & (labels[kept][:, None] == labels[kept])
    assert alike.sum() == len(kept)  # each of itself alone
    order = rng.permutation(n)
    again = representative_of(components[order], importance[order], ids[order], labels[order], vectors[order])
    assert np.array_equal(order[again], onto[order])


def test_conflicts_name_the_rows_in_the_minority():
    components = np.array([0, 0, 0, 3, 3, 5, 5, 5, 5, 9])
    labels = np.array([1, 1, 0, 0.5, 0.5, 1, 0, 0, 1, 1])
    found = conflicts(components, labels, list("cbajihgfed"))
    expected = pd.DataFrame(
        {
            "first": ["a", "e"],
            "size": [3, 4],
            "smallest": [0.0, 0.0],
            "largest": [1.0, 1.0],
            "majority": [1.0, np.nan],
            "minority": [["a"], ["e", "f", "g", "h"]],
        }
    )
    pd.testing.assert_frame_equal(found, expected)
    none = conflicts(np.array([0, 0]), np.array([1, 1]), ["a", "b"])
    assert (len(none), list(none)) == (0, list(expected))
