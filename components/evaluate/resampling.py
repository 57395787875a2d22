"""Resamples of test lists and of trainings, the same for every model: what is compared is always paired."""

from __future__ import annotations

import numpy as np
from assay.components.core.metrics import RESAMPLES, Lists

AT_ONCE = 500
"""Resamples held in memory together, as `paired_bootstrap` draws them."""


def list_draws(
    lists: Lists, scores: np.ndarray, metric: str, seed: int = 0, resamples: int = RESAMPLES
) -> tuple[np.ndarray, np.ndarray]:
    """A metric of several models, and what it is on resampled test lists, the same lists for each.

    The lists are those that `paired_bootstrap` draws by the same seed: differences are those it finds.

    Args:
        lists: The test rows.
        scores: (m, n) of m models.
        metric: `ndcg@10` or `auc`.
        seed: Of the resampling.
        resamples: How many; a tenth of it for `auc`, each of which sorts all rows.

    Returns:
        (m,) values and (m, r) draws, float64.
    """
    rng = np.random.default_rng(seed)
    if metric == "auc":
        codes = np.unique(lists.groups, return_inverse=True)[1]
        count, draws = codes.max() + 1, []
        for _ in range(resamples // 10):
            counts = np.bincount(rng.integers(0, count, count), minlength=count)
            weights = counts[codes].astype(np.float64)
            draws.append([lists.auc(one, weights) for one in scores])
        return np.asarray([lists.auc(one) for one in scores]), np.asarray(draws).T
    values = np.stack([lists.ndcg(one) for one in scores])
    count = values.shape[1]
    drawn = []
    for _ in range(-(-resamples // AT_ONCE)):
        numbers = rng.integers(0, count, (AT_ONCE, count)) + count * np.arange(AT_ONCE)[:, None]
        times = np.bincount(numbers.ravel(), minlength=AT_ONCE * count).reshape(AT_ONCE, count)
        drawn.append(values @ times.T / count)
    return values.mean(axis=1), np.concatenate(drawn, axis=1)


def over_trainings(draws: np.ndarray, seed: int = 0) -> np.ndarray:
    """Draws of the mean of k trainings of one arm: trainings are resampled outside, test lists inside.

    Every arm's k-th training is drawn together with every other arm's, as they share their seed.

    Args:
        draws: (k, r) of `list_draws`.
        seed: Of the resampling.

    Returns:
        (r,) float64; of one training its own draws.
    """
    trainings, resamples = draws.shape
    chosen = np.random.default_rng([seed, 1]).integers(0, trainings, (resamples, trainings))
    return draws[chosen, np.arange(resamples)[:, None]].mean(axis=1)


def interval(draws: np.ndarray) -> tuple[float, float]:
    """95 % two-sided percentile interval of (r,) draws."""
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)


def difference(value: float, draws: np.ndarray) -> dict[str, float]:
    """A difference with its interval and two-sided p, as `paired_bootstrap` gives them.

    Args:
        value: First minus second.
        draws: (r,) the same of each resample.
    """
    low, high = interval(draws)
    tail = (1 + min((draws <= 0).sum(), (draws >= 0).sum())) / (1 + len(draws))
    return {"difference": float(value), "low": low, "high": high, "p": float(min(1.0, 2 * tail))}
