"""Names that a configuration may hold, without importing the steps that know what they mean."""

from __future__ import annotations

from assay.components.score.plans import BY_VECTORS

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
LEAST = {"bi": 0, "cross": 1_000}
"""Rows that the budget `auto` gives at least: a new head wants more than its curve can see."""
