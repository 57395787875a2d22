"""Weights are positive and bounded, and take position bias out of labels."""

import numpy as np
import polars as pl
import pytest
from assay.components.core.errors import BadInput
from assay.components.ingest.clicks.estimators import estimate
from assay.components.ingest.clicks.propensities import Propensities
from assay.components.ingest.clicks.weights import (
    corrected_pairs,
    effective_size,
    ips_weights,
    with_propensity,
)
from assay.components.ingest.tables import canonical
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ingest.clicks.logs import searches, shown

EXAMINED = np.array([1.0, 0.5, 0.25, 0.02])
KNOWN = Propensities("chosen", EXAMINED, np.ones(4), np.ones(4), 0.01, 0, -1.0)


def rows(**more):
    return shown(*((f"s{i}", "a", i + 1, 0) for i in range(4)), **({"clicked": [1.0, 1.0, 0.0, 1.0]} | more))


def test_a_click_weighs_one_over_its_propensity_over_the_mean_of_clicks():
    weighed = ips_weights(rows(), KNOWN, clip=10.0)
    mean = (1 + 2 + 10) / 3
    assert weighed.rows["weight"].to_list() == pytest.approx([1 / mean, 2 / mean, 1, 10 / mean])
    assert weighed.rows["examined"].to_list() == [1, 0.5, 0.25, 0.1]
    assert weighed.facts == {
        "method": "chosen", "clip": 10.0, "clipped": 1, "logged": 0, "without_position": 0, "clicks": 3,
        "effective_clicks": round(13**2 / 105, 3), "least": 1 / mean, "largest": 10 / mean,
    }  # fmt: skip


def test_the_propensity_of_the_log_comes_first():
    log = rows(propensity=[0.5, None, None, None])
    assert with_propensity(log, KNOWN).rows["examined"].to_list() == [0.5, 0.5, 0.25, 0.1]
    assert with_propensity(log, KNOWN).facts["logged"] == 1
    assert with_propensity(log, KNOWN, logged=False).rows["examined"].to_list() == [1, 0.5, 0.25, 0.1]


def test_wrong_propensities_and_clips_are_refused():
    for value in (0.0, 1.5, float("nan")):
        with pytest.raises(BadInput, match="not in \\(0, 1\\]"):
            with_propensity(rows(propensity=[value, None, None, None]), KNOWN)
    with pytest.raises(BadInput, match="clip"):
        with_propensity(rows(), KNOWN, clip=0.5)
    with pytest.raises(BadInput, match="no impression has clicked"):
        corrected_pairs(with_propensity(rows(clicked=[None] * 4), KNOWN))


def test_a_pair_is_clicked_as_often_as_it_was_looked_at():
    log = shown(
        ("s1", "a", 1, 0), ("s2", "a", 2, 0), ("s3", "b", 3, 0), clicked=[0.0, 1.0, 1.0], query=["q"] * 3
    )
    pairs = corrected_pairs(with_propensity(log, KNOWN))
    assert pairs.rows.select("item_id", "shown", "value", "looks").rows() == [
        ("a", 2, 1, 1.5),
        ("b", 1, 1, 0.25),
    ]
    assert pairs.rows["label"].to_list() == pytest.approx([1 / 1.5, 1.0])
    assert (pairs.facts["labels_clipped"], pairs.facts["pairs"]) == (1, 2)
    weight = np.array([1.5 / 21.5, 0.25 / 20.25])
    assert pairs.rows["weight"].to_list() == pytest.approx(weight / weight.mean())


def test_corrected_labels_are_nearer_the_truth_than_click_rates():
    log, attraction = searches((1.0, 0.6, 0.35, 0.2), items=8, times=400)
    found = corrected_pairs(with_propensity(log, estimate(log))).rows
    naive = log.group_by(asked="query", item_id="item_id").agg(rate=pl.col("clicked").mean())
    both = found.join(naive, on=["asked", "item_id"]).filter(pl.col("shown") >= 50)
    truth = attraction[both["asked"].cast(int).to_numpy(), both["item_id"].cast(int).to_numpy()]
    errors = [np.abs(both[name].to_numpy() - truth).mean() for name in ("label", "rate")]
    assert errors[0] < errors[1] / 3


def test_effective_size_of_equal_and_of_lone_weights():
    assert effective_size(np.full(7, 3.0)) == pytest.approx(7)
    assert effective_size(np.array([5.0, 0.0, 0.0])) == pytest.approx(1)
    assert effective_size(np.array([])) == 0


LOG = st.lists(
    st.tuples(
        st.sampled_from(["q", "r"]), st.sampled_from("abc"), st.one_of(st.none(), st.integers(1, 60)),
        st.sampled_from([0.0, 1.0]), st.one_of(st.none(), st.floats(1e-9, 1)),
    ),
    min_size=1,
)  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(log=LOG, clip=st.floats(1, 100), random=st.randoms(use_true_random=False))
def test_weights_are_positive_and_bounded_whatever_the_log(log, clip, random):
    def frame(log):
        names = ("query", "item_id", "position", "clicked", "propensity")
        columns = zip(names, zip(*log, strict=True), strict=True)
        return canonical("impressions", pl.DataFrame(dict(columns), strict=False))

    weighed = ips_weights(frame(log), KNOWN, clip)
    weight = weighed.rows["weight"].to_numpy()
    assert ((weight >= 1 / clip - 1e-12) & (weight <= clip + 1e-12)).all()
    assert 0 <= weighed.facts["effective_clicks"] <= weighed.facts["clicks"] + 1e-3
    assert weight[weighed.rows["clicked"] > 0].sum() == pytest.approx(weighed.facts["clicks"])
    pairs = corrected_pairs(weighed)
    assert pairs.rows["label"].is_between(0, 1).all()
    assert pairs.rows["weight"].is_between(0.01, 10).all()
    assert pairs.rows["shown"].sum() == len(log)
    again = corrected_pairs(ips_weights(frame(random.sample(log, len(log))), KNOWN, clip))
    assert pairs.rows.equals(again.rows)
    assert pairs.facts == again.facts
