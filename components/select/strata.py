"""Strata: the best rows of each label, since the best of all together collapse onto one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from assay.components.core.errors import BadInput


def quotas(sizes: pd.Series, total: int, floors: pd.Series | None = None) -> pd.Series:
    """Share a total out in proportion to sizes, by largest remainders; ties go to the first.

    Args:
        sizes: Rows of each stratum, by name.
        total: What to share out, at most the sum of sizes.
        floors: What each gets at least, at most its size; in sum at most `total`. Those whose proportion is
            less get their floor, and the others share the rest.

    Returns:
        Rows of each stratum; they sum to `total` and none exceeds its size.
    """
    if floors is not None:
        lifted = pd.Series(False, index=sizes.index)
        while True:
            rest = quotas(sizes[~lifted], total - int(floors[lifted].sum()))
            short = rest < floors[~lifted]
            if not short.any():
                return floors.where(lifted, rest.reindex(sizes.index)).astype(int)
            lifted[short.index[short]] = True
    if not len(sizes) or not sizes.sum():
        return sizes.astype(int)
    exact = sizes / sizes.sum() * total
    share = np.floor(exact).astype(int)
    order = np.argsort(-(exact - share).to_numpy(), kind="stable")
    share.iloc[order[: total - int(share.sum())]] += 1
    return share.clip(upper=sizes)


@dataclass(frozen=True)
class Strata:
    """Which stratum each of n rows is in.

    Attributes:
        code: (n,) int32, a place in `names`.
        names: Of the strata, sorted.
    """

    code: np.ndarray
    names: list[str]

    def sizes(self, inside: np.ndarray) -> pd.Series:
        """Rows of each stratum among those of a mask, by its code."""
        return pd.Series(np.bincount(self.code[inside], minlength=len(self.names)))

    def home(self, larger: Strata) -> np.ndarray:
        """(strata,) which stratum of a coarser division of the same rows each is in."""
        found = np.zeros(len(self.names), dtype=np.int64)
        found[self.code] = larger.code
        return found


def strata_of(columns: Sequence[pd.Series]) -> Strata:
    """Strata of rows of equal values in some columns; labels are rounded to hundredths.

    Args:
        columns: (n,) each; floats are labels.

    Returns:
        Names are the values with `/` between them.
    """
    code, words = np.zeros(len(columns[0]), dtype=np.int64), [""]
    for column in columns:
        codes, values = pd.factorize(column.round(2) if column.dtype.kind == "f" else column)
        texts = pd.Series(values).astype(str).tolist()
        code, found = pd.factorize(code * len(texts) + codes)
        words = [f"{words[at // len(texts)]}/{texts[at % len(texts)]}" for at in found.tolist()]
    order = sorted(range(len(words)), key=words.__getitem__)
    place = np.empty(len(words), dtype=np.int32)
    place[order] = np.arange(len(words), dtype=np.int32)
    return Strata(place[code], [words[at].removeprefix("/") for at in order])


def places(code: np.ndarray, worth: np.ndarray) -> np.ndarray:
    """Each row's place among those of its code, 1 for the one of most worth; of equals the first is before.

    Args:
        code: (n,) int, 0 or more.
        worth: (n,) numbers.

    Returns:
        (n,) int32.
    """
    order = np.lexsort((-worth, code))
    sizes = np.bincount(code)
    place = np.empty(len(code), dtype=np.int32)
    place[order] = np.arange(1, len(code) + 1, dtype=np.int32)
    place -= (np.cumsum(sizes) - sizes).astype(np.int32)[code]
    return place


def segment_floors(floor: float, cells: Strata, segments: Strata, plausible: np.ndarray) -> np.ndarray:
    """What each cell of (task, label, segment) keeps at least, so that its segment keeps its floor.

    Args:
        floor: A share in [0, 1) of the plausible rows of each segment, or so many of them, from 1 up; a
            smaller segment keeps all.
        cells: Of (task, label, segment).
        segments: Of (segment).
        plausible: (n,) which rows may be chosen.

    Returns:
        (cells,) int64; over the cells of a segment in proportion to their sizes.
    """
    sizes, of_segment = cells.sizes(plausible), segments.sizes(plausible)
    home = cells.home(segments)
    floors = np.zeros(len(sizes), dtype=np.int64)
    for segment, size in of_segment.items():
        least = math.ceil(round(floor * size, 6)) if floor < 1 else min(int(floor), size)
        mine = np.flatnonzero(home == segment)
        floors[mine] = quotas(sizes.iloc[mine], least).to_numpy()
    return floors


def check_floors(floors: np.ndarray, floor: float, count: int) -> None:
    """See that the floors leave room.

    Raises:
        BadInput: They need more than `count` rows.
    """
    if floors.sum() > count:
        raise BadInput(
            f"rules: floor {floor:g} needs {int(floors.sum())} rows in sum, and the budget keeps {count}; "
            "lower the floor or raise the budget"
        )
