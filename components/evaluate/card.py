"""The card of a coreset: what the selection kept and lost, and what one should know before training on it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from assay.components.core.samples import hash_unit, relevance
from assay.components.evaluate.drift import drift
from scipy.stats import hypergeom

LABELS = 12
"""Distinct labels up to which each is a class of its own."""
SEGMENTS, EXAMPLES = 30, 10
"""Segments, and lists or items, that are shown at most."""
SENTENCES = 10
"""Losses of share that are warned of at most."""
CHANCE = 0.001
"""A loss of share is warned of where a random subset has it less often than this."""
FAR = 0.01
"""Share of the vectors' variance below which a drift is not warned of."""


def card(
    samples: pd.DataFrame,
    selection: pd.DataFrame,
    manifest: dict[str, Any],
    vectors_folder: str,
    relevant_at: float,
    seed: int,
) -> dict[str, Any]:
    """What the challenger's rows are, against all training rows.

    A share is of rows. Where rows were relabelled, what is kept counts under the label that it trains on.
    Lists and items are set beside a random subset of the same size, since a small one loses some, too.

    Args:
        samples: All training rows: sample_id, group_id, item_id, segment, label and, where graded, grade.
        selection: Rows of arms `challenger` and `none`; others are not looked at.
        manifest: Of the selection.
        vectors_folder: What `embed` wrote; "" leaves the drift out.
        relevant_at: Value of `relevance` from which a row is relevant.
        seed: Of random subsets.

    Returns:
        JSON-able, the same whatever the order of rows:

        - rows: before, after, and {reason: rows} of those kept and left_out
        - segments (the largest), segments_more (how many are not shown), classes, labels (None beyond
          `LABELS`): name, before, after, share_before, share_after, change
        - groups: before, without_rows, lost_half (of their share, those without rows among them), the same of
          a random subset, and most_lost by a hash of their ids, since an id may be a user's
        - items: before, lost, lost by a random subset, most_frequent of those lost
        - duplicates: collapsed, threshold, conflicts; None where they were not looked for
        - relabelled, downweighted: rows
        - drift: as `drift` says
        - warnings: sentences

    Raises:
        ValueError: The selection is of other rows.
    """
    rows = samples.sort_values("sample_id", kind="stable").reset_index(drop=True)
    mine = selection[selection["arm"].isin(["challenger", "none"])].set_index("sample_id")
    if len(mine) != len(rows) or not mine.index.isin(rows["sample_id"]).all():
        raise ValueError(f"the selection is of {len(mine)} rows, the samples are {len(rows)}: select again")
    mine = mine.loc[rows["sample_id"]]
    kept = (mine["arm"] == "challenger").to_numpy()
    given, trained = (frame["label"].to_numpy(dtype=np.float64) for frame in (rows, mine))
    changed = kept & (np.abs(given - trained) > 1e-6)
    relevant = relevance(rows) >= relevant_at
    # A label on the scale of [0, 1] is relevant from the smallest that is so as it was given.
    least = given[relevant].min() if relevant.any() else np.inf
    now = np.where(changed, trained >= least, relevant)
    words = np.array(["not relevant", "relevant"])
    segment = rows["segment"].astype(str).to_numpy()
    segments, classes = shares(segment, segment, kept), shares(words[relevant * 1], words[now * 1], kept)
    labels = shares(_numbers(given), _numbers(trained), kept)
    chance = np.zeros(len(rows), dtype=bool)
    draw = hash_unit(rows["sample_id"].tolist(), f"assay-card-{seed}")
    chance[np.argsort(draw, kind="stable")[: kept.sum()]] = True
    duplicates, reasons = (manifest.get("facts") or {}).get("duplicates"), mine["reason"].astype(str)
    found = {
        "rows": {
            "before": len(rows),
            "after": int(kept.sum()),
            "kept": _counts(reasons[kept]),
            "left_out": _counts(reasons[~kept]),
        },
        "segments": segments[:SEGMENTS],
        "segments_more": max(0, len(segments) - SEGMENTS),
        "classes": classes,
        "labels": labels if len(labels) <= LABELS else None,
        "groups": groups_lost(rows["group_id"], kept, chance),
        "items": items_lost(rows["item_id"], kept, chance),
        "duplicates": duplicates,
        "relabelled": int(changed.sum()),
        "downweighted": int((kept & (mine["decision"] == "downweight").to_numpy()).sum()),
        "drift": drift(rows["sample_id"].tolist(), kept, vectors_folder, seed),
    }
    kinds = [(f"Segment {one['name']}", one) for one in segments]
    kinds += [(f"The class {one['name']}", one) for one in classes]
    if 2 < len(labels) <= LABELS:
        kinds += [(f"Label {one['name']}", one) for one in labels]
    return found | {"warnings": warnings(kinds, found["drift"], len(rows), int(kept.sum()))}


def shares(before: np.ndarray, after: np.ndarray, kept: np.ndarray) -> list[dict[str, Any]]:
    """How many rows of each kind there were and are left, the largest kind first.

    Args:
        before: (n,) kind of each row, a string.
        after: (n,) its kind once it is kept.
        kept: (n,) bool.

    Returns:
        name, before, after, share_before, share_after, change (difference of the shares) of each kind.
    """
    was, now = pd.Series(before).value_counts(), pd.Series(after[kept]).value_counts()
    table = pd.DataFrame({"before": was, "after": now}).fillna(0).astype(int)
    table = table.rename_axis("name").reset_index().sort_values(["before", "name"], ascending=[False, True])
    table["share_before"] = (table["before"] / max(1, len(before))).round(6)
    table["share_after"] = (table["after"] / max(1, int(kept.sum()))).round(6)
    table["change"] = (table["share_after"] - table["share_before"]).round(6)
    return table.to_dict("records")


def groups_lost(ids: pd.Series, kept: np.ndarray, chance: np.ndarray) -> dict[str, Any]:
    """Lists that have no row left, and those that lost more than half their share.

    Args:
        ids: (n,) list of each row.
        kept: (n,) bool.
        chance: (n,) bool, a random subset of the same size.
    """
    codes, names = pd.factorize(ids.astype(str), sort=True)
    before = np.bincount(codes, minlength=len(names))

    def lost(inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        after = np.bincount(codes[inside], minlength=len(names))
        return after, 2 * after * len(codes) < before * inside.sum()

    after, half = lost(kept)
    by_chance, half_by_chance = lost(chance)
    # The most rows short of their share come first, then by name.
    short = before * (kept.sum() / max(1, len(codes))) - after
    worst = [k for k in np.argsort(-short, kind="stable")[:EXAMPLES] if half[k]]
    return {
        "before": len(names),
        "without_rows": int((after == 0).sum()),
        "without_rows_random": int((by_chance == 0).sum()),
        "lost_half": int(half.sum()),
        "lost_half_random": int(half_by_chance.sum()),
        "most_lost": [
            {"group": _hashed(names[k]), "before": int(before[k]), "after": int(after[k])} for k in worst
        ],
    }


def items_lost(ids: pd.Series, kept: np.ndarray, chance: np.ndarray) -> dict[str, Any]:
    """Items of which no row is left, the most frequent of them by name.

    Args:
        ids: (n,) item of each row.
        kept: (n,) bool.
        chance: (n,) bool, a random subset of the same size.
    """
    codes, names = pd.factorize(ids.astype(str), sort=True)
    before = np.bincount(codes, minlength=len(names))
    gone = np.bincount(codes[kept], minlength=len(names)) == 0
    order = [k for k in np.argsort(-before, kind="stable") if gone[k]][:EXAMPLES]
    return {
        "before": len(names),
        "lost": int(gone.sum()),
        "lost_random": len(names) - len(np.unique(codes[chance])),
        "most_frequent": [{"item": str(names[k]), "rows": int(before[k])} for k in order],
    }


def warnings(
    kinds: Sequence[tuple[str, dict[str, Any]]], drifted: dict[str, Any] | None, before: int, after: int
) -> list[str]:
    """What one should know before training on the chosen rows, in sentences.

    Args:
        kinds: What each kind of rows is called, and what `shares` says of it.
        drifted: As `drift` gives it.
        before: Training rows.
        after: Chosen rows.
    """
    said = []
    for name, one in kinds:
        had, has = one["before"], one["after"]
        if 2 * has * before >= had * after or hypergeom.cdf(has, before, had, after) >= CHANCE:
            continue
        if has:
            share = f"{one['share_before']:.1%} before, {one['share_after']:.1%} after"
            said.append(f"{name} lost more than half its share of rows: {share}.")
        else:
            said.append(f"{name} has no row left of {had}.")
    if len(said) > SENTENCES:
        said[SENTENCES:] = [f"So it is with {len(said) - SENTENCES} more segments, classes or labels."]
    found = drifted and drifted["frechet"]
    if found and found["distance"] > max(2 * found["random_most"], FAR * found["variance"]):
        said.append(
            f"The chosen rows are far from all rows: Fréchet distance {found['distance']:.4f}, of random "
            f"subsets of the same size {found['random']:.4f} and at most {found['random_most']:.4f}."
        )
    return said


def _counts(reasons: pd.Series) -> dict[str, int]:
    counts = reasons.value_counts()
    return {name: int(counts[name]) for name in sorted(counts.index, key=lambda name: (-counts[name], name))}


def _numbers(labels: np.ndarray) -> np.ndarray:
    return np.array([f"{label:g}" for label in labels.round(2)], dtype=object)


def _hashed(group: str) -> str:
    return hashlib.blake2b(group.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
