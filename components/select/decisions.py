"""What is done with rows that look mislabelled, and how much a chosen row counts."""

from __future__ import annotations

import numpy as np
import pandas as pd

NOISY = ("drop", "relabel", "downweight", "keep")
LEAST_WEIGHT = 1e-3
"""Of a row that is downweighted: a weight of 0 would make a row of no batch."""


def treat(rows: pd.DataFrame, noisy: str) -> pd.DataFrame:
    """What each row would be trained on, how much it would count, and whether it may be chosen at all.

    - `drop`: rows that look mislabelled may not be chosen.
    - `relabel`: of them, those of decision relabel may, under their suggested label. A row's scores under the
      other label are about the mirror of those it got, so that it is worth 1 - importance there.
    - `downweight`: all may, and count by the probability that their label is right.
    - `keep`: all may, as they are.

    Args:
        rows: (n,) columns label, importance, noise, decision, suggested_label.
        noisy: Of `NOISY`.

    Returns:
        (n,) columns label (float32), weight (float32), worth (float64, what rows are chosen by), plausible
        (whether it may be chosen), decision, and treated (how it is, where it looks mislabelled and may be
        chosen for what is done about it: relabelled, downweighted; else "").
    """
    suspect = (rows["decision"] != "keep").to_numpy()
    label, worth = rows["label"].to_numpy(dtype=np.float32), rows["importance"].to_numpy(dtype=np.float64)
    weight, decision = np.ones(len(rows), dtype=np.float32), rows["decision"].astype("category")
    plausible, treated, change = ~suspect, "", np.zeros(len(rows), dtype=bool)
    if noisy == "relabel":
        suggested = rows["suggested_label"].to_numpy(dtype=np.float32)
        change, treated = (rows["decision"] == "relabel").to_numpy() & ~np.isnan(suggested), "relabelled"
        label, worth = np.where(change, suggested, label), np.where(change, 1.0 - worth, worth)
        plausible = plausible | change
    elif noisy == "downweight":
        right = np.clip(1.0 - rows["noise"].to_numpy(dtype=np.float64), LEAST_WEIGHT, 1.0)
        change, treated = suspect, "downweighted"
        weight = np.where(change, right, 1.0).astype(np.float32)
        decision = decision.cat.set_categories(decision.cat.categories.union(["downweight"]))
        decision[change] = "downweight"
        plausible = np.ones(len(rows), dtype=bool)
    elif noisy == "keep":
        decision = pd.Series("keep", index=rows.index).astype("category")
        plausible = np.ones(len(rows), dtype=bool)
    return pd.DataFrame(
        {
            "label": label,
            "weight": weight,
            "worth": worth,
            "plausible": plausible,
            "decision": decision,
            "treated": pd.Categorical.from_codes(change.astype(np.int8), ["", treated or "none"]),
        },
        index=rows.index,
    )


def soft_weights(worth: np.ndarray) -> np.ndarray:
    """What multiplies the weights of an arm's rows so that they count by their importance. (m,) mean 1.

    Args:
        worth: (m,) importance of the rows of the arm, 0 or more.
    """
    mean = worth.mean() if len(worth) else 0.0
    return worth / mean if mean > 0 else np.ones(len(worth))
