"""How an order is made of scores."""

from __future__ import annotations

import numpy as np
from assay.serving.api.routes import best_first
from assay.serving.engine.diversity import maximal_marginal_relevance
from hypothesis import given
from hypothesis import strategies as st

scored = st.dictionaries(st.text(min_size=1, max_size=2), st.sampled_from([0.5, -0.5, 1.0]), min_size=1)


@given(scored)
def test_best_first_falls_and_breaks_ties_by_id(scores):
    ids = list(scores)
    order = best_first(np.array(list(scores.values())), ids)
    assert sorted(order) == list(range(len(ids)))
    keys = [(-scores[ids[i]], ids[i]) for i in order]
    assert keys == sorted(keys)


def by_mmr(logits, vectors, diversity, k, ids) -> list[int]:
    return maximal_marginal_relevance(logits, vectors, diversity, k, best_first(logits, ids))


@given(scored, st.integers(1, 5))
def test_without_diversity_mmr_is_the_order_by_score(scores, k):
    ids, values = list(scores), np.array(list(scores.values()))
    assert by_mmr(values, np.eye(len(ids)), 0.0, k, ids) == best_first(values, ids)[:k]


def test_mmr_takes_the_best_and_then_what_is_unlike_it():
    vectors = np.array([[1, 0], [0.99, np.sqrt(1 - 0.99**2)], [0, 1.0]])
    logits = np.array([2.0, 1.9, 0.5])
    assert by_mmr(logits, vectors, 0.0, 3, ["a", "b", "c"]) == [0, 1, 2]
    # By hand at 0.5: b is worth 0.5 * 0.870 - 0.5 * 0.99 = -0.06, c 0.5 * 0.622 - 0 = 0.31.
    assert by_mmr(logits, vectors, 0.5, 3, ["a", "b", "c"]) == [0, 2, 1]
    # By hand at 0.1: b 0.9 * 0.870 - 0.099 = 0.684, c 0.9 * 0.622 = 0.560.
    assert by_mmr(logits, vectors, 0.1, 2, ["a", "b", "c"]) == [0, 1]


def test_mmr_does_not_depend_on_the_order_of_the_request():
    rng = np.random.default_rng(0)
    for n in rng.integers(2, 40, 200):
        # Twins among them, whose products differ in the last digit by where they stand.
        vectors = rng.standard_normal((n, 16)).astype(np.float32)[rng.integers(0, n, n)]
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        logits, ids = rng.integers(-3, 3, n).astype(np.float32), np.array([str(i) for i in range(n)])
        turned = rng.permutation(n)
        one = by_mmr(logits, vectors, 0.5, n, ids)
        other = by_mmr(logits[turned], vectors[turned], 0.5, n, ids[turned])
        assert ids[one].tolist() == ids[turned][other].tolist()
