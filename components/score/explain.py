"""A line a row that says why: the methods that decided, and the target rows that speak for or against it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from assay.components.core.samples import BLOCK
from assay.components.score.inputs import Inputs
from assay.components.score.methods import METHODS
from assay.components.score.neighbours import unit

WITNESSES = 2
SHOWN = 60
"""Characters of a witness."""


def explain(
    inputs: Inputs, combined: pd.DataFrame, wrong: np.ndarray, suggested: np.ndarray | None = None
) -> list[str]:
    """Why each row was judged as it was.

    Args:
        inputs: All of it.
        combined: Columns of `combine`.
        wrong: (n,) bool, whether the label looks wrong.
        suggested: (n,) what it should perhaps be, NaN where nothing is suggested.

    Returns:
        n lines. Witnesses are the target rows most like the row: of one that looks wrong, those of the other
        label, its opponents; of any other, those of its own, its proponents.
    """
    ranks = combined[[c for c in combined if c.startswith("rank_")]]
    names = ranks.columns.str.removeprefix("rank_").to_numpy()
    weakest = names[ranks.to_numpy().argmin(axis=1)]
    strongest = names[ranks.to_numpy().argmax(axis=1)]
    suggested = np.full(len(wrong), np.nan) if suggested is None else suggested
    side = np.where(wrong, ~inputs.relevant, inputs.relevant)
    told = [_told(row.context, row.item) for row in inputs.target.itertuples()]
    lines = []
    for i, seen in enumerate(witnesses(inputs, side)):
        if wrong[i]:
            rather = "" if np.isnan(suggested[i]) else f", rather {suggested[i]:.2g}"
            line = (
                f"label looks wrong (probability {combined['noise'].iat[i]:.2f}{rather}): "
                f"{METHODS[weakest[i]].words}"
            )
        else:
            importance = combined["importance"].iat[i]
            line = f"importance {importance:.2f}, most by {strongest[i]}, least by {weakest[i]}"
        if len(seen):
            line += f"; {'against' if wrong[i] else 'for'} it: {', '.join(told[t] for t in seen)}"
        lines.append(line)
    return lines


def witnesses(inputs: Inputs, relevant: np.ndarray) -> list[np.ndarray]:
    """The target rows most like each row, of those that are relevant or of those that are not.

    Args:
        inputs: Features of rows and target.
        relevant: (n,) bool, of which kind.

    Returns:
        n arrays of at most WITNESSES numbers of target rows, the most alike first.
    """
    train, target = unit(inputs.features), unit(inputs.target_features)
    found: list[np.ndarray] = [np.empty(0, dtype=np.int64)] * len(train)
    for kind in (True, False):
        rows, of_kind = np.flatnonzero(relevant == kind), np.flatnonzero(inputs.target_relevant == kind)
        if not len(of_kind):
            continue
        for start in range(0, len(rows), BLOCK):
            some = rows[start : start + BLOCK]
            order = np.argsort(-(train[some] @ target[of_kind].T), axis=1, kind="stable")[:, :WITNESSES]
            for row, nearest in zip(some, order, strict=True):
                found[row] = of_kind[nearest]
    return found


def _told(context: str, item: str) -> str:
    words = f"{context} | {item}"
    return f"“{words if len(words) <= SHOWN else words[: SHOWN - 1] + '…'}”"
