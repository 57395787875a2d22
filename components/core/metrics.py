"""Ranking metrics by group, classification metrics by row, and the paired bootstrap over groups."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import ndcg_score, roc_auc_score

GAINS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "exponential": lambda grade: np.exp2(grade) - 1.0,
    "linear": lambda grade: np.asarray(grade, dtype=np.float64),
}
"""{name: grade -> gain}; named beside every nDCG."""

RESAMPLES = 10_000


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

    def ranked(self) -> list[np.ndarray]:
        """Row numbers of each list of two rows or more, at least one of them relevant; by group id."""
        order = np.lexsort((self.sample_ids, self.groups))
        starts = np.flatnonzero(np.r_[True, self.groups[order][1:] != self.groups[order][:-1]])
        lists = np.split(order, starts[1:])
        return [rows for rows in lists if len(rows) > 1 and self.relevant[rows].any()]

    def skipped(self) -> int:
        """Lists left out of ranking metrics."""
        return len(np.unique(self.groups)) - len(self.ranked())

    def best_first(self, rows: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Row numbers of a list in the order of their scores, ties by sample id."""
        return rows[np.lexsort((self.sample_ids[rows], -scores[rows]))]

    def ndcg(self, scores: np.ndarray, k: int = 10) -> np.ndarray:
        """nDCG@k of each list that can be ranked, log2 discount. (lists,) float64 in [0, 1]."""
        gains = GAINS[self.gain](self.grades)
        out = []
        for rows in self.ranked():
            best = self.best_first(rows, scores)
            # Distinct scores, since scikit-learn would average over ties.
            out.append(ndcg_score([gains[best]], [np.arange(len(best), 0, -1)], k=k))
        return np.asarray(out)

    def reciprocal_rank(self, scores: np.ndarray) -> np.ndarray:
        """One over the rank of the first relevant row of each list that can be ranked. (lists,) float64."""
        return np.asarray(
            [1.0 / (1 + np.argmax(self.relevant[self.best_first(rows, scores)])) for rows in self.ranked()]
        )

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


def paired_bootstrap(
    lists: Lists,
    first: np.ndarray,
    second: np.ndarray,
    metric: str,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> dict[str, float]:
    """Difference of two models, first minus second, with a 95 % two-sided percentile interval over groups.

    Both models are seen on the same resampled groups. Efron & Tibshirani 1993, chapter 16.

    Args:
        lists: The test rows.
        first: (n,) scores of one model.
        second: (n,) scores of the other.
        metric: `ndcg@10` or `auc`.
        seed: Of the resampling.
        resamples: How many.

    Returns:
        {"difference", "low", "high", "p"}; p is two-sided, of the null of no difference.
    """
    rng = np.random.default_rng(seed)
    if metric == "auc":
        difference = lists.auc(first) - lists.auc(second)
        codes = np.unique(lists.groups, return_inverse=True)[1]
        draws = []
        # Each draw sorts all rows, so fewer of them.
        for _ in range(resamples // 10):
            counts = np.bincount(rng.integers(0, codes.max() + 1, codes.max() + 1), minlength=codes.max() + 1)
            weights = counts[codes].astype(np.float64)
            draws.append(lists.auc(first, weights) - lists.auc(second, weights))
        means = np.asarray(draws)
    else:
        paired = lists.ndcg(first) - lists.ndcg(second)
        difference = float(paired.mean())
        means = np.concatenate(
            [
                paired[rng.integers(0, len(paired), (500, len(paired)))].mean(1)
                for _ in range(-(-resamples // 500))
            ]
        )
    low, high = np.quantile(means, [0.025, 0.975])
    tail = (1 + min((means <= 0).sum(), (means >= 0).sum())) / (1 + len(means))
    return {"difference": difference, "low": float(low), "high": float(high), "p": float(min(1.0, 2 * tail))}


def expected_calibration_error(probability: np.ndarray, relevant: np.ndarray, bins: int = 10) -> float:
    """ECE over equal-width bins: mean gap between probability and rate of relevance. In [0, 1]."""
    which = np.clip((probability * bins).astype(int), 0, bins - 1)
    gaps = [
        abs(probability[which == b].mean() - relevant[which == b].mean()) * (which == b).mean()
        for b in range(bins)
        if (which == b).any()
    ]
    return float(sum(gaps))
