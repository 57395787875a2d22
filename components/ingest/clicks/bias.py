"""Position bias of a search log: found in all of it, and taken out of its samples where that does no harm.

Counts of a log -> `bias_of` -> samples with `unbiased` and `looks` beside `label` and `weight` -> `decide`,
once, on some of them -> `taken`, of each part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
from assay.components.core.errors import BadInput
from assay.components.ingest.clicks.crossed import crossed
from assay.components.ingest.clicks.estimators import AUTO, estimated
from assay.components.ingest.clicks.propensities import Propensities
from assay.components.ingest.clicks.safety import Taught, do_no_harm
from assay.components.ingest.clicks.weights import (
    CLIP,
    ENOUGH_LOOKS,
    effective_size,
    share_of,
    weight_of,
    with_propensity,
)
from assay.components.ingest.ledger import Ledger

NONE = "none"
LEARNT_FROM = 20_000
"""Training samples that the check learns from, the first by id, which is a hash: chosen by nothing else."""
HELD_OUT = ("validation", "target")
"""Splits whose lists decide. The target alone, a twentieth of the lists, tells only large differences."""
FEW_CLICKS = 5.0
"""Clicks of the mean rate that are added to each pair's purchases: one of one is no certainty."""
_STRENGTHS = (0.1, 0.01)
"""Of the check's rankers, which are small: weaker penalties cost ten times as long and rank no better."""
_ANY = 1e-9


@dataclass(frozen=True)
class Bias:
    """What was found of positions.

    Attributes:
        method: The estimator that was asked for.
        propensities: What it found; None where `auto` found that the log tells nothing of positions.
        why: Why there are none.
        grades: Trusted ones beside the log: context, item (text), grade; None where there are none.
    """

    method: str
    propensities: Propensities | None
    why: str = ""
    grades: pd.DataFrame | None = None

    def looks(self, rows: pd.DataFrame) -> np.ndarray:
        """Chance that each impression was looked at, at least 1 / `CLIP`; 1 where nothing is known.

        Args:
            rows: Column position, and where the log knows it `propensity`.

        Returns:
            (n,) float64.
        """
        if self.propensities is None:
            return np.ones(len(rows))
        known = {name: rows[name].to_numpy(np.float64) for name in ("position", "propensity") if name in rows}
        frame = pl.DataFrame(known, nan_to_null=True, schema=dict.fromkeys(known, pl.Float64))
        if "propensity" not in known:
            frame = frame.with_columns(propensity=pl.lit(None, pl.Float64))
        return with_propensity(frame, self.propensities).rows["examined"].to_numpy()


def bias_of(counts: pl.DataFrame, method: str, grades: pd.DataFrame | None = None) -> Bias:
    """What the counts of a log say of positions.

    Args:
        counts: What `counted` gave for this method, or `merged` of parts.
        method: An estimator's name, or `auto`, which says why where it cannot tell, rather than fail.
        grades: As `Bias` has them.

    Raises:
        BadInput: The log tells nothing of positions, and the method is not `auto`.
    """
    try:
        return Bias(method, estimated(counts, method), grades=grades)
    except BadInput as error:
        if method != AUTO:
            raise
        return Bias(method, None, str(error), grades)


@dataclass(frozen=True)
class Decision:
    """Whether samples are corrected.

    Attributes:
        taken: They are.
        share: Mean of `share_of` their looks, which is weight 1.
        facts: For the manifest and the report: `asked`, `kept` (`corrected` or `naive`), `why`, and where
            there are some `propensities`, `weights`, `check`.
    """

    taken: bool
    share: float
    facts: dict[str, Any]


def decide(samples: pd.DataFrame, bias: Bias, ledger: Ledger) -> Decision:
    """Learn from the samples either way, and see which ranks trusted lists better.

    What is trusted are grades where there are some beside the log. Else it is purchases, as a share of the
    clicks of a pair: whoever clicked has looked, so that neither positions nor what was found of them have a
    part in it, as they have in the number of clicks or purchases. Pairs without a click say nothing then.

    Args:
        samples: Columns sample_id, group_id, context, item, split, label, weight, unbiased, looks; where
            purchases are known, clicks and bought.
        bias: What was found.
        ledger: Gets `corrected_for_position` or `not_corrected_for_position` as noted, with the reason.
    """
    looks = samples["looks"].to_numpy(np.float64)
    facts: dict[str, Any] = {"asked": bias.method}
    taken, why = False, f"{bias.why}: nothing was corrected"
    if bias.propensities is not None:
        weight, examined = weight_of(looks), bias.propensities.examined
        facts |= {
            "propensities": bias.propensities.as_dict(),
            "weights": {
                "clip": CLIP,
                "clipped": int(bias.propensities.shown[examined < 1 / CLIP].sum()),
                "enough_looks": ENOUGH_LOOKS,
                "labels_clipped": int((samples["unbiased"] >= 1).sum()),
                "effective_samples": round(effective_size(weight), 3),
                "least": float(weight.min()),
                "largest": float(weight.max()),
            },
        }
        trusted = _trusted(samples, bias)
        if trusted is None:
            why = (
                "neither grades nor purchases to see by whether a correction does harm: fell back to naive "
                "labels"
            )
        else:
            taken, why, facts["check"] = _checked(samples, weight, *trusted)
    ledger.note("corrected_for_position" if taken else "not_corrected_for_position", len(samples), [why])
    facts |= {"kept": "corrected" if taken else "naive", "why": why}
    return Decision(taken, float(share_of(looks).mean()) if len(looks) else 1.0, facts)


def taken(samples: pd.DataFrame, decision: Decision) -> pd.DataFrame:
    """Samples with the labels and weights that were decided on, without what they were decided by."""
    if decision.taken:
        weight = weight_of(samples["looks"].to_numpy(np.float64), decision.share)
        samples = samples.assign(label=samples["unbiased"], weight=samples["sampled"] * weight)
    extra = ("looks", "unbiased", "sampled", "clicks", "bought")
    return samples.drop(columns=[name for name in extra if name in samples])


_Trusted = tuple[pd.DataFrame, float, str]


def _trusted(samples: pd.DataFrame, bias: Bias) -> _Trusted | None:
    """Rows to rank (group_id, context, item, sample_id, grade), the grade of relevance, and what it is."""
    held = samples[samples["split"].isin(HELD_OUT)]
    if bias.grades is not None and len(bias.grades):
        rows = bias.grades[bias.grades["context"].isin(held["context"])].reset_index(drop=True)
        names = rows.index.astype(str).str.zfill(12)
        return (
            rows.assign(group_id=rows["context"], sample_id=names),
            bias.grades["grade"].max() / 2,
            "grades",
        )
    if "bought" not in samples or not samples["bought"].sum():
        return None
    mean = samples["bought"].sum() / max(samples["clicks"].sum(), 1.0)
    held = held[held["clicks"] > 0]
    rate = (held["bought"] + FEW_CLICKS * mean) / (held["clicks"] + FEW_CLICKS)
    return held.assign(grade=rate), _ANY, "purchases of those who clicked"


def _checked(
    samples: pd.DataFrame, weight: np.ndarray, trusted: pd.DataFrame, relevant_at: float, what: str
) -> tuple[bool, str, dict[str, Any]]:
    train = np.flatnonzero((samples["split"] == "train").to_numpy())
    order = np.argsort(samples["sample_id"].to_numpy(object)[train].astype(str), kind="stable")
    train = train[order[:LEARNT_FROM]]
    learnt = samples.iloc[train]
    sampled = learnt["sampled"].to_numpy(np.float64)
    pairs = [pd.concat([learnt[name], trusted[name]]).tolist() for name in ("context", "item")]
    features = crossed(*pairs)
    naive = Taught(learnt["label"].to_numpy(np.float64), learnt["weight"].to_numpy(np.float64))
    corrected = Taught(learnt["unbiased"].to_numpy(np.float64), sampled * weight[train])
    lists, ids = (trusted[name].to_numpy(object).astype(str) for name in ("group_id", "sample_id"))
    verdict = do_no_harm(
        features[: len(learnt)], naive, corrected, features[len(learnt) :],
        lists, trusted["grade"].to_numpy(np.float64), ids, relevant_at,
        strengths=_STRENGTHS,
    )  # fmt: skip
    return verdict.taken, f"{verdict.why} (by {what})", verdict.as_dict() | {"trusted": what}
