"""Label quality by confident learning, on out-of-fold probabilities over the vectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from assay.components.score.confusion import confusion
from assay.components.score.grades import Grades
from assay.components.score.inputs import Inputs
from assay.components.score.noise_rates import noise_matrix, noise_rates
from cleanlab.rank import get_label_quality_scores
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

FOLDS = 5
STRENGTHS = (1.0, 0.1, 0.01, 0.001)
"""Inverse regularisation strengths tried; the one of lowest out-of-fold loss is taken."""
KERNEL_ROWS = 2_500
"""Rows at most that the kernel classifier is fitted on: its cost grows with their square."""
TREES = 100
"""Of 10,000 rows, 100 trees and 2,500 rows for the kernel take a third of the time that 200 and 8,000 did,
and find flips with AUROC 0.9585 instead of 0.9603; of 2,000 rows there is no difference."""
FLOOR = 0.01
"""No classifier is surer than this: a probability of 0 would outvote all others."""

Fit = Callable[[np.ndarray, np.ndarray], Callable[[np.ndarray], np.ndarray]]
"""(features, relevant) -> features -> a number a row, high for relevant."""


def linear(strength: float) -> Fit:
    """Logistic regression: sees what adds up."""

    def fit(features, relevant):
        model = LogisticRegression(C=strength, max_iter=500).fit(features, relevant)
        return lambda rows: model.predict_proba(rows)[:, 1]

    return fit


def trees(seed: int) -> Fit:
    """Extremely randomised trees: see thresholds and interactions."""

    def fit(features, relevant):
        model = ExtraTreesClassifier(TREES, min_samples_leaf=5, max_features=0.3, random_state=seed)
        model.fit(features, relevant)
        return lambda rows: model.predict_proba(rows)[:, 1]

    return fit


def kernel(seed: int) -> Fit:
    """Support vectors with a Gaussian kernel: see neighbourhoods. Gives a margin, not a probability."""

    def fit(features, relevant):
        rows = np.arange(len(features))
        if len(rows) > KERNEL_ROWS:
            rows = np.sort(np.random.default_rng(seed).permutation(len(rows))[:KERNEL_ROWS])
            if relevant[rows].all() or not relevant[rows].any():
                rows = np.arange(len(features))
        model = SVC(C=0.3, class_weight="balanced").fit(features[rows], relevant[rows])
        return model.decision_function

    return fit


@dataclass(frozen=True)
class Opinion:
    """What classifiers of the vectors hold of rows whose labels they did not see.

    Attributes:
        rows: (n,) probability of being relevant, of each training row.
        others: (t,) the same of rows that are no training rows.
        strength: Of the linear classifier; None where there was nothing to learn.
    """

    rows: np.ndarray
    others: np.ndarray
    strength: float | None


@dataclass(frozen=True)
class Graded:
    """The same for each class.

    Attributes:
        rows: (n, K) probability of each class, of each training row.
        others: (t, K).
        strength: As above, of relevant against not.
    """

    rows: np.ndarray
    others: np.ndarray
    strength: float | None


def out_of_fold(
    features: np.ndarray, relevant: np.ndarray, draws: np.ndarray, others: np.ndarray, seed: int = 0
) -> Opinion:
    """Probability of being relevant, by three kinds of classifier that did not see the row.

    Folds are of rows, not of groups: a row's list tells much about it, and its own label is all that must
    stay unseen. The classifiers err differently, so the mean of their log odds is nearer the truth than each:
    wrong labels that one of them learns by heart, the others do not.

    Args:
        features: (n, k).
        relevant: (n,) bool, as labelled.
        draws: (n,) numbers that put rows into folds, each class alike; a function of the row's id, so that
            order does not matter.
        others: (t, k) features of further rows; the folds' classifiers take turns at them.
        seed: Of the trees, and of the kernel's rows where there are many.
    """
    share = float(np.clip(np.mean(relevant), FLOOR, 1 - FLOOR))
    if min(relevant.sum(), (~relevant).sum()) < 2:
        return Opinion(np.full(len(features), share), np.full(len(others), share), None)
    folds = folds_of(relevant, draws)

    def held_out(fit: Fit) -> tuple[np.ndarray, np.ndarray]:
        mine, theirs = np.full(len(relevant), np.nan), []
        for fold in range(FOLDS):
            inside, outside = folds != fold, folds == fold
            if not outside.any() or relevant[inside].all() or not relevant[inside].any():
                continue
            give = fit(features[inside], relevant[inside])
            mine[outside] = give(features[outside])
            theirs.append(give(others) if len(others) else np.empty(0))
        # One classifier each, as of the rows: a mean of several would be right more often than they are.
        return mine, np.array(theirs)[np.arange(len(others)) % len(theirs), np.arange(len(others))]

    tried = {strength: held_out(linear(strength)) for strength in STRENGTHS}
    best = min(tried, key=lambda strength: _log_loss(_sure(tried[strength][0], share), relevant))
    margins, margins_of_others = held_out(kernel(seed))
    known = ~np.isnan(margins)
    # Platt's two numbers, which turn margins into probabilities; learnt from the held-out margins.
    platt = LogisticRegression().fit(margins[known, None], relevant[known])
    votes = [
        tried[best],
        held_out(trees(seed)),
        (_platt(platt, margins), _platt(platt, margins_of_others)),
    ]
    return Opinion(
        _mean_odds([_sure(rows, share) for rows, _ in votes]),
        _mean_odds([_sure(theirs, share) for _, theirs in votes]),
        best,
    )


@dataclass(frozen=True)
class SecondOpinion:
    """What a row would be labelled, were its label wrong.

    Attributes:
        label: (n,) in [0, 1], another than the row's own.
        probability: (n,) of that label.
        graded: Whether there are more than two labels.
    """

    label: np.ndarray
    probability: np.ndarray
    graded: bool


def nested(
    features: np.ndarray, grades: Grades, draws: np.ndarray, others: np.ndarray, seed: int = 0
) -> Graded:
    """Probability of every class, by one question after the other: relevant or not, then which half.

    Nested dichotomies: Frank and Kramer 2004, "Ensembles of Nested Dichotomies for Multi-class Problems". The
    classes are in order, so each question has a bound for an answer; the first is the bound of relevance, so
    that with two classes there is no other, and with more, grades say nothing else of relevance than two
    classes would. A question is learnt from the rows of its own classes; each level together costs about as
    much as the first, and there are log2(K).

    Args:
        features: (n, k).
        grades: Classes as labelled.
        draws: As `out_of_fold` takes them.
        others: (t, k).
        seed: As `out_of_fold` takes it.
    """
    n, count = len(features), len(grades.labels)
    everything = np.vstack([features, others])
    probability = np.ones((len(everything), count))
    first = grades.first_relevant if 0 < grades.first_relevant < count else (count + 1) // 2
    strength, asked = None, [(0, count, first)]
    while asked:
        low, high, bound = asked.pop()
        if high - low < 2:
            continue
        inside = (grades.rows >= low) & (grades.rows < high)
        upper = np.full(len(everything), 0.5)
        if inside.any():
            # Rows of other classes are nobody's training rows here.
            outside = np.r_[~inside, np.ones(len(others), dtype=bool)]
            found = out_of_fold(
                features[inside], grades.rows[inside] >= bound, draws[inside], everything[outside], seed
            )
            upper[np.flatnonzero(inside)], upper[outside] = found.rows, found.others
            strength = found.strength if (low, high) == (0, count) else strength
        probability[:, low:bound] *= 1 - upper[:, None]
        probability[:, bound:high] *= upper[:, None]
        asked += [(low, bound, (low + bound + 1) // 2), (bound, high, (bound + high + 1) // 2)]
    return Graded(probability[:n], probability[n:], strength)


def folds_of(relevant: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """(n,) number of each row's fold: rows of a class, in the order of their draws, dealt out in turn."""
    folds = np.empty(len(relevant), dtype=np.int64)
    for kind in (True, False):
        mine = np.flatnonzero(relevant == kind)
        folds[mine[np.argsort(draws[mine], kind="stable")]] = np.arange(len(mine)) % FOLDS
    return folds


def opinion(inputs: Inputs) -> Graded:
    """Of all rows and of the target, computed once."""
    if "opinion" not in inputs.kept:
        inputs.kept["opinion"] = nested(
            inputs.features, inputs.grades, inputs.random(), inputs.target_features, inputs.seed
        )
    return inputs.kept["opinion"]


def truth_of(inputs: Inputs) -> np.ndarray:
    """Probability of each class being the truth of each row. (n, K).

    Of two classes, what classifiers say that did not see the label. Of more, the label as given counts as
    well: which grades are taken for which is learnt with the help of the target (`confusion`), and Bayes'
    rule puts both together. Grades next to each other look alike, and some are rare; their classifiers' doubt
    alone would call most rows wrong.
    """
    found, grades = opinion(inputs), inputs.grades
    if len(grades.labels) <= 2:
        return found.rows
    if "truth" not in inputs.kept:
        inputs.kept["truth"] = confusion(grades, found.rows, found.others).truth
    return inputs.kept["truth"]


def label_quality(inputs: Inputs) -> np.ndarray:
    """Self-confidence: the probability of the label as given. (n,) in [0, 1]; low is suspicious.

    Northcutt et al. 2021, "Confident Learning"; scores by cleanlab.
    """
    found, grades, first = opinion(inputs), inputs.grades, inputs.grades.first_relevant
    facts = {
        "folds": FOLDS,
        "strength": found.strength,
        "noise": noise_rates(
            inputs.relevant,
            found.rows[:, first:].sum(axis=1),
            inputs.target_relevant,
            found.others[:, first:].sum(axis=1),
            inputs.seed,
        ),
    }
    if len(grades.labels) > 2:
        facts["grades"] = noise_matrix(grades, found.rows, found.others, inputs.seed)
    inputs.facts["label_quality"] = facts
    return get_label_quality_scores(grades.rows, truth_of(inputs), method="self_confidence")


def second_opinion(inputs: Inputs) -> SecondOpinion:
    """The likeliest other label of each row."""
    truth, rows = truth_of(inputs), np.arange(len(inputs.samples))
    others = truth.copy()
    others[rows, inputs.grades.rows] = -1.0
    best = others.argmax(axis=1)
    return SecondOpinion(inputs.grades.labels[best], others[rows, best], len(inputs.grades.labels) > 2)


def _sure(values: np.ndarray, share: float) -> np.ndarray:
    return np.clip(np.where(np.isnan(values), share, values), FLOOR, 1 - FLOOR)


def _platt(model: LogisticRegression, margins: np.ndarray) -> np.ndarray:
    out = np.full(len(margins), np.nan)
    known = ~np.isnan(margins)
    if known.any():
        out[known] = model.predict_proba(margins[known, None])[:, 1]
    return out


def _mean_odds(votes: list[np.ndarray]) -> np.ndarray:
    return 1 / (1 + np.exp(-np.mean([np.log(p / (1 - p)) for p in votes], axis=0)))


def _log_loss(probability: np.ndarray, relevant: np.ndarray) -> float:
    return float(-np.mean(np.where(relevant, np.log(probability), np.log(1 - probability))))
