"""The methods by name: adding one touches one new file and one line here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from assay.components.score import dynamics, label_noise, neighbours
from assay.components.score.inputs import Inputs

NEEDS: dict[str, tuple[Callable[[Inputs], object], str]] = {
    "rankers": (
        lambda inputs: inputs.warm_ups,
        "no warm-up ranker was given: train one on a share of the rows",
    ),
    "vectors": (lambda inputs: inputs.features.shape[1], "the rows have no features: embed them"),
    "tuned": (
        lambda inputs: inputs.tuned,
        "no ranker was trained on the target: hand over the warm-up `target` too, or leave the method out",
    ),
    "target": (lambda inputs: len(inputs.target), "the target has no rows: give the split `target` some"),
}
"""{what a method may need: (whether it is there, what is said where it is not)}."""


@dataclass(frozen=True)
class Method:
    """A score: one number a training row.

    Attributes:
        compute: Inputs -> (n,) float64, finite, in the order of `Inputs.samples`.
        cost: In forward passes F a row.
        higher_is_better: Whether a high score speaks for keeping the row.
        by_ranker: Whether the warm-up rankers give it, so that rows are comparable only under one of them.
        words: What a low-ranked row is told, in words.
        needs: Of `NEEDS`, what it cannot do without, beside what `by_ranker` says.
        version: Raised whenever its numbers change: what a store holds of an older one is measured anew.
        jointly: Whether a row's score depends on which others are scored with it, so that no shard can be
            measured alone.
    """

    compute: Callable[[Inputs], np.ndarray]
    cost: str
    higher_is_better: bool
    by_ranker: bool
    words: str
    needs: tuple[str, ...] = ()
    version: int = 1
    jointly: bool = False

    @property
    def measured(self) -> bool:
        """Whether `measure` computes it, shard by shard."""
        return self.by_ranker and not self.jointly


def _gradients(name: str) -> Callable[[Inputs], np.ndarray]:
    """A function of `influence`, whose imports take seconds that plans without it need not spend."""

    def compute(inputs: Inputs) -> np.ndarray:
        from assay.components.score import influence

        return getattr(influence, name)(inputs)

    return compute


METHODS: dict[str, Method] = {
    "label_quality": Method(
        label_noise.label_quality, "0 F", True, False, "rows like it carry another label", ("vectors",)
    ),
    "target_agreement": Method(
        neighbours.target_agreement,
        "0 F",
        True,
        False,
        "its nearest trusted rows carry another label",
        ("vectors", "target"),
    ),
    "knn_shapley": Method(
        neighbours.knn_shapley,
        "0 F",
        True,
        False,
        "it is of little use to a nearest-neighbour ranker of the target",
        ("vectors", "target"),
    ),
    "influence": Method(
        _gradients("influence"), "1 F", True, True, "training on it raises the target's loss", ("target",), 2
    ),
    "el2n": Method(dynamics.el2n, "1 F", False, True, "the warm-up ranker is far from its label"),
    "margin": Method(dynamics.margin, "1 F", True, True, "the warm-up ranker leans to the other label"),
    "loss": Method(dynamics.loss, "1 F", False, True, "the warm-up ranker finds it hard"),
    "learnability": Method(
        dynamics.learnability,
        "1 F",
        True,
        True,
        "the target does not teach its label, or it is learnt already",
        ("tuned",),
    ),
    "influence_ekfac": Method(
        _gradients("influence_ekfac"),
        "1 F",
        True,
        True,
        "training to convergence on it raises the target's loss",
        ("target",),
        2,
    ),
    "segment_influence": Method(
        _gradients("segment_influence"),
        "3 F",
        True,
        True,
        "training on it raises the loss of its own segment",
        ("target",),
    ),
    "grad_dot": Method(
        _gradients("grad_dot"), "1 F", True, True, "a step on it raises the target's loss", ("target",), 2
    ),
    "grad_cos": Method(
        _gradients("grad_cos"), "3 F", True, True, "a step on it goes against the target", ("target",)
    ),
    "metagradient": Method(
        _gradients("metagradient"),
        "4 training runs",
        True,
        True,
        "leaving it out of the training lowers the target's loss",
        ("target",),
        jointly=True,
    ),
    "density": Method(neighbours.density, "0 F", True, False, "it is like no other row", ("vectors",)),
    "duplicate_distance": Method(
        neighbours.duplicate_distance, "0 F", True, False, "another row says nearly the same", ("vectors",)
    ),
    "effort": Method(_gradients("effort"), "3 F", True, True, "it asks little of the training"),
    "random": Method(lambda inputs: inputs.random(), "0 F", True, False, "chance"),
}


def check_methods(names: Sequence[str]) -> None:
    """Refuse names that are not in the table.

    Raises:
        ValueError: Some are unknown.
    """
    unknown = sorted(set(names) - set(METHODS))
    if unknown:
        raise ValueError(f"unknown methods {', '.join(unknown)}; known: {', '.join(METHODS)}")


def compute(inputs: Inputs, name: str) -> np.ndarray:
    """A method's score of every row, checked. (n,) float64.

    Raises:
        ValueError: What it needs is not there, or it gave numbers that are not finite, or not one a row.
    """
    method = METHODS[name]
    for need in (*(("rankers",) if method.by_ranker else ()), *method.needs):
        there, words = NEEDS[need]
        if not there(inputs):
            raise ValueError(f"method {name}: {words}")
    values = np.asarray(method.compute(inputs), dtype=np.float64)
    if values.shape != (len(inputs.samples),) or not np.isfinite(values).all():
        raise ValueError(
            f"method {name} gave {values.shape} values, {int((~np.isfinite(values)).sum())} not finite"
        )
    return values
