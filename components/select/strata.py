"""Strata: the best rows of each label, since the best of all together collapse onto one."""

from __future__ import annotations

import numpy as np
import pandas as pd


def quotas(sizes: pd.Series, total: int) -> pd.Series:
    """Share a total out in proportion to sizes, by largest remainders; ties go to the first.

    Args:
        sizes: Rows of each stratum, by name.
        total: What to share out, at most the sum of sizes.

    Returns:
        Rows of each stratum; they sum to `total` and none exceeds its size.
    """
    exact = sizes / sizes.sum() * total
    share = np.floor(exact).astype(int)
    order = np.argsort(-(exact - share).to_numpy(), kind="stable")
    share.iloc[order[: total - int(share.sum())]] += 1
    return share.clip(upper=sizes)


def best_of_strata(rows: pd.DataFrame, count: int) -> pd.Index:
    """Index of the `count` most important rows, in proportion to the strata.

    Args:
        rows: Columns stratum, importance, sample_id (which breaks ties).
        count: At most len(rows).
    """
    quota = quotas(rows.groupby("stratum", observed=True).size(), count)
    ordered = rows.sort_values(["importance", "sample_id"], ascending=[False, True])
    place = ordered.groupby("stratum", observed=True).cumcount()
    return ordered.index[place < ordered["stratum"].map(quota).astype(int)]
