"""What people did with a row's item, told by other rows: never by its own label, never by a later one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

PRIOR = 5.0
"""Rows of the mean kind that an item's share of takers is shrunk by."""
WORDS = {"price": "price", "dwell": "time spent on the item", "impressions": "times the pair was shown"}
"""Keys of the sample table's `features` in words; others are named as they are."""
DAY = 86_400_000_000
"""Microseconds."""


def behaviour(
    samples: pd.DataFrame, vectors: np.ndarray, right: np.ndarray, fit: np.ndarray
) -> dict[str, np.ndarray]:
    """Behaviour features by their names in words; NaN where a row has none.

    Labels of other rows are looked at, of rows in `fit` alone, and where rows have times only of earlier
    ones.

    Args:
        samples: n rows: group_id, item_id, label, position, timestamp, features.
        vectors: (texts, d) unit-length.
        right: (n,) text of each row's item.
        fit: (n,) bool, the rows whose labels may be looked at.

    Returns:
        {words: (n,) float64}.
    """
    label = samples["label"].to_numpy(np.float64)
    times = _microseconds(samples["timestamp"]) if "timestamp" in samples else None
    known = fit if times is None else fit & (times > np.iinfo(np.int64).min)
    group = pd.factorize(samples["group_id"])[0]
    item = pd.factorize(samples["item_id"])[0]
    out = dict(_own(samples, group, times, fit))
    one = np.ones(len(label))
    counts = np.column_stack([one, label])
    here, everywhere = others(item, counts, times, known), others(np.zeros_like(item), counts, times, known)
    mean = everywhere[:, 1] / np.maximum(everywhere[:, 0], 1.0)
    out["how often the item is shown elsewhere"] = np.log1p(here[:, 0])
    out["how often the item is taken elsewhere"] = (here[:, 1] + PRIOR * mean) / (here[:, 0] + PRIOR)
    mine = others(group, counts, times, known)
    out["how much its list takes"] = np.where(mine[:, 0] > 0, mine[:, 1] / np.maximum(mine[:, 0], 1), np.nan)
    for words, weight in (("took", label), ("passed over", 1 - label)):
        out[f"likeness to what its list {words}"] = likeness(
            group, vectors, right, np.where(known, weight, 0.0), times
        )
    return out


def others(keys: np.ndarray, values: np.ndarray, times: np.ndarray | None, fit: np.ndarray) -> np.ndarray:
    """Sum of other rows' values of the same key; of earlier rows alone, where there are times.

    Args:
        keys: (n,) int64 >= 0.
        values: (n, c) float64.
        times: (n,) int64 or None.
        fit: (n,) bool, rows whose values count.

    Returns:
        (n, c) float64.
    """
    values = np.where(fit[:, None], values, 0.0)
    if times is None:
        sums = np.zeros((int(keys.max(initial=-1)) + 1, values.shape[1]))
        np.add.at(sums, keys, values)
        return sums[keys] - values
    order = np.lexsort((times, keys))
    k, t = keys[order], times[order]
    before = np.vstack([np.zeros(values.shape[1]), np.cumsum(values[order], axis=0)])
    starts = np.flatnonzero(np.r_[True, k[1:] != k[:-1]]) if len(k) else np.zeros(0, dtype=np.int64)
    # Rows of the same moment do not know of each other.
    moments = np.flatnonzero(np.r_[True, (k[1:] != k[:-1]) | (t[1:] != t[:-1])]) if len(k) else starts
    place = np.arange(len(k))
    start, moment = (a[np.searchsorted(a, place, side="right") - 1] for a in (starts, moments))
    out = np.empty_like(values)
    out[order] = before[moment] - before[start]
    return out


def likeness(
    group: np.ndarray, vectors: np.ndarray, right: np.ndarray, weight: np.ndarray, times: np.ndarray | None
) -> np.ndarray:
    """Cosine of each row's item to the weighted mean of its group's other items.

    Args:
        group: (n,) int64.
        vectors: (texts, d) unit-length.
        right: (n,) text of each item.
        weight: (n,) >= 0 of each row in others' means.
        times: As `others` takes them.

    Returns:
        (n,) float64 in [-1, 1]; NaN where the others have no weight.
    """
    out = np.full(len(group), np.nan)
    for rows in _by_group(group):
        items = vectors[right[rows]].astype(np.float64)
        weighted = np.column_stack([items * weight[rows, None], weight[rows]])
        sums = others(
            np.zeros(len(rows), dtype=np.int64),
            weighted,
            None if times is None else times[rows],
            np.ones(len(rows), dtype=bool),
        )
        there = sums[:, -1] > 1e-9
        length = np.linalg.norm(sums[:, :-1], axis=1)
        dots = np.einsum("ij,ij->i", items, sums[:, :-1])
        out[rows[there]] = (dots / np.maximum(length, 1e-12))[there]
    return out


def _own(
    samples: pd.DataFrame, group: np.ndarray, times: np.ndarray | None, fit: np.ndarray
) -> Iterator[tuple[str, np.ndarray]]:
    """What a row says of itself."""
    maps = [dict(m) if m is not None else {} for m in samples["features"]] if "features" in samples else []
    for key in sorted(set().union(*maps)):
        value = np.array([m.get(key, np.nan) for m in maps], dtype=np.float64)
        yield WORDS.get(key, key.replace("_", " ")), np.sign(value) * np.log1p(np.abs(value))
        if key == "price":
            cost = pd.Series(np.log(np.where(value > 0, value, np.nan)))
            yield "price against its list's", (cost - cost.groupby(group).transform("median")).to_numpy()
    if "position" in samples and samples["position"].notna().any():
        yield "place in the list", np.log(samples["position"].astype("float64").to_numpy())
    if times is not None:
        seen = times > np.iinfo(np.int64).min
        newest = times[fit & seen].max(initial=times.min())
        age = np.where(seen, (newest - np.where(seen, times, 0)) / DAY, np.nan)
        yield "age of the row", np.log1p(np.maximum(age, 0.0))
    size = np.bincount(group, minlength=1)[group] if len(group) else np.zeros(0)
    yield "length of its list", np.log(size.astype(np.float64))


def _microseconds(column: pd.Series) -> np.ndarray | None:
    """(n,) int64 since 1970, the least int64 where missing; None where all are."""
    if not column.notna().any():
        return None
    moments = pd.to_datetime(column, utc=True).dt.tz_localize(None).astype("datetime64[us]")
    return moments.to_numpy().astype(np.int64)


def _by_group(group: np.ndarray) -> list[np.ndarray]:
    order = np.argsort(group, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(group[order])) + 1) if len(order) else []
