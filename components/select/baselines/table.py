"""The baselines by name: adding one touches one file and one line here. An arm is named by each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from assay.components.core.errors import BadInput
from assay.components.select.baselines import by_score, cleanlab_filter, dsir, plain, rds, trusted
from assay.components.select.baselines.given import Given

NEEDS: dict[str, tuple[Callable[[Given], bool], str]] = {
    "scores": (lambda given: given.scores is not None, "the rows were not scored: hand over the scores"),
    "vectors": (
        lambda given: given.vectors is not None and given.features is not None,
        "the rows have no vectors: hand over what `embed` wrote",
    ),
    "target": (lambda given: len(given.target) > 0, "the target has no rows: give the split `target` some"),
}
"""{what a baseline may need: (whether it is there, what is said where it is not)}."""


@dataclass(frozen=True)
class Baseline:
    """A way to choose training rows that somebody would take instead.

    Attributes:
        choose: (given, count, seed) -> ids of distinct rows: `count` training rows, or where `trusted`, as it
            says itself.
        words: For the report: which rows these are.
        needs: Of `NEEDS`, what it cannot do without.
        trusted: Whether rows of the target are among them.
    """

    choose: Callable[[Given, int, int], np.ndarray]
    words: str
    needs: tuple[str, ...] = ()
    trusted: bool = False


BASELINES: dict[str, Baseline] = {
    "stratified": Baseline(plain.stratified, "random rows, each label in its proportion"),
    "length": Baseline(plain.length, "the rows with the longest texts"),
    "loss": Baseline(
        by_score.loss,
        "the rows that the warm-up ranker gets most wrong: hard ones, and wrong labels among them",
        ("scores",),
    ),
    "el2n": Baseline(
        by_score.el2n,
        "the rows of the largest error (EL2N); the same as by loss where labels are 0 and 1",
        ("scores",),
    ),
    "dsir": Baseline(dsir.dsir, "rows that use the words of the trusted rows (DSIR)", ("target",)),
    "rds": Baseline(
        rds.rds, "rows most similar to the trusted rows, picked in turn (RDS+)", ("vectors", "target")
    ),
    "cleanlab": Baseline(
        cleanlab_filter.cleanlab, "random rows among those that cleanlab does not flag", ("vectors",)
    ),
    "target_only": Baseline(trusted.target_only, "the trusted rows alone, all of them", ("target",), True),
    "random_target": Baseline(
        trusted.random_target, "the random control and all trusted rows, more rows in sum", ("target",), True
    ),
}


def pick(name: str, given: Given, count: int, seed: int) -> np.ndarray:
    """Ids of the rows of a baseline, in order.

    Args:
        name: Of `BASELINES`.
        given: What it may look at.
        count: Training rows to take; those that are `trusted` say what they make of it.
        seed: Of random draws.

    Returns:
        (m,) sample ids, distinct, sorted; training rows but where `trusted`, `count` of them.

    Raises:
        BadInput: There is no such baseline, what it needs is not there, or there are too few rows.
    """
    if name not in BASELINES:
        raise BadInput(f"arm {name}: no baseline of that name; known: {', '.join(BASELINES)}")
    for need in BASELINES[name].needs:
        there, words = NEEDS[need]
        if not there(given):
            raise BadInput(f"arm {name}: {words}")
    if not 1 <= count <= len(given.samples):
        raise BadInput(f"arm {name}: {count} rows of {len(given.samples)} training rows; name another budget")
    return np.sort(BASELINES[name].choose(given, count, seed))
