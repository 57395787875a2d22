"""Metrics of lists and of rows, by task, and the bootstrap over lists and trainings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

GAINS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "exponential": lambda grade: np.exp2(grade) - 1.0,
    "linear": lambda grade: np.asarray(grade, dtype=np.float64),
}
"""{name: grade -> gain}; named beside every nDCG."""


@dataclass(frozen=True)
class Metric:
    """What a figure is.

    Attributes:
        greater_is_better: Whether a model that has more of it is the better one.
        by_list: Whether it is the mean of figures of lists; else it is one figure of all rows.
        words: For people.
    """

    greater_is_better: bool
    by_list: bool
    words: str


METRICS = {
    "ndcg@10": Metric(True, True, "nDCG of the first 10, log2 discount"),
    "recall@10": Metric(True, True, "share of the relevant rows that are among the first 10"),
    "mrr": Metric(True, True, "one over the rank of the first relevant row"),
    "mrr@10": Metric(True, True, "the same, 0 beyond rank 10"),
    "auc": Metric(True, False, "area under the ROC curve of relevance, over all rows"),
    "log_loss": Metric(False, False, "mean of minus the log of the probability of what was"),
    "ece": Metric(False, False, "expected calibration error, 10 bins"),
    "quadratic_kappa": Metric(True, False, "agreement with the rating beyond chance, errors squared"),
    "macro_f1": Metric(True, False, "F1 of each class, their mean"),
}
ALSO = {
    "search": ("auc", "mrr"),
    "recommendation": ("recall@10", "mrr@10"),
    "review": ("auc", "macro_f1"),
    "ads": ("auc", "ece"),
}
"""{task: what stands beside its primary metric}."""
PROBABLE = ("log_loss", "ece", "quadratic_kappa", "macro_f1")
"""Metrics that ask for a probability: a score is its log-odds."""


def gained(comparison: Mapping[str, float], metric: str) -> tuple[float, float, float]:
    """Difference, low and high of a comparison, turned so that above 0 the first model is the better one."""
    found = comparison["difference"], comparison["low"], comparison["high"]
    return found if METRICS[metric].greater_is_better else (-found[0], -found[2], -found[1])


def detectable(comparison: Mapping[str, float]) -> float:
    """The smallest true difference that such an interval would miss in 1 of 5 cases at most.

    (z_0.975 + z_0.8) standard errors: Bloom 1995, "Minimum Detectable Effects".
    """
    return float((comparison["high"] - comparison["low"]) / (2 * 1.959964) * (1.959964 + 0.841621))


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
        scale: Rating that a probability of 1 stands for; 0 where it is the probability of being relevant.
    """

    groups: np.ndarray
    grades: np.ndarray
    sample_ids: np.ndarray
    relevant_at: float
    gain: str = "exponential"
    scale: float = 0.0

    def part(self, rows: np.ndarray) -> Lists:
        """Some of the rows, by a mask or their numbers."""
        each = (self.groups[rows], self.grades[rows], self.sample_ids[rows])
        return Lists(*each, self.relevant_at, self.gain, self.scale)

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
        # Which metrics there are is asked where nothing but the base packages is installed.
        from sklearn.metrics import roc_auc_score

        return float(roc_auc_score(self.relevant, scores, sample_weight=weights))

    def recall(self, scores: np.ndarray, k: int = 10) -> np.ndarray:
        """Share of each list's relevant rows that are among its first k. (lists,) float64 in [0, 1]."""
        rows, place = self._best_first(scores)
        number, hit = self._listed[1], self.relevant[rows]
        return np.bincount(number, hit & (place < k)) / np.bincount(number, hit)

    def by_list(self, scores: np.ndarray, metric: str) -> np.ndarray:
        """A metric of each list that can be ranked. (lists,) float64."""
        if metric == "ndcg@10":
            return self.ndcg(scores)
        if metric == "recall@10":
            return self.recall(scores)
        found = self.reciprocal_rank(scores)
        return np.where(found >= 1 / 10, found, 0.0) if metric == "mrr@10" else found

    def sums(self, scores: np.ndarray, metric: str) -> np.ndarray:
        """What a metric of all rows is a function of, once it is summed over rows. (n, s) float64.

        `of_sums` makes the metric of it.

        Args:
            scores: (n,) log-odds.
            metric: One of `PROBABLE`.
        """
        if metric == "log_loss":
            loss = np.logaddexp(0.0, scores) - self.relevant * scores
            return np.column_stack([loss, np.ones(len(loss))])
        probability = 1 / (1 + np.exp(-np.clip(scores, -500, 500)))
        if metric == "ece":
            bins = np.clip((probability * BINS).astype(int), 0, BINS - 1)
            out = np.zeros((len(scores), BINS, 2))
            out[np.arange(len(scores)), bins] = np.column_stack(
                [probability - self.relevant, np.ones(len(scores))]
            )
            return out.reshape(len(scores), -1)
        true, said, classes = self._classes(probability)
        out = np.zeros((len(scores), classes * classes))
        out[np.arange(len(scores)), true * classes + said] = 1.0
        return out

    def _classes(self, probability: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
        """True and foretold class of each row, as numbers from 0, and how many classes there are."""
        if not self.scale:
            return self.relevant.astype(int), (probability >= 0.5).astype(int), 2
        classes, true = np.unique(self.grades, return_inverse=True)
        between = (classes[1:] + classes[:-1]) / 2
        return true, np.searchsorted(between, probability * self.scale), len(classes)

    def value(self, scores: np.ndarray, metric: str) -> float:
        """A metric of `METRICS` of one model; 0 where no list can be ranked."""
        if metric == "auc":
            return self.auc(scores)
        if METRICS[metric].by_list:
            return float(self.by_list(scores, metric).mean()) if self.ranked() else 0.0
        return float(of_sums(self.sums(scores, metric).sum(axis=0)[None], metric)[0])

    def results(
        self, scores: np.ndarray, metric: str, also: Sequence[str] = ALSO["search"]
    ) -> dict[str, float]:
        """The primary metric of one model, and what stands beside it.

        Args:
            scores: (n,); high is relevant.
            metric: Name of the primary metric.
            also: Names of others.
        """
        return {name: self.value(scores, name) for name in dict.fromkeys((metric, *also))}


BINS = 10
"""Of equal width, that calibration is looked at in."""


def of_sums(sums: np.ndarray, metric: str) -> np.ndarray:
    """A metric of all rows from the sums over rows of `Lists.sums`, of several resamples.

    Args:
        sums: (r, s).
        metric: One of `PROBABLE`.

    Returns:
        (r,) float64. Quadratic kappa: Cohen 1968, of equal distances between neighbouring ratings; 0 where
        chance would agree wholly. A class that is neither there nor foretold counts for nothing in macro-F1.
    """
    if metric == "log_loss":
        return sums[:, 0] / sums[:, 1]
    if metric == "ece":
        bins = sums.reshape(len(sums), BINS, 2)
        return np.abs(bins[:, :, 0]).sum(axis=1) / bins[:, :, 1].sum(axis=1)
    classes = round(sums.shape[1] ** 0.5)
    cells = sums.reshape(-1, classes, classes)
    true, said = cells.sum(axis=2), cells.sum(axis=1)
    if metric == "macro_f1":
        hit, there = np.einsum("rcc->rc", cells), true + said
        each = np.divide(2 * hit, there, out=np.zeros_like(there), where=there > 0)
        return each.sum(axis=1) / np.maximum(1, (there > 0).sum(axis=1))
    far = np.subtract.outer(np.arange(classes), np.arange(classes)) ** 2.0
    found = (cells * far).sum(axis=(1, 2))
    chance = np.einsum("ri,ij,rj->r", true, far, said) / true.sum(axis=1)
    return 1 - np.divide(found, chance, out=np.ones_like(found), where=chance > 0)


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
        metric: A name of `METRICS`.
        seed: Of the resampling.
        resamples: How many; a tenth of it for a metric of all rows, each of which looks at all of them.

    Returns:
        (m,) values and (m, r) draws, float64.
    """
    if METRICS[metric].by_list:
        each = np.stack([lists.by_list(one, metric) for one in scores])
        return each.mean(axis=1), mean_draws(each, seed, resamples)
    codes = np.unique(lists.groups, return_inverse=True)[1]
    values = np.asarray([lists.value(one, metric) for one in scores])
    draws = []
    blocks = _times_drawn(codes.max() + 1, seed, resamples // 10, max(1, CELLS // len(codes)))
    if metric == "auc":
        for times in blocks:
            weights = times.T.astype(np.float64)[codes]
            draws.append([auc_of(one, lists.relevant, weights) for one in scores])
        return values, np.concatenate(draws, axis=1)
    of_lists = []
    for one in scores:
        rows = lists.sums(one, metric)
        of_lists.append(np.column_stack([np.bincount(codes, column) for column in rows.T]))
    for times in blocks:
        draws.append([of_sums(times @ sums, metric) for sums in of_lists])
    return values, np.concatenate(draws, axis=1)


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
    from scipy.stats import t

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
        metric: A name of `METRICS`.
        seed: Of the resampling.
        resamples: How many; a tenth of it for a metric of all rows.

    Returns:
        As `nested_bootstrap`.

    Raises:
        ValueError: As `nested_bootstrap`.
    """
    first, second = _paired(first, second)
    if METRICS[metric].by_list:
        reached, others = (
            np.stack([lists.by_list(one, metric) for one in scores]) for scores in (first, second)
        )
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
