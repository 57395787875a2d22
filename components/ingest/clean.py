"""Cleaning: what no builder can use is dropped, what can be repaired is, and both are counted."""

from __future__ import annotations

import pandas as pd
from assay.components.ingest.ledger import Ledger

MAX_CHARS = 4000
"""Characters of a text: far above what a ranker's 128 tokens hold, far below what stops a tokenizer."""


def clean_texts(frame: pd.DataFrame, ledger: Ledger, max_chars: int = MAX_CHARS) -> pd.DataFrame:
    """Fold white space, cut texts at the character limit, drop rows without item text.

    Args:
        frame: Columns context, item, item_id, group_id, segment.
        ledger: Where rows are counted; cut texts are listed in its examples.
        max_chars: The limit.
    """
    frame = frame.copy()
    cut = pd.Series(False, index=frame.index)
    for column in ("context", "item"):
        text = folded(frame[column])
        over = text.str.len() > max_chars
        frame[column] = text.where(~over, text.str.slice(0, max_chars))
        cut |= over
    # A text stands in for a missing id: folded and cut as it is, or one query would be two groups.
    for column in ("group_id", "item_id"):
        frame[column] = folded(frame[column]).str.slice(0, max_chars)
    frame["segment"] = frame["segment"].where(frame["segment"].str.strip() != "", "unknown")
    ledger.repair(
        "text_cut", int(cut.sum()), [f"item {i[:80]!r}" for i in frame.loc[cut, "item_id"].head(20)]
    )
    empty = frame["item"] == ""
    ledger.drop(
        "no_item_text", int(empty.sum()), [f"item {i[:80]!r}" for i in frame.loc[empty, "item_id"].head(20)]
    )
    ledger.note("empty_context", int((frame.loc[~empty, "context"] == "").sum()))
    return frame[~empty].reset_index(drop=True)


def folded(text: pd.Series) -> pd.Series:
    """Each run of white space as one space, none at the ends; each distinct text is looked at once."""
    place, distinct = pd.factorize(text)
    bare = pd.Series(distinct, dtype=object).str.replace(r"\s+", " ", regex=True).str.strip()
    return pd.Series(bare.to_numpy()[place], index=text.index, dtype=object)
