"""Behaviour told by other rows: worked out by hand, blind to a row's own label and to the future."""

import numpy as np
import pandas as pd
import pytest
from assay.components.embed.behaviour import PRIOR, behaviour, likeness, others

E = np.eye(3)


def rows(labels, times=None, **columns):
    n = len(labels)
    table = {
        "group_id": ["a", "a", "a", "b", "b"][:n], "item_id": ["x", "y", "x", "x", "z"][:n],
        "label": labels, "position": None, "features": None,
        "timestamp": pd.Series([pd.NaT] * n if times is None else times),
    }  # fmt: skip
    return pd.DataFrame(table | columns)


def test_others_leave_the_row_out_and_the_rows_that_may_not_be_looked_at():
    keys, values = np.array([0, 0, 1, 0]), np.array([[1.0], [2.0], [4.0], [8.0]])
    assert others(keys, values, None, np.array([1, 1, 1, 0], dtype=bool))[:, 0].tolist() == [2, 1, 0, 3]
    times = np.array([5, 3, 1, 5])
    assert others(keys, values, times, np.ones(4, dtype=bool))[:, 0].tolist() == [2, 0, 0, 2]


def test_likeness_to_what_the_list_took_is_the_cosine_to_the_others_mean():
    group, right = np.zeros(3, dtype=np.int64), np.array([0, 1, 0])
    found = likeness(group, E, right, np.array([1.0, 1.0, 1.0]), None)
    assert found == pytest.approx([1 / np.sqrt(2), 0.0, 1 / np.sqrt(2)])
    assert np.isnan(likeness(group, E, right, np.array([1.0, 0.0, 0.0]), None)[0])


def test_how_often_an_item_is_taken_is_a_shrunken_share_of_its_other_rows():
    labels = [1.0, 0.0, 1.0, 0.0, 0.0]
    found = behaviour(rows(labels), E, np.array([0, 1, 0, 0, 2]), np.ones(5, dtype=bool))
    mean = 1 / 4  # of the other four rows, of which one is taken
    assert found["how often the item is taken elsewhere"][0] == pytest.approx(
        (1 + PRIOR * mean) / (2 + PRIOR)
    )
    assert found["how often the item is shown elsewhere"].tolist() == pytest.approx(np.log1p([2, 0, 2, 2, 0]))
    assert found["how much its list takes"].tolist() == [0.5, 1.0, 0.5, 0.0, 0.0]


@pytest.mark.parametrize("timed", [False, True])
def test_no_row_is_told_its_own_label_nor_a_later_one(timed):
    rng = np.random.default_rng(0)
    n, vectors = 60, rng.normal(size=(10, 4))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    right = rng.integers(0, 10, n)
    times = pd.Timestamp("2025-01-01") + pd.to_timedelta(rng.permutation(n), unit="h") if timed else None
    table = pd.DataFrame(
        {
            "group_id": rng.integers(0, 5, n).astype(str), "item_id": right.astype(str),
            "label": rng.integers(0, 2, n).astype(float), "timestamp": times if timed else pd.NaT,
        }
    )  # fmt: skip
    fit = np.ones(n, dtype=bool)
    before = behaviour(table, vectors, right, fit)
    for row in (3, 17):
        changed = table.assign(label=table["label"].where(table.index != row, 1 - table["label"]))
        after = behaviour(changed, vectors, right, fit)
        blind = np.arange(n) == row
        if timed:
            blind |= (
                (times < times[row]) if not isinstance(times, pd.Series) else (times < times[row]).to_numpy()
            )
        for words in before:
            assert np.allclose(before[words][blind], after[words][blind], equal_nan=True), words
        assert any(not np.allclose(before[w], after[w], equal_nan=True) for w in before)


def test_each_key_is_a_feature_in_words_and_a_price_is_set_against_its_list():
    maps = [[("price", p), ("cart_adds", 3.0)] for p in (10.0, 20.0, 40.0)]
    found = behaviour(rows([1.0, 0.0, 0.0], features=maps), E, np.zeros(3, dtype=int), np.ones(3, dtype=bool))
    assert found["price against its list's"].tolist() == pytest.approx(np.log([0.5, 1, 2]))
    assert found["cart adds"].tolist() == pytest.approx([np.log(4)] * 3)
    assert "place in the list" not in found


def test_a_row_without_a_time_has_no_past_in_a_log_of_times():
    times = pd.to_datetime(["2025-01-01", None, "2025-01-02"], utc=True)
    found = behaviour(rows([1.0, 1.0, 0.0], times), E, np.zeros(3, dtype=int), np.ones(3, dtype=bool))
    assert np.isnan(found["likeness to what its list took"]).tolist() == [True, True, False]
    assert found["age of the row"][[0, 2]].tolist() == pytest.approx([np.log(2), 0.0])


def test_labels_of_rows_that_may_not_be_looked_at_change_nothing():
    fit, right = np.array([1, 1, 1, 0, 0], dtype=bool), np.array([0, 1, 0, 0, 2])
    one, other = (behaviour(rows([1.0, 0.0, 1.0, *rest]), E, right, fit) for rest in ([0.0, 1.0], [1.0, 0.0]))
    for words in one:
        assert np.array_equal(one[words], other[words], equal_nan=True), words
