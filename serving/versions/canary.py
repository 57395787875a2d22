"""What a version scored on its canary set when it was registered, and what it scores here and now."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from assay.components.core.metrics import METRICS, gained, paired_bootstrap
from assay.serving.versions.bundle import Bundle
from assay.serving.versions.canary_set import CanarySet
from assay.serving.versions.opened import Opened, full_precision
from assay.serving.versions.probe import odd

RESAMPLES = 2000


@dataclass(frozen=True)
class Compared:
    """How a version did on its canary set.

    Attributes:
        objection: Why it must not serve; "" where it may.
        metric: Which one; "" where there is no set.
        value: The version's, here and now.
        registered: The same when it was registered.
        current: That of the version in service, on the same rows; None where there is none.
        apart: Largest difference of a score from the registered one.
    """

    objection: str = ""
    metric: str = ""
    value: float = 0.0
    registered: float = 0.0
    current: float | None = None
    apart: float = 0.0


def compare(
    canary: CanarySet,
    backend: str,
    scores: np.ndarray,
    current: np.ndarray | None,
    tolerance: float,
    difference: float,
) -> Compared:
    """Judge scores of a version on its canary set.

    The version passed its gates when it was promoted. This finds what happened since: a broken file, another
    tokenizer, a backend that computes something else. So being worse than the version in service counts only
    where it is by more than `tolerance`, and by more than chance: on 64 lists, that alone is often 0.02.

    Args:
        canary: The set.
        backend: That computed the scores.
        scores: (n,) of the version.
        current: (n,) of the version in service; None where there is none.
        tolerance: By how much the metric may be worse.
        difference: By how much a score of an fp32 backend may differ from the registered one.
    """
    if objection := odd(scores, canary.registered):
        return Compared(objection, canary.metric)
    lists, metric = canary.lists, canary.metric
    sign = 1 if METRICS[metric].greater_is_better else -1
    value, registered = (lists.value(s.astype(np.float64), metric) for s in (scores, canary.registered))
    apart = float(np.abs(scores - canary.registered).max())
    theirs = None if current is None else lists.value(current.astype(np.float64), metric)
    objection = ""
    if full_precision(backend) and apart > difference:
        objection = (
            f"a canary row scores {apart:.2g} away from what it did when the version was registered; "
            f"{difference:g} is allowed"
        )
    elif sign * (value - registered) < -tolerance:
        objection = f"{metric} on the canary set is {value:.4f} by {backend}, registered was {registered:.4f}"
    elif current is not None and theirs is not None and sign * (value - theirs) < -tolerance:
        found = paired_bootstrap(lists, scores, current, metric, resamples=RESAMPLES)
        # (difference, low, high), above 0 where the version is the better one.
        if gained(found, metric)[2] < 0:
            objection = (
                f"{metric} on the canary set is {value:.4f}, that of the version in service {theirs:.4f}"
            )
    return Compared(objection, metric, value, registered, theirs, apart)


def check(
    bundle: Bundle, model: Opened, current: Opened | None, tolerance: float, difference: float
) -> Compared:
    """Score a version's canary set with it and with the one in service, and judge.

    Args:
        bundle: Of the version; a probe is written into its folder if there is no objection.
        model: The version, open.
        current: The version in service, open; None where there is none.
        tolerance: As `compare` takes it.
        difference: As `compare` takes it.
    """
    canary = CanarySet.read(bundle)
    if canary is None:
        return Compared()
    scores = model.score(canary.rows)
    theirs = current.score(canary.rows) if current is not None else None
    found = compare(canary, model.backend, scores, theirs, tolerance, difference)
    if not found.objection:
        canary.probe(model.backend, scores).write(bundle)
    return found
