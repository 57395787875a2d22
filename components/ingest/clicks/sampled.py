"""Sampled negatives: items that were not shown, drawn by a hash, so that the same log gives the same ones."""

from __future__ import annotations

import numpy as np
import polars as pl
from assay.components.core.errors import BadInput
from assay.components.core.samples import hash_unit

_TRIES = 4
"""Draws for each negative wanted: one may be of the list itself, or have been drawn before."""


def sampled_negatives(
    rows: pl.DataFrame,
    items: pl.DataFrame,
    per_positive: int = 1,
    popularity: float = 0.0,
    seed: int = 0,
) -> pl.DataFrame:
    """Negatives for each list, as many as it has positives times a number, none of an item that it has.

    Args:
        rows: Columns query_id (the list), item_id, label.
        items: Column item_id: what can be drawn.
        per_positive: Negatives for each row of a label above 0.
        popularity: Power of the number of rows of an item, plus one, that the chance of its draw goes with:
            0 draws all alike, 1 as they occur; 0.75 lies between (Mikolov et al. 2013, "Distributed
            Representations of Words and Phrases", section 2.2). What is drawn by popularity teaches a model
            to undervalue bestsellers unless the log of `chance` is taken off its logits (Yi et al. 2019,
            "Sampling-bias-corrected neural modeling for large corpus item recommendations").
        seed: Of the draws; the order of rows and of items does not matter.

    Returns:
        query_id, item_id, label (0), chance (float64, of one draw), by query_id and draw. Fewer than asked
        for where the catalogue has hardly more than the list.

    Raises:
        BadInput: per_positive is not above 0, or the power is not in [0, 1], or there are no items.
    """
    if per_positive < 1 or not 0 <= popularity <= 1:
        raise BadInput(
            f"negatives: {per_positive} a positive by popularity {popularity}: write a count from 1 up, and "
            "a power in [0, 1]"
        )
    counts = rows.group_by("item_id").agg(seen=pl.len())
    drawn_from = (
        items.select("item_id").unique().drop_nulls().sort("item_id").join(counts, on="item_id", how="left")
    ).sort("item_id")
    if drawn_from.is_empty():
        raise BadInput("negatives: no items to draw from; give a table of items")
    worth = (drawn_from["seen"].fill_null(0).to_numpy() + 1.0) ** popularity
    chance = worth / worth.sum()
    wanted = (
        rows.filter((pl.col("label") > 0) & pl.col("query_id").is_not_null())
        .group_by("query_id")
        .agg(wanted=pl.len() * per_positive)
        .sort("query_id")
    )
    # A list's draws are a function of its name alone: a longer log does not change them, all else equal.
    start = hash_unit(wanted["query_id"].to_list(), f"assay-negatives-{seed}")
    tries = wanted["wanted"].to_numpy().astype(np.int64) * _TRIES
    number = np.repeat(np.arange(len(wanted)), tries)
    turn = np.arange(len(number)) - np.repeat(np.cumsum(tries) - tries, tries)
    place = np.searchsorted(np.cumsum(chance), _mixed(start[number], turn), side="right")
    place = np.minimum(place, len(chance) - 1)
    return (
        pl.DataFrame(
            {
                "query_id": wanted["query_id"].gather(number),
                "item_id": drawn_from["item_id"].gather(place),
                "label": np.zeros(len(place)),
                "chance": chance[place],
                "__wanted": wanted["wanted"].gather(number),
            }
        )
        .unique(["query_id", "item_id"], keep="first", maintain_order=True)
        .join(
            rows.select("query_id", "item_id"), on=["query_id", "item_id"], how="anti", maintain_order="left"
        )
        .filter(pl.int_range(pl.len()).over("query_id") < pl.col("__wanted"))
        .drop("__wanted")
    )


def _mixed(start: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """Uniform in [0, 1) from a start in [0, 1) and a number of the draw.

    Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators": the finaliser of SplitMix64.
    """
    with np.errstate(over="ignore"):
        state = (start * 2.0**53).astype(np.uint64) << np.uint64(11)
        state += (turn + 1).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state ^= state >> np.uint64(31)
    return (state >> np.uint64(11)).astype(np.float64) / 2.0**53
