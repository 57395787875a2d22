"""Rows are computed once each, in an order of their own."""

from __future__ import annotations

import numpy as np
from assay.serving.api.contract import Item
from assay.serving.engine.scoring import best_first, each_once
from hypothesis import given
from hypothesis import strategies as st


@given(st.lists(st.text(max_size=3), min_size=1))
def test_each_row_is_computed_once_and_given_back_where_it_was_asked(rows):
    seen = []

    def compute(distinct):
        seen.extend(distinct)
        return np.array([len(row) * 2.0 for row in distinct])

    assert each_once(rows, compute).tolist() == [len(row) * 2.0 for row in rows]
    assert seen == sorted(set(rows))


@given(
    st.lists(
        st.tuples(st.text(min_size=1, max_size=2), st.sampled_from([0.5, -0.5, 1.0])),
        unique_by=lambda p: p[0],
    )
)
def test_best_first_falls_and_breaks_ties_by_id(pairs):
    items = [Item(item_id=key, item="x") for key, _ in pairs]
    ranked = best_first(items, [score for _, score in pairs])
    for better, worse in zip(ranked, ranked[1:], strict=False):
        assert (-better.score, better.item_id) < (-worse.score, worse.item_id)
    assert {(row.item_id, row.score) for row in ranked} == set(pairs)
