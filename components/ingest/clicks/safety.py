"""Do no harm: weights are taken only where, on trusted grades, they do not make a ranker worse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from assay.components.core.errors import BadInput

RISK = 0.1
MARGIN = 0.003
"""What a correction may cost at most, relative to the ranker without it."""
STRENGTHS = (10.0, 1.0, 0.1, 0.01)
FEWEST = 5
"""Lists of the target below which nothing can be said."""


@dataclass(frozen=True)
class Taught:
    """Labels and weights to learn from.

    Attributes:
        labels: (n,) in [0, 1].
        weights: (n,) >= 0.
    """

    labels: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class Verdict:
    """Whether a correction is taken.

    Attributes:
        taken: It is.
        why: In words.
        naive: nDCG@10 of the ranker that learnt without it, over the target's lists.
        corrected: Of the ranker that learnt with it.
        difference: The second less the first.
        low: Lower end of the 95 % interval of the difference over lists.
        high: Upper end.
        risk: Chance that the correction loses more than the margin, by the same resamples.
        lists: Lists of the target that can be ranked.
    """

    taken: bool
    why: str
    naive: float
    corrected: float
    difference: float
    low: float
    high: float
    risk: float
    lists: int

    def as_dict(self) -> dict[str, Any]:
        """As JSON, for the manifest."""
        return self.__dict__ | {"kept": "corrected" if self.taken else "naive"}


def do_no_harm(
    features: Any,
    naive: Taught,
    corrected: Taught,
    target: Any,
    groups: np.ndarray,
    grades: np.ndarray,
    ids: np.ndarray,
    relevant_at: float,
    margin: float = MARGIN,
    risk: float = RISK,
    seed: int = 0,
    strengths: tuple[float, ...] = STRENGTHS,
) -> Verdict:
    """Train a cheap ranker on the same rows either way, and see how each ranks the trusted lists.

    The correction is taken where the chance that it loses more than the margin is small, over resampled
    lists; where there are fewer than `FEWEST` lists, nothing is known, and nothing is corrected.

    Args:
        features: (n, k) of the rows learnt from, dense or a scipy sparse matrix.
        naive: As they were logged.
        corrected: The same rows with position bias taken out.
        target: (m, k) of the trusted rows, which nothing is trained on.
        groups: (m,) their lists.
        grades: (m,) their grades.
        ids: (m,) unique, break ties.
        relevant_at: Grade from which a row is relevant.
        margin: What may be lost, relative to the naive ranker.
        risk: Largest chance of losing more.
        seed: Of the resampling of lists.
        strengths: As `learnt` has them.

    Raises:
        BadInput: All labels are 0, or all are 1, either way.
    """
    from assay.components.core.metrics import Lists, interval, mean_draws

    lists = Lists(groups, grades, ids, relevant_at)
    count = len(lists.ranked())
    if count < FEWEST:
        why = f"{count} trusted lists can be ranked, {FEWEST} are needed: fell back to naive labels"
        return Verdict(False, why, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, count)
    reached = [lists.ndcg(learnt(features, taught, target, strengths)) for taught in (naive, corrected)]
    naively, better = (float(each.mean()) for each in reached)
    difference = reached[1] - reached[0]
    draws = mean_draws(difference[None], seed)[0]
    low, high = interval(draws)
    chance = float((draws < -margin * naively).mean())
    taken = chance <= risk
    shown = f"{difference.mean():+.4f} nDCG@10 [{low:+.4f}, {high:+.4f}] over {count} lists"
    if taken:
        why = f"corrected labels do no harm on trusted lists: {shown}"
    else:
        why = f"corrected labels may rank trusted lists worse: {shown}; fell back to naive labels"
    return Verdict(taken, why, naively, better, float(difference.mean()), low, high, chance, count)


def learnt(
    features: Any, taught: Taught, judged: Any, strengths: tuple[float, ...] = STRENGTHS
) -> np.ndarray:
    """Scores of a logistic regression on labels that may lie between 0 and 1: a row is there once as either.

    The mean over several strengths of regularisation, so that none has to be chosen on what is judged.

    Args:
        features: (n, k).
        taught: (n,) labels and weights.
        judged: (v, k) features of the rows to score.
        strengths: Inverse regularisation strengths.

    Returns:
        (v,) float64, high for relevant.

    Raises:
        BadInput: All labels are 0, or all are 1.
    """
    from scipy.sparse import issparse, vstack
    from sklearn.linear_model import LogisticRegression

    weights = np.r_[taught.weights * taught.labels, taught.weights * (1 - taught.labels)]
    either = np.repeat([1, 0], len(taught.labels))
    some = np.flatnonzero(weights > 0)
    if len(np.unique(either[some])) < 2:
        raise BadInput(
            "all labels are 0, or all are 1: there is nothing to learn; is the log joined to its events?"
        )
    both = (vstack([features] * 2).tocsr() if issparse(features) else np.tile(features, (2, 1)))[some]
    scores = []
    for strength in strengths:
        model = LogisticRegression(C=strength, solver="lbfgs", max_iter=300)
        model.fit(both, either[some], sample_weight=weights[some] / weights[some].mean())
        found = model.decision_function(judged)
        scores.append((found - found.mean()) / max(float(found.std()), 1e-12))
    return np.mean(scores, axis=0)
