"""Ids that came before, wherever in the log: eight bytes an id."""

from __future__ import annotations

import numpy as np
import pandas as pd

_RUNS = 8
"""Sorted runs that are looked through one by one before they are made one."""


def hashed(ids: pd.Series) -> pd.Series:
    """(n,) UInt64 hash of each id, null of a null one."""
    out = pd.Series(pd.NA, index=ids.index, dtype="UInt64")
    known = ids.notna()
    out[known] = pd.util.hash_array(ids[known].astype(str).to_numpy(object), categorize=False)
    return out


class Seen:
    """Ids by their 64-bit hash: two of a billion are taken for one with probability .03."""

    def __init__(self) -> None:
        """None was seen yet."""
        self._runs: list[np.ndarray] = []

    def again(self, ids: pd.Series) -> np.ndarray:
        """(n,) bool: whether an id came before, in this call or another; a null one never does.

        Args:
            ids: As `hashed` gives them.
        """
        known = ids.notna().to_numpy()
        values = ids[known].to_numpy(np.uint64)
        found = pd.Series(values).duplicated().to_numpy(copy=True)
        for run in self._runs:
            place = np.minimum(np.searchsorted(run, values), len(run) - 1)
            found |= run[place] == values
        if not found.all():
            self._runs.append(np.sort(values[~found]))
        if len(self._runs) > _RUNS:
            self._runs = [np.sort(np.concatenate(self._runs))]
        out = np.zeros(len(ids), dtype=bool)
        out[known] = found
        return out
