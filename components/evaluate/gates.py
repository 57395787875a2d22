"""The gate: may the challenger replace what is there? One answer, every reason written."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from assay.components.core.metrics import (
    METRICS,
    Lists,
    expected_calibration_error,
    gained,
    paired_bootstrap,
)

MIN_SLICE = 10
"""Lists of a slice below which nothing is concluded from it."""


@dataclass(frozen=True)
class GateConfig:
    """What a challenger must hold. 0 means, of the last three: not asked for.

    Attributes:
        slice_floor: Largest loss of the primary metric allowed in any slice; a slice fails when its
            interval lies wholly below minus this.
        max_ece: Largest expected calibration error.
        max_milliseconds: Largest CPU time a row, in ms.
        max_megabytes: Largest size of the weights.
    """

    slice_floor: float = 0.02
    max_ece: float = 0.0
    max_milliseconds: float = 0.0
    max_megabytes: float = 0.0


def slices(
    lists: Lists, segments: np.ndarray, first: np.ndarray, second: np.ndarray, metric: str
) -> list[dict]:
    """First minus second in each segment, with intervals; of segments with too few lists only the count.

    Args:
        lists: The test rows.
        segments: (n,) segment of each row.
        first: (n,) scores.
        second: (n,) scores.
        metric: A name of `METRICS`.
    """
    out = []
    for segment in sorted(set(segments)):
        inside = segments == segment
        part = lists.part(inside)
        count = len(part.ranked()) if METRICS[metric].by_list else len(np.unique(part.groups))
        compared = (
            paired_bootstrap(part, first[inside], second[inside], metric) if count >= MIN_SLICE else None
        )
        out.append({"segment": str(segment), "lists": count, "comparison": compared})
    return out


def gate(
    config: GateConfig,
    against: str,
    comparison: dict[str, float],
    by_slice: list[dict],
    challenger: np.ndarray,
    relevant: np.ndarray,
    milliseconds: float,
    megabytes: float,
    metric: str = "ndcg@10",
) -> dict:
    """Judge the challenger.

    A tie never passes: the whole interval of the difference must lie above 0, or below it where less of the
    metric is better, which an equally good model reaches in at most 2.5 of 100 runs.

    Args:
        config: The bounds.
        against: `champion` or `base`.
        comparison: Challenger minus that, as `paired_bootstrap` gives it.
        by_slice: As `slices` gives it.
        challenger: (n,) logits on the test rows.
        relevant: (n,) bool.
        milliseconds: CPU time a row.
        megabytes: Size of the weights.
        metric: What is compared.

    Returns:
        {"passed": bool, "against": str, "reasons": [one line a check, what was found and what was asked]}.
    """
    ece = expected_calibration_error(1 / (1 + np.exp(-challenger)), relevant)
    worst = [
        s for s in by_slice if s["comparison"] and gained(s["comparison"], metric)[2] < -config.slice_floor
    ]
    side = "above" if METRICS[metric].greater_is_better else "below"
    spread = float(np.std(challenger))
    interval = f"{comparison['difference']:+.4f} [{comparison['low']:+.4f}, {comparison['high']:+.4f}]"
    checks = [
        (
            gained(comparison, metric)[1] > 0,
            f"difference to {against} {interval}: the whole interval must lie {side} 0",
        ),
        (
            spread > 1e-4,
            f"scores have a standard deviation of {spread:.2g}: they must not be collapsed to a constant",
        ),
        (
            not worst,
            f"slices: {', '.join(s['segment'] for s in worst) or 'none'} lost against {against} "
            f"(by more than {config.slice_floor:g}, interval and all)",
        ),
    ]
    for bound, found, what in (
        (config.max_ece, ece, "expected calibration error"),
        (config.max_milliseconds, milliseconds, "CPU ms a row"),
        (config.max_megabytes, megabytes, "MB of weights"),
    ):
        if bound:
            checks.append((found <= bound, f"{what} {found:.3g}: at most {bound:g}"))
    reasons = [f"{'passed' if held else 'failed'}: {text}" for held, text in checks]
    return {"passed": all(held for held, _ in checks), "against": against, "reasons": reasons}


def verdict(comparison: dict[str, float] | None, metric: str = "ndcg@10") -> str:
    """What is said of the selection: challenger against control, `unproven` where there is no control."""
    if comparison is None:
        return "unproven"
    _, low, high = gained(comparison, metric)
    if low > 0:
        return "gain"
    return "loss" if high < 0 else "no significant gain"
