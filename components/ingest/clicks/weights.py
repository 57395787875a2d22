"""Inverse propensity: weights of clicks, and labels of pairs, with position bias taken out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from assay.components.core.errors import BadInput
from assay.components.ingest.clicks.propensities import Propensities
from assay.components.ingest.clicks.shown import QUERY

CLIP = 10.0
ENOUGH_LOOKS = 20.0
"""Looks at which half of what a label varies by is chance: .2 / 20 is what rankers leave unexplained."""
LIGHTEST, HEAVIEST = 0.01, 10.0
"""Weights of pairs, relative to their mean."""


@dataclass(frozen=True)
class Weighed:
    """Rows with their weights, and what the manifest says of them.

    Attributes:
        rows: The rows given, with new columns.
        facts: Numbers for people.
    """

    rows: pl.DataFrame
    facts: dict[str, Any]


def with_propensity(
    impressions: pl.DataFrame, propensities: Propensities, clip: float = CLIP, logged: bool = True
) -> Weighed:
    """Impressions with `examined`, the chance that each was looked at, at least 1 / clip.

    Where the log gives the propensity of an impression, which its policy knew, that is taken instead.

    Args:
        impressions: Table `impressions`.
        propensities: Of the positions.
        clip: Largest weight of a click, from 1 up.
        logged: Take the log's own propensities.

    Raises:
        BadInput: The clip is below 1, or a propensity of the log is not in (0, 1].
    """
    if not 1 <= clip < float("inf"):
        raise BadInput(f"weights: clip {clip}: write the largest weight of a click, 1 or more")
    own = impressions["propensity"].is_not_null() & logged
    wrong = impressions.filter(own & ~pl.col("propensity").is_between(0, 1, closed="right").fill_null(False))
    if len(wrong):
        raise BadInput(
            f"column propensity: {len(wrong)} values are not in (0, 1] (e.g. {wrong['propensity'][0]}): mend "
            "them, or leave the column out"
        )
    position = impressions["position"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    raw = np.where(
        own.to_numpy(), impressions["propensity"].fill_null(1.0).to_numpy(), propensities.of(position)
    )
    rows = impressions.with_columns(examined=pl.Series(np.maximum(raw, 1 / clip), dtype=pl.Float64))
    facts = {
        "method": propensities.method,
        "clip": clip,
        "clipped": int((raw < 1 / clip).sum()),
        "logged": int(own.sum()),
        "without_position": int((np.isnan(position) & ~own.to_numpy()).sum()),
    }
    return Weighed(rows, facts)


def ips_weights(
    impressions: pl.DataFrame, propensities: Propensities, clip: float = CLIP, logged: bool = True
) -> Weighed:
    """Impressions with `weight`: of a click 1 / propensity, clipped, over the mean of all clicks; else 1.

    For losses in which a click is set against its page, such as listwise ones (Joachims, Swaminathan and
    Schnabel 2017, "Unbiased Learning-to-Rank with Biased Feedback"). Dividing by the mean, self-normalising,
    keeps the clicks' share of the loss (Swaminathan and Joachims 2015, SNIPS).

    Args:
        impressions: Table `impressions`, with `clicked`.
        propensities: Of the positions.
        clip: Largest weight of a click before it is normalised, from 1 up.
        logged: Take the log's own propensities, where it has them.

    Returns:
        Columns `examined`, as `with_propensity` says, and `weight`, float64 in [1 / clip, clip]. `facts` also
        tells the clicks, their effective number (Kish 1965), and the least and largest weight.

    Raises:
        BadInput: As `with_propensity`.
    """
    weighed = with_propensity(impressions, propensities, clip, logged)
    clicked = (impressions["clicked"].fill_null(0.0) > 0).to_numpy()
    # By size, so that the mean is the same whatever the order of rows.
    inverse = 1 / weighed.rows["examined"].to_numpy()
    mean = float(np.sort(inverse[clicked]).mean()) if clicked.any() else 1.0
    weight = np.where(clicked, inverse / mean, 1.0)
    some = weight[clicked] if clicked.any() else np.ones(1)
    facts = {
        "clicks": int(clicked.sum()),
        "effective_clicks": round(effective_size(weight[clicked]), 3),
        "least": float(some.min()),
        "largest": float(some.max()),
    }
    return Weighed(weighed.rows.with_columns(weight=pl.Series(weight)), weighed.facts | facts)


def corrected_pairs(weighed: Weighed, value: str = "clicked") -> Weighed:
    """One row a pair, its label being what was done to it over how often it was looked at.

    The sum of labels over the sum of propensities estimates attraction under the position-based model; unlike
    the mean of label / propensity it gives a click at the bottom no more say than one look is worth. A label
    from few looks varies by about 1 / looks, beside what a ranker cannot explain anyway: hence the weight,
    looks / (looks + `ENOUGH_LOOKS`), the inverse of both variances.

    Args:
        weighed: What `with_propensity` or `ips_weights` gave; other columns are left behind.
        value: Column of the label in [0, 1]: `clicked`, or `label` of `graded`.

    Returns:
        By asked and item_id: shown, value summed, looks (summed propensities), label in [0, 1], weight (1 on
        average, before it is held in [0.01, 10]).

    Raises:
        BadInput: No row has the value.
    """
    some = pl.col(value).is_not_null() & pl.col("item_id").is_not_null() & QUERY.is_not_null()
    rows = weighed.rows.filter(some)
    if rows.is_empty():
        raise BadInput(f"labels of pairs: no impression has {value}, an item and something it was shown for")
    pairs = (
        rows.group_by(QUERY, "item_id")
        # Sorted, so that sums do not depend on the order of rows.
        .agg(shown=pl.len(), value=pl.col(value).sort().sum(), looks=pl.col("examined").sort().sum())
        .sort("asked", "item_id")
        .with_columns(label=pl.col("value") / pl.col("looks"))
    )
    facts = {
        "pairs": len(pairs),
        "mean_label": float(pairs["value"].to_numpy().sum() / pairs["looks"].to_numpy().sum()),
        "labels_clipped": int((pairs["label"] > 1).sum()),
    }
    weight = weight_of(pairs["looks"].to_numpy())
    pairs = pairs.with_columns(pl.col("label").clip(0.0, 1.0), weight=pl.Series(weight))
    facts |= {"effective_pairs": round(effective_size(weight), 3)}
    return Weighed(pairs, weighed.facts | facts)


def share_of(looks: np.ndarray) -> np.ndarray:
    """Inverse variance of labels of so many looks: looks / (looks + `ENOUGH_LOOKS`). (n,) float64."""
    return looks / (looks + ENOUGH_LOOKS)


def weight_of(looks: np.ndarray, mean: float | None = None) -> np.ndarray:
    """Weight of labels that come from so many looks: 1 on average, then held in [0.01, 10].

    Args:
        looks: (n,) >= 0.
        mean: Of `share_of` all labels, where these are a part of them.

    Returns:
        (n,) float64.
    """
    share = share_of(looks)
    return np.clip(share / (share.mean() if mean is None else mean), LIGHTEST, HEAVIEST)


def effective_size(weight: np.ndarray) -> float:
    """Kish 1965: how many rows of equal weight would vary as these do. 0 of none."""
    total = float(np.sort(weight).sum())
    return total**2 / float(np.sort(weight**2).sum()) if total else 0.0
