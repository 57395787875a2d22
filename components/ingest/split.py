"""Splits and sub-samples: whole groups, by a hash of the group with a fixed salt, never by a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
import polars as pl
from assay.components.core.errors import BadInput
from assay.components.core.samples import SPLIT_SALT, SPLITS, hash_unit
from assay.components.ingest.ledger import Ledger

_INTERVALS = {"test": (0.0, 0.20), "validation": (0.20, 0.30), "target": (0.30, 0.35)}
_SAMPLE_SALT = "assay-sample-1"
_UNCLICKED_SALT = "assay-unclicked-1"
_TRAIN = SPLITS.index("train")
OUT = -1
"""In place of a split's number: left out."""


@dataclass(frozen=True)
class Groups:
    """What splits are made of: a row a group, in numbers alone, since a log may have millions.

    Attributes:
        unit: (g,) float64: place in [0, 1) of what a split does not tear, under the salt of splits.
        place: (g,) float64: the group's own, under the salt of sub-samples; empty where none is drawn.
        size: (g,) int32: its rows.
        split: (g,) int8: number in `SPLITS` of the split that the file gives; train where it gives none.
        spare: (g,) bool: whether it is left out where it is one to train on.
    """

    unit: np.ndarray
    place: np.ndarray
    size: np.ndarray
    split: np.ndarray
    spare: np.ndarray

    @classmethod
    def together(cls, parts: Sequence[Groups]) -> Groups:
        """Those of all parts; a group is in one of them."""
        return cls(
            *(np.concatenate([getattr(part, column.name) for part in parts]) for column in fields(cls))
        )


def groups_of(
    frame: pd.DataFrame, keep_unclicked: float = 1.0, sampled: bool = True
) -> tuple[Groups, np.ndarray]:
    """The groups of some rows, in the order they come in.

    Args:
        frame: Columns group_id, split (None where the file does not say), and where there `unit`; a group
            lies in one unit.
        keep_unclicked: Share of the lists without a click that is not spared, by hash; asks for `click`.
        sampled: Whether a sub-sample may be drawn of them.

    Returns:
        The groups, and (n,) each row's number among them.

    Raises:
        BadInput: A group lies in two given splits.
    """
    row, names = pd.factorize(frame["group_id"])
    first = np.unique(row, return_index=True)[1]
    split = pd.Categorical(frame["split"].fillna("train"), categories=SPLITS).codes.astype(np.int8)
    torn = np.unique(row[split != split[first][row]])
    if len(torn):
        raise BadInput(
            f"{len(torn)} groups lie in more than one split (e.g. {names[torn[0]][:80]!r}): "
            "a list must be whole; mend the split column or choose another group"
        )
    place = hash_unit(list(names), _SAMPLE_SALT) if sampled else np.zeros(0)
    unit, units = pd.factorize((frame["unit"] if "unit" in frame else frame["group_id"]).iloc[first])
    spare = np.zeros(len(names), dtype=bool)
    if keep_unclicked < 1:
        spare = hash_unit(list(names), _UNCLICKED_SALT) >= keep_unclicked
        spare[row[(frame["click"] > 0).to_numpy()]] = False
    size = np.bincount(row).astype(np.int32)
    return Groups(hash_unit(list(units), SPLIT_SALT)[unit], place, size, split[first], spare), row


def assign_splits(groups: Groups) -> np.ndarray:
    """Complete the splits: what the file does not give is cut from train.

    A group's split is a function of its text alone, or of its unit's, so a later, longer log never moves a
    test group into training. Only where no train group falls into validation or target is the nearest one
    taken.

    Returns:
        (g,) int8: number in `SPLITS`.
    """
    train = groups.split == _TRAIN
    given = {SPLITS[number] for number in np.unique(groups.split[~train])}
    units = np.unique(groups.unit[train])
    cut = np.full(len(units), _TRAIN, dtype=np.int8)
    for name, (low, high) in _INTERVALS.items():
        if name not in given:
            cut[(units >= low) & (units < high)] = SPLITS.index(name)
    for name in ("validation", "target"):
        left = np.flatnonzero(cut == _TRAIN)
        if name not in given and not (cut == SPLITS.index(name)).any() and len(left) > 1:
            cut[left[0]] = SPLITS.index(name)
    split = groups.split.copy()
    split[train] = cut[np.searchsorted(units, groups.unit[train])]
    return split


def sample_groups(groups: Groups, inside: np.ndarray, most: int) -> np.ndarray:
    """Whole groups, in hash order, as many as fit into a number of rows.

    Args:
        groups: All of them.
        inside: (g,) bool: those that the bound is on.
        most: Rows at most.

    Returns:
        (g,) bool: groups to leave out.
    """
    out, rows = inside.copy(), 0
    among = np.flatnonzero(inside)
    among = among[np.argsort(groups.place[among], kind="stable")]
    for group, size in zip(among.tolist(), groups.size[among].tolist(), strict=True):
        if rows + size <= most:
            out[group] = False
            rows += size
    return out


def split_and_sample(groups: Groups, ledger: Ledger, sample: int = 0, test_sample: int = 0) -> np.ndarray:
    """Give each group its split and leave out what the bounds exclude.

    Args:
        groups: All groups of the log.
        ledger: Where rows left out are counted.
        sample: Rows at most of train, validation and target together; 0 is no bound.
        test_sample: Rows at most of test; 0 is no bound. Spared groups count for neither.

    Returns:
        (g,) int8: number in `SPLITS`, `OUT` of what is left out.

    Raises:
        BadInput: A split is left without a group.
    """
    if len(groups.unit) < 2:
        raise BadInput(
            "one group only: a ranker is tested on lists it did not train on; map another column to group"
        )
    split = assign_splits(groups)
    spare = groups.spare & (split == _TRAIN)
    ledger.drop("unclicked_not_kept", int(groups.size[spare].sum()))
    split[spare] = OUT
    test = SPLITS.index("test")
    for inside, most, option in (
        ((split != test) & ~spare, sample, "--sample"),
        (split == test, test_sample, "--test-sample"),
    ):
        if most:
            out = sample_groups(groups, inside, most)
            ledger.drop("not_sampled", int(groups.size[out].sum()))
            split[out] = OUT
            if not (inside & ~out).any():
                splits = "test" if option == "--test-sample" else "train / validation / target"
                raise BadInput(f"{option} {most}: no whole group of {splits} is that small")
    # Sub-sampling few groups can lose validation or target again: cut them anew from what train is left.
    for name in ("validation", "target"):
        units = np.unique(groups.unit[split == _TRAIN])
        if not (split == SPLITS.index(name)).any() and len(units) >= 3:
            split[(split == _TRAIN) & (groups.unit == units[0])] = SPLITS.index(name)
    counts = {name: int((split == number).sum()) for number, name in enumerate(SPLITS)}
    if counts["train"] < 2 or not all(counts.values()):
        shown = ", ".join(f"{name} {n}" for name, n in counts.items())
        raise BadInput(
            f"too few groups: {len(split)} groups give {shown}; train needs 2, every other split 1"
        )
    return split


def alike(texts: pl.Series) -> pl.Series:
    """What near-duplicate texts have in common: their words, in any order and any case, without marks.

    Units of a split are made of it, so that "Red shoe!" and "shoe red" never lie on both sides.
    """
    words = texts.str.normalize("NFKC").str.to_lowercase().str.extract_all(r"\w+")
    key = words.list.unique().list.sort().list.join(" ")
    return pl.select(pl.when(key != "").then(key).otherwise(texts)).to_series()


def apart(texts: pd.Series) -> pd.Series:
    """The unit of each text: itself, and of several that are `alike` the one whose hash is the largest.

    A text that has no near-duplicate lies where its own hash puts it. A later log may bring a near-duplicate
    of a larger hash, and the unit moves with it. Splits being intervals of the hash, train the last, what was
    trained on stays in train: a later test set holds nothing that an earlier run trained on. What was tested
    may come to be trained on, and is tested no more.

    Args:
        texts: (n,) as the groups have them.
    """
    distinct = pl.Series("text", pd.unique(texts).tolist(), dtype=pl.String)
    several = distinct.to_frame().filter(pl.len().over(alike(distinct).alias("key")) > 1)
    place = pl.Series("place", hash_unit(several["text"].to_list(), SPLIT_SALT), dtype=pl.Float64)
    largest = pl.col("text").sort_by("place").last().over("key")
    named = several.with_columns(place, alike(several["text"]).alias("key")).with_columns(unit=largest)
    units = dict(named.select("text", "unit").iter_rows())
    return texts.map(lambda text: units.get(text, text)) if units else texts


def splits_by_time(timestamps: pd.Series) -> pd.Series:
    """The last fifth of the rows in time is tested, the tenth before it validates.

    Rows of one moment stay together. The target is left to the hash of the unit.

    Args:
        timestamps: (n,) in UTC.

    Raises:
        BadInput: A time is missing.
    """
    if timestamps.isna().any():
        raise BadInput(
            f"policy.holdout time: {int(timestamps.isna().sum())} of {len(timestamps)} rows have no time; "
            "name the column with --columns timestamp=COLUMN, or leave the holdout out"
        )
    first, second = timestamps.quantile([0.7, 0.8], interpolation="lower")
    return pd.Series(
        np.select([timestamps > second, timestamps > first], ["test", "validation"], "train").astype(object),
        index=timestamps.index,
    )


def check_leaks(rows: pd.DataFrame, clock: str = "") -> None:
    """See that nothing of the test split was in training: no list, no unit, no future.

    Args:
        rows: Columns group_id, split; where there: `unit`, which lies in one split unless the clock parts it,
            `happened` and `seen_until`, as `Built` has them.
        clock: As `Built` has it.

    Raises:
        BadInput: Something leaks.
    """
    apart = ["group_id"] if clock or "unit" not in rows else ["group_id", "unit"]
    for column in apart:
        torn = rows.groupby(column)["split"].nunique()
        if (torn > 1).any():
            raise BadInput(
                f"leak: {int((torn > 1).sum())} of {len(torn)} values of {column} lie in more than one split "
                f"(e.g. {str(torn.index[torn > 1][0])[:80]!r}); leave the split column out, or mend it"
            )
    if "seen_until" in rows:
        late = rows["seen_until"] > rows["happened"]
        if late.any():
            raise BadInput(f"leak: {int(late.sum())} contexts tell of what came after their label")
    if clock:
        by = rows["unit"] if clock == "user" else pd.Series("all", index=rows.index)
        tested = (rows["split"] == "test").to_numpy()
        first = rows["happened"][tested].groupby(by[tested]).min()
        last = rows["happened"][~tested].groupby(by[~tested]).max()
        late = last.reindex(first.index) >= first
        if late.any():
            raise BadInput(
                f"leak: {int(late.sum())} of {len(first)} test histories ({late.index[late][0]!r}) come "
                "before something that is trained on; order the log by time, or name its column"
            )
