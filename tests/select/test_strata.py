import numpy as np
import pandas as pd
import pytest
from assay.components.core.errors import BadInput
from assay.components.select.lists import whole_lists
from assay.components.select.rules import Rules
from assay.components.select.shares import by_quotas
from assay.components.select.strata import places, quotas, strata_of
from hypothesis import given, settings
from hypothesis import strategies as st


def test_quotas_are_proportional_and_sum_up():
    found = quotas(pd.Series({"a": 60, "b": 30, "c": 10}), 33)
    assert found.sum() == 33
    assert found.tolist() == [20, 10, 3]


def test_who_is_below_the_floor_is_lifted_and_the_others_pay_in_proportion():
    sizes = pd.Series({"a": 600, "b": 300, "c": 10})
    assert quotas(sizes, 91, pd.Series({"a": 0, "b": 0, "c": 10})).to_dict() == {"a": 54, "b": 27, "c": 10}


@settings(deadline=None)
@given(st.data())
def test_quotas_keep_total_sizes_and_floors(data):
    sizes = pd.Series(data.draw(st.lists(st.integers(0, 10**6), min_size=1, max_size=8)))
    floors = pd.Series([data.draw(st.integers(0, min(size, 50))) for size in sizes])
    total = data.draw(st.integers(int(floors.sum()), int(sizes.sum())))
    plain, lifted = quotas(sizes, total), quotas(sizes, total, floors)
    for found in (plain, lifted):
        assert found.sum() == total
        assert (found <= sizes).all()
        assert (found >= 0).all()
    assert (lifted >= floors).all()
    # Nobody gains but up to a floor; nobody is a row or more off its proportion where no floor is.
    assert (lifted <= np.maximum(floors, plain + 1)).all()
    if total:
        assert (abs(plain - sizes * (total / sizes.sum())) < 1 + 1e-6).all()


def test_names_of_strata_are_sorted_and_labels_are_rounded():
    label = pd.Series([1, 1 / 3, 0.331, 0], dtype=np.float32)
    found = strata_of([pd.Series(["t", "s", "s", "s"]).astype("category"), label])
    assert found.names == ["s/0.0", "s/0.33", "t/1.0"]
    assert found.code.tolist() == [2, 1, 1, 0]


def test_places_are_by_worth_and_ties_by_order():
    assert places(np.array([1, 0, 1, 1, 0]), np.array([0.5, 0.1, 0.9, 0.5, 0.2])).tolist() == [2, 2, 1, 3, 1]


@st.composite
def rows(draw):
    n = draw(st.integers(1, 60))
    column = lambda values: draw(st.lists(st.sampled_from(values), min_size=n, max_size=n))  # noqa: E731
    table = pd.DataFrame(
        {
            "task": column(["search", "ads"]),
            "label": np.asarray(column([0.0, 0.5, 1.0]), dtype=np.float32),
            "segment": column(["a", "a", "a", "b", "c"]),
        }
    )
    return table, np.asarray(column([0.1, 0.2, 0.3, 0.9])), draw(st.integers(1, n))


@settings(deadline=None)
@given(rows(), st.sampled_from([0.0, 0.1, 0.34, 1, 3]), st.booleans())
def test_floors_of_segments_are_kept_and_totals_are_exact(drawn, floor, by_segment):
    table, worth, count = drawn
    sizes = table.groupby("segment").size()
    least = np.ceil(np.round(sizes * floor, 6)) if floor < 1 else sizes.clip(upper=floor)
    rules = Rules(floor=floor, by_segment=by_segment)
    if least.sum() > count:
        with pytest.raises(BadInput, match=f"floor {floor:g} needs {int(least.sum())} rows in sum"):
            by_quotas(table, worth, count, rules)
        return
    shares = by_quotas(table, worth, count, rules)
    assert shares.quota.sum() == count
    assert (shares.quota <= np.bincount(shares.code, minlength=len(shares.quota))).all()
    kept = table[shares.sure].groupby("segment").size().reindex(sizes.index, fill_value=0)
    assert (kept == least).all() or not floor
    # What is reserved fits into its stratum's quota, so that a choice can hold both.
    reserved = np.bincount(shares.code[shares.sure], minlength=len(shares.quota))
    assert (reserved <= shares.quota).all()


@settings(deadline=None)
@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=9), st.integers(1, 40), st.randoms(use_true_random=False)
)
def test_whole_lists_come_as_near_as_any_can(sizes, count, random):
    order = list(range(len(sizes)))
    random.shuffle(order)
    sizes = np.asarray(sizes)
    taken = whole_lists(sizes, np.asarray(order), count)
    every = (np.arange(2 ** len(sizes))[:, None] >> np.arange(len(sizes))) & 1
    sums = every @ sizes
    assert sizes[taken].sum() == sums[sums <= count].max()


def test_whole_lists_prefer_the_first():
    sizes, order = np.array([4, 3, 3, 2, 2]), np.array([0, 1, 2, 3, 4])
    assert np.flatnonzero(whole_lists(sizes, order, 7)).tolist() == [0, 1]
    # Three rows are left after the first two lists, which two others cannot fill better than the third.
    assert np.flatnonzero(whole_lists(sizes, order, 10)).tolist() == [0, 1, 2]
    assert np.flatnonzero(whole_lists(sizes, order, 9)).tolist() == [0, 1, 3]
    # 8 = 4 + 2 + 2: the second list is given back, since no list of one row is there.
    assert np.flatnonzero(whole_lists(sizes, order, 8)).tolist() == [0, 3, 4]
    assert whole_lists(sizes, order, 1).sum() == 0
