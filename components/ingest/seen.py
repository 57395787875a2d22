"""Ids that came before, wherever in the log: eight bytes an id."""

from __future__ import annotations

import numpy as np
import pandas as pd

_RUNS = 8
"""Sorted runs that are looked through one by one before they are made one."""


class Seen:
    """Ids by their 64-bit hash: two of a billion are taken for one with probability .03."""

    def __init__(self) -> None:
        """None was seen yet."""
        self._runs: list[np.ndarray] = []

    def again(self, ids: pd.Series) -> np.ndarray:
        """(n,) bool: whether an id came before, in this call or another; a null one never does."""
        known = ids.notna().to_numpy()
        hashed = pd.util.hash_array(ids[known].astype(str).to_numpy(object), categorize=False)
        found = pd.Series(hashed).duplicated().to_numpy(copy=True)
        for run in self._runs:
            place = np.minimum(np.searchsorted(run, hashed), len(run) - 1)
            found |= run[place] == hashed
        if not found.all():
            self._runs.append(np.sort(hashed[~found]))
        if len(self._runs) > _RUNS:
            self._runs = [np.sort(np.concatenate(self._runs))]
        out = np.zeros(len(ids), dtype=bool)
        out[known] = found
        return out
