"""Kubeflow face of `select`: the arms, and beforehand the warm-up shares."""

from typing import Any, Dict, List, Optional

from assay.components.core.images import component
from kfp import dsl


@component
def select(
    samples: dsl.Input[dsl.Dataset],
    selection: dsl.Output[dsl.Dataset],
    arms: List[str],
    budget: str,
    scores: Optional[dsl.Input[dsl.Dataset]] = None,
    vectors: Optional[dsl.Input[dsl.Dataset]] = None,
    method: str = "importance",
    rules: Dict[str, Any] = {},  # noqa: B006 - kfp copies defaults into the IR
    seed: int = 0,
):
    """Choose the rows of each arm.

    Args:
        samples: Sample table.
        selection: sample_id, arm, label, weight, importance, decision, reason, why.
        arms: challenger, control, full, baselines; with method `random`, the shares a and b, and `target`.
        budget: A fraction in (0, 1], a count, tokens, minutes of training, or `auto`.
        scores: What `score` wrote; not needed by method `random`.
        vectors: What `embed` wrote; for some baselines and rules, and for the budget `auto`.
        method: `importance` or `random` (disjoint shares, of the budget's size each).
        rules: Settings of `Rules`; those left out are as they are there.
        seed: Of random draws.
    """
    from assay.components.select import select as step
    from assay.components.select.rules import Rules

    if method == "random":
        selection.metadata["selected"] = step.warm_up_shares(
            samples.path, selection.path, float(budget), int(seed), arms
        )
    else:
        folders = samples.path, scores.path, selection.path
        embedded = vectors.path if vectors else ""
        selection.metadata.update(step.select(*folders, arms, budget, int(seed), embedded, Rules.of(rules)))
