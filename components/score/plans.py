"""Plans: how much is spent on scores."""

from __future__ import annotations

from collections.abc import Sequence

BY_VECTORS = ("label_quality", "target_agreement", "knn_shapley")
"""Scores of plan `vectors`: no ranker is trained to score, and no row is passed through one."""
DEFAULT_METHODS = (*BY_VECTORS, "influence", "el2n", "margin", "loss")
"""Scores that are computed unless others are named."""
PLANS = {
    "vectors": BY_VECTORS,
    "default": DEFAULT_METHODS,
    # What tells something of its own for three forward passes or fewer. Left out: metagradient (four training
    # runs), effort, and grad_dot, grad_cos and influence_ekfac, which ask once more what influence asks.
    "full": (*DEFAULT_METHODS, "learnability", "segment_influence", "density", "duplicate_distance"),
}
"""{plan: methods}, each more than the one before. Of `full`, what has no default weight counts by weights
learned on the target."""


def smaller(methods: Sequence[str]) -> list[str]:
    """Plans that a run with these methods has paid for, and more: the dearest first."""
    return [name for name, plan in reversed(PLANS.items()) if set(plan) < set(methods)]
