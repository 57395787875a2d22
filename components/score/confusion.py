"""Which grade is taken for which, and what the truth of each row then is: by classifiers and the target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from assay.components.score.grades import Grades
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax

FLOOR = 1e-6
"""No opinion is surer than this."""
TRUST = 1.0
"""How firmly a classifier's opinion of a grade is held to speak of that grade: inverse variance of what the
target may change of it. With 0 a grade of four target rows would be whatever those four look like."""
STRENGTH, LEAST = 10.0, 50.0
"""Rows of a grade that speak as loudly for its confusions as does what is expected of them: so many times the
rows there are to a target row, and at least so many. However many rows there are, what they say is read by
what the target's few have taught."""
WRONG, WRONG_ROWS = 0.05, 20.0
"""Share of wrong labels expected before any are seen, and how many rows it counts as."""
ROUNDS = 100
STILL = 1e-5
"""Change of a share below which it is done."""
AGAIN = 10
"""Rounds, and half as many steps of calibration, from what was found on about the same rows. On 728 ratings
all of them give the interval [0.022, 0.079], these [0.022, 0.077]."""


@dataclass(frozen=True)
class Confusion:
    """What was found.

    Attributes:
        joint: (K, K) P(truth, label), adding up to 1.
        truth: (n, K) P(truth | features, label) of each row, rows adding up to 1.
        weights: (K, K + 1) of the calibration, to start another from.
    """

    joint: np.ndarray
    truth: np.ndarray
    weights: np.ndarray


def confusion(
    grades: Grades,
    probability: np.ndarray,
    target_probability: np.ndarray,
    start: Confusion | None = None,
) -> Confusion:
    """P(truth, label) and the truth of each row, by expectation maximisation from opinions and labels.

    Opinions are calibrated on the target, so that each says how much likelier a row is under each truth.
    Labels are then draws from the truth's row of a confusion matrix: Dawid and Skene 1979, "Maximum
    Likelihood Estimation of Observer Error-Rates", the label as given being the one observer, and the
    calibrated opinion what is known beside it. Shares of truths are counted over rows and target together.

    Where opinions say little, that alone would let a large grade swallow the small ones beside it: most
    five-star texts would do for four stars. So a confusion must be shown (a Dirichlet prior, `STRENGTH`):
    labels are expected to be right but for a share, itself estimated, and a wrong one to lie the likelier at
    a grade the further off this is. Opinions cannot tell a neighbour taken for another from a text that would
    do for both, and it does the least harm.

    Args:
        grades: Classes of n rows, as labelled, and of t target rows, the truth; a grade that the target lacks
            is held to be as its classifier says.
        probability: (n, K) of each class, by classifiers that did not see the label.
        target_probability: (t, K), by the same.
        start: What was found on about the same rows, to start from and to stay near.
    """
    count = len(grades.labels)
    # Relative to what is said of a row on the average, which says nothing of this row.
    usual = np.log(np.clip(probability, FLOOR, None).mean(axis=0))
    before = start.weights if start else None
    weights = calibrate(_opinions(target_probability, usual), grades.target, count, before)
    said = _opinions(probability, usual) @ weights[:, :-1].T + weights[:, -1]
    likely = np.exp(said - said.max(axis=1, keepdims=True))
    known = np.bincount(grades.target, minlength=count) + 0.5
    labelled = np.eye(count)[grades.rows]
    expected = _expected(count)
    strength = max(LEAST, STRENGTH * len(grades.rows) / max(len(grades.target), 1))
    joint = start.joint if start else known[:, None] / known.sum() * expected(WRONG)
    for _ in range(ROUNDS if start is None else AGAIN):
        counts = _truth(likely, joint, grades.rows).T @ labelled
        share = counts.sum(axis=1) + known
        wrong = counts.sum() - np.trace(counts)
        matrix = counts + strength * expected((wrong + WRONG * WRONG_ROWS) / (counts.sum() + WRONG_ROWS))
        last, joint = joint, (share / share.sum() / matrix.sum(axis=1))[:, None] * matrix
        if np.abs(joint - last).max() < STILL:
            break
    return Confusion(joint, _truth(likely, joint, grades.rows), weights)


def calibrate(
    opinions: np.ndarray, truths: np.ndarray, count: int, start: np.ndarray | None = None
) -> np.ndarray:
    """Weights that turn opinions of rows into log likelihoods of each truth. (K, K + 1), the last the bias.

    Dirichlet calibration: Kull et al. 2019, "Beyond temperature scaling". Penalised towards opinions as they
    are, so that what few target rows do not show stays as the classifiers have it.

    Args:
        opinions: (t, K) centred log probabilities.
        truths: (t,) int.
        count: K.
        start: Weights to start from.
    """
    plain = np.column_stack([np.eye(count), np.zeros(count)])
    seen = np.column_stack([opinions, np.ones(len(opinions))])
    known = np.bincount(truths, minlength=count) + 0.5
    share, right = np.log(known / known.sum()), np.eye(count)[truths]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(plain.shape)
        logits = seen @ weights.T + share
        off = weights - plain
        value = float((logsumexp(logits, axis=1) - (logits * right).sum(axis=1)).sum())
        slope = (softmax(logits, axis=1) - right).T @ seen + TRUST * off
        return value + TRUST / 2 * float((off**2).sum()), slope.ravel()

    first, most = (plain, 1000) if start is None else (start, AGAIN // 2)
    found = minimize(loss, first.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": most})
    return found.x.reshape(plain.shape)


def _opinions(probability: np.ndarray, usual: np.ndarray) -> np.ndarray:
    logs = np.log(np.clip(probability, FLOOR, None)) - usual
    return logs - logs.mean(axis=1, keepdims=True)


def _expected(count: int) -> Callable[[float], np.ndarray]:
    """Share of wrong labels -> (K, K) P(label | truth) before any are seen."""
    steps = np.abs(np.subtract.outer(np.arange(count), np.arange(count))).astype(float)
    wrong = steps / steps.sum(axis=1, keepdims=True)
    return lambda share: (1 - share) * np.eye(count) + share * wrong


def _truth(likely: np.ndarray, joint: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(n, K) by Bayes' rule."""
    truth = likely * joint[:, labels].T
    return truth / truth.sum(axis=1, keepdims=True)
