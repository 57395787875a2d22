"""Influence: what training on a row does to the target's loss.

Training on row i moves the weights against grad l_i, so the target's loss L falls by <grad l_i, grad L>.
For a one-logit ranker grad l_i = (sigma(f_i) - y_i) grad f_i, so <grad f_i, v> with v = P grad L is all that
has to be known of a row; `gradients` computes it, with P of its preconditioners.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from assay.components.core.progress import steps
from assay.components.core.ranker import Ranker
from assay.components.score.gradients import metagradient as training
from assay.components.score.gradients.differences import MANY, PROBE, Way, directional_derivatives
from assay.components.score.gradients.directions import length, parameters, target_gradients
from assay.components.score.gradients.ghost import ghost_products
from assay.components.score.gradients.preconditioners import PRECONDITIONERS
from assay.components.score.inputs import DRAWN, Inputs, Part

ENOUGH = 10
"""Target rows from which a segment has a gradient of its own; smaller ones share that of the whole target."""
WHOLE = ""
"""Name of the group that is the whole target."""


def influence(inputs: Inputs) -> np.ndarray:
    """How much the label, as against the other one, makes training on the row help the target. (n,).

    The logit form, (2y - 1) <grad f, -grad L>: free of the error's size, since plain dots favour large
    gradients and wrong labels have the largest. It is also the relabelling what-if: Grad-Dot under the label
    as given less Grad-Dot under the other, so its negative is what relabelling would gain.
    """
    return -_sign(inputs) * derivatives(inputs, "influence", by="task")


def segment_influence(inputs: Inputs) -> np.ndarray:
    """`influence` on the target rows of the row's own segment, all segments' gradients in one call. (n,)."""
    return -_sign(inputs) * derivatives(inputs, "segment_influence", by="segment")


def influence_ekfac(inputs: Inputs) -> np.ndarray:
    """`influence` with the target's gradient multiplied by the inverse EK-FAC curvature. (n,)."""
    return -_sign(inputs) * derivatives(inputs, "influence_ekfac", by="task", preconditioner="ekfac")


def grad_dot(inputs: Inputs) -> np.ndarray:
    """<grad l_i, grad L>: how far the target's loss falls for a small step on the row. (n,).

    Pruthi et al. 2020, "Estimating Training Data Influence by Tracing Gradient Descent", at one checkpoint.
    """
    error = 1 / (1 + np.exp(-inputs.logits)) - inputs.labels
    return error * derivatives(inputs, "grad_dot", by="task")


def grad_cos(inputs: Inputs) -> np.ndarray:
    """Cosine of grad l_i and grad L: Grad-Dot whatever the gradients' sizes. (n,) in [-1, 1]."""

    def of(part: Part) -> np.ndarray:
        [direction] = target_gradients(part.ranker, part.target)
        dots, norms = ghost_products(part.ranker, part.rows, [direction], list(direction))
        return dots[:, 0] / np.maximum(np.sqrt(norms) * length(direction), 1e-30)

    return -np.sign(_sign(inputs)) * inputs.by_part(of)


def effort(inputs: Inputs) -> np.ndarray:
    """|grad l_i| in the weights of the adapter: how much the row asks of the training. (n,).

    The second term of DEALRec (Lin et al. 2024, "Data-efficient Fine-tuning for LLM-based Recommendation"),
    by ghost norms, so in batches.

    Raises:
        ValueError: A warm-up has no adapter.
    """

    def of(part: Part) -> np.ndarray:
        ranker = _adapted(part, "effort")
        _, norms = ghost_products(ranker, part.rows, (), list(parameters(ranker, "adapter")))
        return np.abs(1 / (1 + np.exp(-part.logits)) - inputs.labels[part.index]) * np.sqrt(norms)

    return inputs.by_part(of)


def metagradient(inputs: Inputs) -> np.ndarray:
    """How far the target's loss at the end of a training run falls by the row's being in it. (n,).

    The run goes on from the warm-up's adapter, on the rows that the warm-up scores. Dear, and the nearest
    there is to leaving the row out.

    Raises:
        ValueError: A warm-up has no adapter.
    """

    def of(part: Part) -> np.ndarray:
        ranker = _adapted(part, "metagradient")
        shown = lambda run: steps(run, f"score, metagradient, warm-up {part.warm_up.name}", "step")  # noqa: E731
        recipe = training.Recipe(seed=inputs.seed)
        return -training.metagradient(ranker, part.rows, part.target, recipe, progress=shown)

    return inputs.by_part(of)


def derivatives(inputs: Inputs, name: str, by: str, preconditioner: str = "none") -> np.ndarray:
    """<grad f_i, v> of each row, v being that of the row's own group of target rows. (n,) float64.

    A group's way is a function of ranker, target and the rows that `Inputs.drawn` gives, a batch one of its
    block: what else is scored, and in which shard, changes nothing.

    Args:
        inputs: All of it; what was done is written to its facts under `name`.
        name: Of the method.
        by: Column of the samples by whose values target rows are grouped.
        preconditioner: A name of `PRECONDITIONERS`.
    """
    groups = target_groups(inputs.target[by])
    values = inputs.samples[by].astype(str)
    group_of = values.where(values.isin(groups), WHOLE).to_numpy(dtype=object)
    # Logits at rest are of batches of all rows; a group's own batches are others where there are more groups.
    differences = ["one-sided", "central"] if len(groups) < 2 else ["central"]
    allowed = differences if len(groups) < MANY else []
    everything = np.arange(len(inputs.target))
    facts = inputs.facts.setdefault(name, {})

    def of(part: Part) -> np.ndarray:
        mine, out = group_of[part.index], np.zeros(len(part.index))
        names = sorted(set(mine))
        directions = target_gradients(
            part.ranker, part.target, [groups.get(group, everything) for group in names]
        )
        if preconditioner != "none":
            fitted = PRECONDITIONERS[preconditioner](
                part.ranker, inputs.drawn(part, DRAWN), list(directions[0]), inputs.seed
            )
            directions = [fitted(direction) for direction in directions]
        found = facts.setdefault(part.warm_up.name, {})
        for group, direction in zip(names, directions, strict=True):
            here = np.flatnonzero(mine == group)
            key = (name, part.warm_up.name, group)
            known = Way(**inputs.ways[key]) if key in inputs.ways else None
            dots, [way] = directional_derivatives(
                part.ranker,
                part.rows if len(here) == len(mine) else part.rows.subset(here),
                [direction],
                inputs.seed,
                part.logits[here],
                allowed,
                None if known else inputs.drawn(part, PROBE),
                [known],
            )
            out[here] = dots[:, 0]
            found[group or "all"] = inputs.ways[key] = way
        return out

    return inputs.by_part(of)


def target_groups(target: pd.Series) -> dict[str, np.ndarray]:
    """The values that enough target rows have to speak for the rows of the same value.

    Args:
        target: (t,) a value for each target row.

    Returns:
        {value: numbers of its target rows}.
    """
    values = target.astype(str).to_numpy()
    groups = {value: np.flatnonzero(values == value) for value in sorted(set(values))}
    return {value: rows for value, rows in groups.items() if len(rows) >= ENOUGH}


def _adapted(part: Part, method: str) -> Ranker:
    """A part's warm-up with its adapter apart."""
    if part.warm_up.open_adapter is None:
        raise ValueError(
            f"{method} needs the adapter of warm-up {part.warm_up.name}, and it has none: train it with one"
        )
    return part.warm_up.open_adapter()


def _sign(inputs: Inputs) -> np.ndarray:
    return 2 * inputs.labels - 1
