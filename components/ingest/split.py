"""Splits and sub-samples: whole groups, by a hash of the group with a fixed salt, never by a seed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
from assay.components.core.errors import BadInput
from assay.components.core.samples import SPLIT_SALT, SPLITS, hash_unit
from assay.components.ingest.ledger import Ledger

_INTERVALS = {"test": (0.0, 0.20), "validation": (0.20, 0.30), "target": (0.30, 0.35)}
_SAMPLE_SALT = "assay-sample-1"


def assign_splits(frame: pd.DataFrame) -> pd.Series:
    """Complete the splits: what the file does not give is cut from train.

    A group's split is a function of its text alone, or of its unit's, so a later, longer log never moves a
    test group into training. Only where no train group falls into validation or target is the nearest one
    taken.

    Args:
        frame: Columns group_id, split (None where the file does not say), and where there `unit`, which a
            split does not tear; a group lies in one unit.

    Returns:
        (n,) split of each row.

    Raises:
        BadInput: A group lies in two given splits.
    """
    split = frame["split"].fillna("train")
    given = set(split) - {"train"}
    torn = split.groupby(frame["group_id"]).nunique()
    if (torn > 1).any():
        group = torn.index[torn > 1][0]
        raise BadInput(
            f"{int((torn > 1).sum())} groups lie in more than one split (e.g. {group[:80]!r}): "
            "a list must be whole; mend the split column or choose another group"
        )
    unit = frame["unit"] if "unit" in frame else frame["group_id"]
    groups = pd.Series(np.sort(unit[split == "train"].unique()))
    place = hash_unit(groups.tolist(), SPLIT_SALT)
    cut = np.full(len(groups), "train", dtype=object)
    for name, (low, high) in _INTERVALS.items():
        if name not in given:
            cut[(place >= low) & (place < high)] = name
    for name in ("validation", "target"):
        left = np.flatnonzero(cut == "train")
        if name not in given and not (cut == name).any() and len(left) > 1:
            cut[left[np.argmin(place[left])]] = name
    by_group = dict(zip(groups, cut, strict=True))
    return split.where(split != "train", unit.map(by_group))


def sample_groups(frame: pd.DataFrame, splits: tuple[str, ...], most: int) -> pd.Series:
    """Whole groups of some splits, in hash order, as many as fit into a number of rows.

    Args:
        frame: Columns group_id, split.
        splits: The splits that the bound is on.
        most: Rows at most.

    Returns:
        (n,) bool: rows to leave out.
    """
    inside = frame["split"].isin(splits)
    sizes = frame.loc[inside].groupby("group_id").size()
    order = np.argsort(hash_unit(sizes.index.tolist(), _SAMPLE_SALT), kind="stable")
    kept, rows = set(), 0
    for group, size in zip(sizes.index[order], sizes.to_numpy()[order], strict=True):
        if rows + size <= most:
            kept.add(group)
            rows += int(size)
    return inside & ~frame["group_id"].isin(kept)


def split_and_sample(
    frame: pd.DataFrame, ledger: Ledger, sample: int = 0, test_sample: int = 0
) -> pd.DataFrame:
    """Give each row its split and leave out what the bounds exclude.

    Args:
        frame: Columns group_id, split.
        ledger: Where rows left out are counted.
        sample: Rows at most of train, validation and target together; 0 is no bound.
        test_sample: Rows at most of test; 0 is no bound.

    Raises:
        BadInput: A split is left without a group.
    """
    frame = frame.copy()
    groups = frame["group_id"].nunique()
    if groups < 2:
        raise BadInput(
            "one group only: a ranker is tested on lists it did not train on; map another column to group"
        )
    frame["split"] = assign_splits(frame)
    for splits, most, option in (
        (("train", "validation", "target"), sample, "--sample"),
        (("test",), test_sample, "--test-sample"),
    ):
        if most:
            out = sample_groups(frame, splits, most)
            ledger.drop("not_sampled", int(out.sum()))
            frame = frame[~out]
            if not frame["split"].isin(splits).any():
                raise BadInput(f"{option} {most}: no whole group of {' / '.join(splits)} is that small")
    frame["split"] = _keep_all_splits(frame)
    counts = {s: int(frame.loc[frame["split"] == s, "group_id"].nunique()) for s in SPLITS}
    empty = [s for s in SPLITS if not counts[s]]
    if empty or counts["train"] < 2:
        shown = ", ".join(f"{s} {n}" for s, n in counts.items())
        raise BadInput(f"too few groups: {groups} groups give {shown}; train needs 2, every other split 1")
    return frame.reset_index(drop=True)


def _keep_all_splits(frame: pd.DataFrame) -> pd.Series:
    # Sub-sampling few groups can lose validation or target again: cut them anew from what train is left.
    split = frame["split"].copy()
    unit = frame["unit"] if "unit" in frame else frame["group_id"]
    for name in ("validation", "target"):
        groups = np.sort(unit[split == "train"].unique())
        if (split == name).any() or len(groups) < 3:
            continue
        nearest = groups[np.argmin(hash_unit(groups.tolist(), SPLIT_SALT))]
        split[(unit == nearest) & (split == "train")] = name
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
