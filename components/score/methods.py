"""The methods by name: adding one touches one new file and one line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from assay.components.score import dynamics, influence, label_noise, neighbours
from assay.components.score.inputs import Inputs


@dataclass(frozen=True)
class Method:
    """A score: one number a training row.

    Attributes:
        compute: Inputs -> (n,) float64, finite, in the order of `Inputs.samples`.
        cost: In forward passes F a row.
        higher_is_better: Whether a high score speaks for keeping the row.
        by_ranker: Whether the warm-up rankers give it, so that rows are comparable only under one of them.
        words: What a low-ranked row is told, in words.
    """

    compute: Callable[[Inputs], np.ndarray]
    cost: str
    higher_is_better: bool
    by_ranker: bool
    words: str


METHODS: dict[str, Method] = {
    "label_quality": Method(
        label_noise.label_quality, "0 F", True, False, "rows like it carry another label"
    ),
    "target_agreement": Method(
        neighbours.target_agreement, "0 F", True, False, "its nearest trusted rows carry another label"
    ),
    "knn_shapley": Method(
        neighbours.knn_shapley,
        "0 F",
        True,
        False,
        "it is of little use to a nearest-neighbour ranker of the target",
    ),
    "influence": Method(influence.influence, "1 F", True, True, "training on it raises the target's loss"),
    "el2n": Method(dynamics.el2n, "1 F", False, True, "the warm-up ranker is far from its label"),
    "margin": Method(dynamics.margin, "1 F", True, True, "the warm-up ranker leans to the other label"),
    "loss": Method(dynamics.loss, "1 F", False, True, "the warm-up ranker finds it hard"),
    "learnability": Method(
        dynamics.learnability,
        "1 F",
        True,
        True,
        "the target does not teach its label, or it is learnt already",
    ),
    "influence_ekfac": Method(
        influence.influence_ekfac, "1 F", True, True, "training to convergence on it raises the target's loss"
    ),
    "segment_influence": Method(
        influence.segment_influence, "3 F", True, True, "training on it raises the loss of its own segment"
    ),
    "grad_dot": Method(influence.grad_dot, "1 F", True, True, "a step on it raises the target's loss"),
    "grad_cos": Method(influence.grad_cos, "3 F", True, True, "a step on it goes against the target"),
    "density": Method(neighbours.density, "0 F", True, False, "it is like no other row"),
    "duplicate_distance": Method(
        neighbours.duplicate_distance, "0 F", True, False, "another row says nearly the same"
    ),
    "effort": Method(influence.effort, "3 F", True, True, "it asks little of the training"),
    "random": Method(lambda inputs: inputs.random(), "0 F", True, False, "chance"),
}
