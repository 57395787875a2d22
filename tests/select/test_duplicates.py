import numpy as np
import pandas as pd
import pytest
from assay.components.select.cells import SIZE, neighbours, pairs_above
from assay.components.select.duplicates import near_duplicates, normalised


def unit(x):
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def rows_of(labels, contexts=None, items=None):
    n = len(labels)
    return pd.DataFrame(
        {
            "task": "search",
            "context": contexts or ["q"] * n,
            "item": items or [f"item {i}" for i in range(n)],
            "label": labels,
        }
    )


def at(degrees):
    angles = np.deg2rad(degrees)
    return unit(np.c_[np.cos(angles), np.sin(angles)])


def test_words_that_differ_in_case_spaces_or_width_are_the_same():
    texts = pd.Series(["Red  Shoe", "red shoe ", "ＲＥＤ shoe", "red shoes"])
    assert normalised(texts).nunique() == 2


def test_rows_of_the_same_words_collapse_onto_the_most_important():
    rows = rows_of([1.0] * 4, items=["Red shoe", "red  SHOE", "blue shoe", "red shoe"])
    found = near_duplicates(rows, np.asarray([0.2, 0.9, 0.5, 0.9]), None, 0.95)
    assert found.twin.tolist() == [1, -1, -1, 1]
    assert (found.exact, len(found.conflicts)) == (2, 0)


def test_other_contexts_and_tasks_are_other_rows():
    rows = rows_of([1.0] * 3, contexts=["a", "b", "a"], items=["x"] * 3)
    rows["task"] = ["search", "search", "ads"]
    assert (near_duplicates(rows, np.ones(3), None, 0.95).twin == -1).all()


def test_a_chain_of_small_steps_does_not_collapse_as_a_whole():
    # 8 degrees apart: cosine 0.990; 16 degrees: 0.961.
    found = near_duplicates(rows_of([1.0] * 4), np.asarray([0.9, 0.1, 0.5, 0.2]), at([0, 8, 16, 24]), 0.98)
    assert found.twin.tolist() == [-1, 0, -1, 2]
    # The one in the middle, if it is kept, stands for both its neighbours.
    found = near_duplicates(rows_of([1.0] * 3), np.asarray([0.1, 0.9, 0.2]), at([0, 8, 16]), 0.98)
    assert found.twin.tolist() == [1, -1, 1]


def test_near_duplicates_of_different_labels_are_a_conflict_and_both_stay():
    found = near_duplicates(rows_of([1.0, 0.0, 1.0]), np.asarray([0.9, 0.5, 0.1]), at([0, 2, 5]), 0.99)
    assert found.twin.tolist() == [-1, -1, 0]
    assert found.conflicts[["first", "second"]].to_numpy().tolist() == [[0, 1], [1, 2]]
    facts = found.facts(pd.Series(["a", "b", "c"]))
    assert (facts["collapsed"], facts["conflicts"], facts["rows_in_conflict"]) == (1, 2, 3)
    assert [example[:2] for example in facts["conflict_examples"]] == [["a", "b"], ["b", "c"]]


@pytest.fixture(scope="module")
def many():
    """More rows than a handful of cells hold: clusters, and near twins of a third of the rows."""
    rng = np.random.default_rng(0)
    n = 12 * SIZE
    centres = rng.normal(size=(200, 32))
    vectors = unit(centres[rng.integers(0, 200, n)] + rng.normal(size=(n, 32)))
    twins = rng.choice(n, n // 3, replace=False)
    return np.concatenate([vectors, unit(vectors[twins] + rng.normal(scale=0.03, size=(len(twins), 32)))])


def test_pairs_are_found_within_cells(many):
    cosines = np.triu(many @ many.T, 1)
    expected = set(zip(*np.nonzero(cosines >= 0.95), strict=True))
    pairs, alike = pairs_above(many, 0.95, seed=0)
    found = {tuple(pair) for pair in pairs.tolist()}
    assert len(expected) > 1000
    assert found <= set(zip(*np.nonzero(cosines >= 0.95 - 1e-5), strict=True))
    assert len(found & expected) / len(expected) >= 0.99
    assert np.allclose(alike, cosines[pairs[:, 0], pairs[:, 1]], atol=1e-5)


def test_neighbours_are_the_nearest(many):
    found, alike = neighbours(many, 10, seed=0)
    some = np.arange(0, len(many), 97)
    expected = np.argsort(-(many[some] @ many.T), axis=1)[:, :10]
    hits = [len(set(a) & set(b)) for a, b in zip(found[some].tolist(), expected.tolist(), strict=True)]
    assert np.mean(hits) / 10 > 0.9
    assert (found[some, 0] == some).all()
    assert (np.diff(alike, axis=1) <= 1e-6).all()
