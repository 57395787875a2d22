"""Names that a configuration may hold, without importing the steps that know what they mean."""

from __future__ import annotations

BY_VECTORS = ("label_quality", "target_agreement", "knn_shapley")
"""Scores of plan `vectors`: no ranker is trained to score, and no row is passed through one."""
DEFAULT_METHODS = (*BY_VECTORS, "influence", "el2n", "margin", "loss")
"""Scores that are computed unless others are named."""
ON_REQUEST = (
    "learnability",
    "influence_ekfac",
    "segment_influence",
    "grad_dot",
    "grad_cos",
    "metagradient",
    "density",
    "duplicate_distance",
    "effort",
    "random",
)
"""The others: dearer, or of use for a question of their own."""
PLANS = {
    "vectors": BY_VECTORS,
    "default": DEFAULT_METHODS,
    # What tells something of its own for three forward passes or fewer. Left out: metagradient (four training
    # runs), effort, and grad_dot, grad_cos and influence_ekfac, which ask once more what influence asks.
    "full": (*DEFAULT_METHODS, "learnability", "segment_influence", "density", "duplicate_distance"),
}
"""{plan: methods}. Of `full`, what has no default weight counts by weights learned on the target."""
RANKERLESS = (*BY_VECTORS, "density", "duplicate_distance", "random")
"""Methods that need no ranker; where no others are computed, no warm-up is trained."""
TUNED = ("learnability",)
"""Methods that ask a ranker trained on the target."""
WEIGHTED = ("label_quality", "target_agreement", "knn_shapley", "el2n", "influence")
"""Methods that count in importance unless weights are given."""
TRAITS = ("category", "tags", "behaviour")
"""Families of traits."""
BASELINES = (
    *("stratified", "length", "loss", "el2n", "dsir", "rds"),
    *("cleanlab", "target_only", "random_target"),
)
"""Arms of rows that somebody would take otherwise, each of which costs a training."""
BY_SCORE = ("loss", "el2n")
"""Baselines that are a score's, which must be among the methods."""
CURVE_ARMS = ("challenger", "control", "full", *BASELINES)
"""What a budget curve can be drawn of."""
POINTS = ("full", "target_only")
"""Arms whose rows are the same whatever the budget: a point of the curve."""
LEARNING_RATES = {"bi": 2e-3, "cross": 5e-4}
"""A bi-encoder starts from what its encoder knows; a cross-encoder's new head is lost at larger steps."""
