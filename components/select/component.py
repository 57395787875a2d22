"""Kubeflow face of `select`: the arms, and beforehand the warm-up shares."""

from typing import List, Optional

from assay.components.core.images import component
from kfp import dsl


@component
def select(
    samples: dsl.Input[dsl.Dataset],
    selection: dsl.Output[dsl.Dataset],
    arms: List[str],
    budget: str,
    scores: Optional[dsl.Input[dsl.Dataset]] = None,
    method: str = "importance",
    seed: int = 0,
):
    """Choose the rows of each arm.

    Args:
        samples: Sample table.
        selection: sample_id, arm, importance, decision, reason.
        arms: `challenger`, `control`, `full`; with method `random`, the shares a and b, and `target`.
        budget: A fraction in (0, 1] or a count.
        scores: What `score` wrote; not needed by method `random`.
        method: `importance` or `random` (disjoint shares, of the budget's size each).
        seed: Of random draws.
    """
    from assay.components.select import select as step

    if method == "random":
        selection.metadata["selected"] = step.warm_up_shares(
            samples.path, selection.path, float(budget), int(seed), arms
        )
    else:
        selection.metadata.update(
            step.select(samples.path, scores.path, selection.path, arms, budget, int(seed))
        )
