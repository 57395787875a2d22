"""Splits and sub-samples: whole groups, by a hash of the group with a fixed salt, never by a seed."""

from __future__ import annotations

import numpy as np
import pandas as pd
from assay.components.core.errors import BadInput
from assay.components.core.samples import SPLIT_SALT, SPLITS, hash_unit
from assay.components.ingest.ledger import Ledger

_INTERVALS = {"test": (0.0, 0.20), "validation": (0.20, 0.30), "target": (0.30, 0.35)}
_SAMPLE_SALT = "assay-sample-1"


def assign_splits(frame: pd.DataFrame) -> pd.Series:
    """Complete the splits: what the file does not give is cut from train.

    A group's split is a function of its text alone, so a later, longer log never moves a test group into
    training. Only where no train group falls into validation or target is the nearest one taken.

    Args:
        frame: Columns group_id, split (None where the file does not say).

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
    groups = pd.Series(np.sort(frame.loc[split == "train", "group_id"].unique()))
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
    return split.where(split != "train", frame["group_id"].map(by_group))


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
    for name in ("validation", "target"):
        groups = np.sort(frame.loc[split == "train", "group_id"].unique())
        if (split == name).any() or len(groups) < 3:
            continue
        nearest = groups[np.argmin(hash_unit(groups.tolist(), SPLIT_SALT))]
        split[frame["group_id"] == nearest] = name
    return split
