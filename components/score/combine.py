"""Scores of several methods into one importance, a noise score, and a decision with its reason code a row."""

from __future__ import annotations

import numpy as np
import pandas as pd
from assay.components.score.label_noise import SecondOpinion
from assay.components.score.methods import METHODS
from cleanlab.filter import find_label_issues
from scipy.stats import rankdata

WEIGHTS = {"label_quality": 1.0, "target_agreement": 1.0, "knn_shapley": 1.0, "el2n": 1.0, "influence": 0.5}
"""Which methods make up importance, and how much each counts."""
OPINIONS = ("label_quality",)
"""Methods that give a probability of the label as given; their mean is what the noise score is made of."""
RELABEL = 0.8
"""Probability of the other label from which a dropped row is called a candidate for relabelling."""


def rank_in_strata(score: np.ndarray, strata: np.ndarray) -> np.ndarray:
    """Each score's mid-rank within its stratum, over its size. (n,) in (0, 1): comparable across methods.

    Args:
        score: (n,), high is good.
        strata: (n,) any labels.
    """
    out = np.empty(len(score))
    for stratum in np.unique(strata):
        inside = strata == stratum
        out[inside] = (rankdata(score[inside]) - 0.5) / inside.sum()
    return out


def combine(scores: pd.DataFrame, weights: dict[str, float], strata: pd.DataFrame) -> pd.DataFrame:
    """Importance and noise of each row.

    Args:
        scores: (n, methods), columns named as in `METHODS`.
        weights: {method: weight} of importance; methods without one do not count.
        strata: (n,) columns task, label, scorer: what ranks are taken within.

    Returns:
        Columns importance (in (0, 1)), noise (probability that the label is wrong), and rank_<method> of each
        weighted method.

    Raises:
        ValueError: No weighted method was computed.
    """
    used = {name: w for name, w in weights.items() if name in scores and w > 0}
    if not used:
        raise ValueError(f"none of the weighted methods was computed: {sorted(weights)} of {sorted(scores)}")
    by_label = strata["task"].astype(str) + "/" + strata["label"].round(2).astype(str)
    by_scorer = by_label + "/" + strata["scorer"].astype(str)
    out = pd.DataFrame(index=scores.index)
    for name in used:
        method = METHODS[name]
        good = scores[name].to_numpy() * (1 if method.higher_is_better else -1)
        out[f"rank_{name}"] = rank_in_strata(good, (by_scorer if method.by_ranker else by_label).to_numpy())
    total = sum(used.values())
    out["importance"] = sum(out[f"rank_{name}"] * (w / total) for name, w in used.items())
    opinions = [scores[name] for name in OPINIONS if name in scores]
    out["noise"] = 1.0 - np.mean(opinions, axis=0) if opinions else 1.0 - out["importance"]
    return out


def decide(
    relevant: np.ndarray, labels: np.ndarray, combined: pd.DataFrame, second: SecondOpinion | None = None
) -> pd.DataFrame:
    """Decision and reason code of each row, and what its label should perhaps be.

    Of two labels, an issue is what confident learning calls one; of more, a label that is more likely wrong
    than right, `label_quality` having weighed there what is taken for what.

    Args:
        relevant: (n,) bool, as labelled.
        labels: (n,) in [0, 1], as given.
        combined: Columns of `combine`.
        second: The likeliest other label of each row; if None, the median label of the other side.

    Returns:
        Columns decision (keep, drop, relabel), reason (a code) and suggested_label (null where kept).
    """
    noise = combined["noise"].to_numpy()
    if second is None:
        second = SecondOpinion(_other_side(relevant, labels), noise, False)
    issue = noise > 0.5 if second.graded else _label_issues(relevant, noise)
    relabel = issue & (second.probability >= RELABEL)
    decision = np.where(relabel, "relabel", np.where(issue, "drop", "keep"))
    reason = np.where(relabel, "relabel_candidate", np.where(issue, "likely_mislabelled", "label_plausible"))
    suggested = np.where(issue, second.label, np.nan)
    return pd.DataFrame(
        {"decision": decision, "reason": reason, "suggested_label": suggested}, index=combined.index
    )


def _other_side(relevant: np.ndarray, labels: np.ndarray) -> np.ndarray:
    if relevant.all() or not relevant.any():
        return np.full(len(labels), np.nan)
    return np.where(relevant, np.median(labels[~relevant]), np.median(labels[relevant]))


def _label_issues(relevant: np.ndarray, noise: np.ndarray) -> np.ndarray:
    if relevant.all() or not relevant.any():
        return np.zeros(len(relevant), dtype=bool)
    probability = np.where(relevant, 1 - noise, noise)
    both = np.column_stack([1 - probability, probability])
    return find_label_issues(relevant.astype(int), both, filter_by="both", n_jobs=1)
