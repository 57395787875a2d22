"""Ranking metrics by group, classification metrics by row, and the bootstrap over lists and trainings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.stats import t
from sklearn.metrics import roc_auc_score

GAINS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "exponential": lambda grade: np.exp2(grade) - 1.0,
    "linear": lambda grade: np.asarray(grade, dtype=np.float64),
}
"""{name: grade -> gain}; named beside every nDCG."""

RESAMPLES = 10_000
AT_ONCE = 500
"""Resamples held in memory together."""
CELLS = 4_000_000
"""Rows times resamples held in memory together, where a resample looks at all rows."""


@dataclass(frozen=True)
class Lists:
    """Test rows in lists, ready to be ranked by any score.

    Args:
        groups: (n,) group ids.
        grades: (n,) grades.
        sample_ids: (n,) unique; break ties, so that input order never matters.
        relevant_at: Grade from which a row is relevant.
        gain: A name of `GAINS`.
    """

    groups: np.ndarray
    grades: np.ndarray
    sample_ids: np.ndarray
    relevant_at: float
    gain: str = "exponential"

    @property
    def relevant(self) -> np.ndarray:
        """(n,) bool."""
        return self.grades >= self.relevant_at

    @cached_property
    def _listed(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows of all lists that can be ranked, by group and sample id, and the number of each one's list."""
        order = np.lexsort((self.sample_ids, self.groups))
        if not len(order):
            return order, order
        new = np.r_[True, self.groups[order][1:] != self.groups[order][:-1]]
        number = np.cumsum(new) - 1
        fit = (np.bincount(number) > 1) & (np.bincount(number, self.relevant[order]) > 0)
        rows = order[fit[number]]
        return rows, (np.cumsum(fit) - 1)[number[fit[number]]]

    def ranked(self) -> list[np.ndarray]:
        """Row numbers of each list of two rows or more, at least one of them relevant; by group id."""
        rows, number = self._listed
        return np.split(rows, np.flatnonzero(np.diff(number)) + 1) if len(rows) else []

    def skipped(self) -> int:
        """Lists left out of ranking metrics."""
        return len(np.unique(self.groups)) - len(self.ranked())

    def _best_first(self, worth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows list by list, in each those of most worth first, ties by sample id; and places from 0."""
        rows, number = self._listed
        starts = np.flatnonzero(np.diff(number, prepend=-1))
        return rows[np.lexsort((-worth[rows], number))], np.arange(len(rows)) - starts[number]

    def ndcg(self, scores: np.ndarray, k: int = 10) -> np.ndarray:
        """nDCG@k of each list that can be ranked, log2 discount. (lists,) float64 in [0, 1]."""
        gains = GAINS[self.gain](self.grades)
        number = self._listed[1]
        found, most = (
            np.bincount(number, np.where(place < k, gains[rows] / np.log2(place + 2), 0.0))
            for rows, place in map(self._best_first, (scores, gains))
        )
        return np.divide(found, most, out=np.zeros_like(found), where=most > 0)

    def reciprocal_rank(self, scores: np.ndarray) -> np.ndarray:
        """One over the rank of the first relevant row of each list that can be ranked. (lists,) float64."""
        rows, place = self._best_first(scores)
        first = np.full(len(self.ranked()), len(rows))
        hit = self.relevant[rows]
        np.minimum.at(first, self._listed[1][hit], place[hit])
        return 1.0 / (1 + first)

    def auc(self, scores: np.ndarray, weights: np.ndarray | None = None) -> float:
        """Area under the ROC curve of relevance over all rows; 0.5 where all rows are of one class."""
        relevant = self.relevant if weights is None else self.relevant[weights > 0]
        if relevant.all() or not relevant.any():
            return 0.5
        return float(roc_auc_score(self.relevant, scores, sample_weight=weights))

    def results(self, scores: np.ndarray, metric: str) -> dict[str, float]:
        """The primary metric (`ndcg@10` or `auc`), auc and mrr of one model.

        Args:
            scores: (n,); high is relevant.
            metric: Name of the primary metric.
        """
        ranked = len(self.ranked()) > 0
        values = {
            "ndcg@10": float(self.ndcg(scores).mean()) if ranked else 0.0,
            "auc": self.auc(scores),
            "mrr": float(self.reciprocal_rank(scores).mean()) if ranked else 0.0,
        }
        return {metric: values[metric], **{k: v for k, v in values.items() if k != metric and k != "ndcg@10"}}


def auc_of(scores: np.ndarray, relevant: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """`Lists.auc` under several weights of the rows at once; 0.5 where all weight is on one class.

    Args:
        scores: (n,).
        relevant: (n,) bool.
        weights: (n, r) >= 0.

    Returns:
        (r,) float64: the weight of pairs in the right order, ties as half.
    """
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(scores[order]) > 0])
    weights, relevant = weights[order], relevant[order][:, None]
    high, low = weights * relevant, weights * ~relevant
    if len(starts) < len(order):
        high, low = (np.add.reduceat(each, starts, axis=0) for each in (high, low))
    pairs = high.sum(axis=0) * low.sum(axis=0)
    below = np.cumsum(low, axis=0)
    below -= low / 2
    won = np.einsum("nr,nr->r", high, below)
    return np.divide(won, pairs, out=np.full(weights.shape[1], 0.5), where=pairs > 0)


def list_draws(
    lists: Lists, scores: np.ndarray, metric: str, seed: int = 0, resamples: int = RESAMPLES
) -> tuple[np.ndarray, np.ndarray]:
    """A metric of several models, and what it is on resampled test lists, the same lists for each.

    Args:
        lists: The test rows.
        scores: (m, n) of m models.
        metric: `ndcg@10` or `auc`.
        seed: Of the resampling.
        resamples: How many; a tenth of it for `auc`, each of which looks at all rows.

    Returns:
        (m,) values and (m, r) draws, float64.
    """
    if metric != "auc":
        each = np.stack([lists.ndcg(one) for one in scores])
        return each.mean(axis=1), mean_draws(each, seed, resamples)
    codes = np.unique(lists.groups, return_inverse=True)[1]
    draws = []
    for times in _times_drawn(codes.max() + 1, seed, resamples // 10, max(1, CELLS // len(codes))):
        weights = times.T.astype(np.float64)[codes]
        draws.append([auc_of(one, lists.relevant, weights) for one in scores])
    return np.asarray([lists.auc(one) for one in scores]), np.concatenate(draws, axis=1)


def mean_draws(each: np.ndarray, seed: int = 0, resamples: int = RESAMPLES) -> np.ndarray:
    """Means over resampled lists, the same lists for each model.

    Args:
        each: (m, lists) a figure of each list.
        seed: Of the resampling.
        resamples: How many, rounded up to whole `AT_ONCE`.

    Returns:
        (m, r) float64.
    """
    rng, count = np.random.default_rng(seed), each.shape[1]
    blocks = []
    for _ in range(-(-resamples // AT_ONCE)):
        drawn = rng.integers(0, count, (AT_ONCE, count))
        blocks.append([one[drawn].mean(axis=1) for one in each])
    return np.concatenate(blocks, axis=1)


def _times_drawn(count: int, seed: int, resamples: int, at_once: int) -> Iterator[np.ndarray]:
    """Blocks of (block, count): how often each of `count` lists is drawn in each resample."""
    rng = np.random.default_rng(seed)
    for start in range(0, resamples, at_once):
        block = min(at_once, resamples - start)
        numbers = rng.integers(0, count, (block, count)) + count * np.arange(block)[:, None]
        yield np.bincount(numbers.ravel(), minlength=block * count).reshape(block, count)


def over_trainings(values: np.ndarray, draws: np.ndarray, seed: int = 0) -> np.ndarray:
    """Draws of the mean of k trainings: trainings are resampled outside, test lists inside.

    The lists of a draw are the same for all trainings, as the real ones are: lists and trainings cross
    (Owen 2007, "The pigeonhole bootstrap", which is conservative for what they do to each other). Two
    corrections make up for few trainings: their part of a draw is stretched by sqrt(k / (k - 1)), so that
    it varies as their mean does, and the whole by t / z at the degrees of freedom of Satterthwaite 1946.
    Equal trainings change nothing.

    Args:
        values: (k,) the figure of each training.
        draws: (k, r) the same on resampled lists, of `list_draws`.
        seed: Of the resampling.

    Returns:
        (r,) float64; of one training its own draws.
    """
    trainings, resamples = draws.shape
    if trainings == 1:
        return draws[0]
    # Every arm's k-th training is drawn together with every other arm's, as they share their seed.
    chosen = np.random.default_rng([seed, 1]).integers(0, trainings, (resamples, trainings))
    lists = draws.mean(axis=0)
    apart = draws[chosen, np.arange(resamples)[:, None]].mean(axis=1) - lists
    spread = values.var(ddof=1) / trainings
    part = spread / (spread + lists.var()) if spread > 0 else 0.0
    stretch = t.ppf(0.975, (trainings - 1) / part**2) / t.ppf(0.975, np.inf) if part > 1e-9 else 1.0
    mean = values.mean()
    return mean + stretch * (lists - mean + np.sqrt(trainings / (trainings - 1)) * apart)


def interval(draws: np.ndarray) -> tuple[float, float]:
    """95 % two-sided percentile interval of (r,) draws."""
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)


def nested_bootstrap(
    first: np.ndarray, second: np.ndarray, seed: int = 0, resamples: int = RESAMPLES
) -> dict[str, float]:
    """Difference of two models over trainings and test lists, from what each reached on each list.

    Trainings are drawn with replacement, in pairs of one seed; lists inside, as `over_trainings` says. With
    one training each it is the paired bootstrap over lists: Efron & Tibshirani 1993, chapter 16.

    Args:
        first: (k, lists) a figure of each list, of k trainings of one model; of one, (lists,) will do.
        second: The same of the other; one training is compared with each of the first's.
        seed: Of the resampling.
        resamples: How many, rounded up to whole `AT_ONCE`.

    Returns:
        {"difference", "low", "high", "p"}: first minus second, its 95 % two-sided percentile interval, and p,
        two-sided, of the null of no difference.

    Raises:
        ValueError: Both were trained several times, and not as often.
    """
    # Subtracted list by list, so that equal models differ by nothing at all.
    each = np.subtract(*_paired(first, second))
    return _found(each.mean(axis=1), mean_draws(each, seed, resamples), seed)


def paired_bootstrap(
    lists: Lists,
    first: np.ndarray,
    second: np.ndarray,
    metric: str,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> dict[str, float]:
    """`nested_bootstrap` from scores: both models are seen on the same resampled lists.

    Args:
        lists: The test rows.
        first: (n,) scores of one model, or (k, n) of its trainings.
        second: The same of the other; one training is compared with each of the first's.
        metric: `ndcg@10` or `auc`.
        seed: Of the resampling.
        resamples: How many; a tenth of it for `auc`.

    Returns:
        As `nested_bootstrap`.

    Raises:
        ValueError: As `nested_bootstrap`.
    """
    first, second = _paired(first, second)
    if metric != "auc":
        reached, others = (np.stack([lists.ndcg(one) for one in scores]) for scores in (first, second))
        return nested_bootstrap(reached, others, seed, resamples)
    (values, draws), (other_values, other_draws) = (
        list_draws(lists, scores, metric, seed, resamples) for scores in (first, second)
    )
    return _found(values - other_values, draws - other_draws, seed)


def _paired(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.atleast_2d(first), np.atleast_2d(second)
    if len(first) != len(second) and 1 not in (len(first), len(second)):
        raise ValueError(f"{len(first)} trainings cannot be paired with {len(second)}")
    return first, second


def _found(values: np.ndarray, draws: np.ndarray, seed: int) -> dict[str, float]:
    """What is said of (k,) differences, one a training, and their (k, r) draws."""
    means = over_trainings(values, draws, seed)
    low, high = interval(means)
    tail = (1 + min((means <= 0).sum(), (means >= 0).sum())) / (1 + len(means))
    return {
        "difference": float(values.mean()),
        "low": low,
        "high": high,
        "p": float(min(1.0, 2 * tail)),
    }


def expected_calibration_error(probability: np.ndarray, relevant: np.ndarray, bins: int = 10) -> float:
    """ECE over equal-width bins: mean gap between probability and rate of relevance. In [0, 1]."""
    which = np.clip((probability * bins).astype(int), 0, bins - 1)
    gaps = [
        abs(probability[which == b].mean() - relevant[which == b].mean()) * (which == b).mean()
        for b in range(bins)
        if (which == b).any()
    ]
    return float(sum(gaps))
