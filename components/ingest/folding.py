"""Texts of rows as samples hold them: white space folded, cut at a limit, no item without one."""

from __future__ import annotations

import sys

import pandas as pd
from assay.components.ingest.ledger import Ledger

MAX_CHARS = 4000
"""Characters of a text: far above what a ranker's 128 tokens hold, far below what stops a tokenizer."""


def fold_texts(frame: pd.DataFrame, ledger: Ledger, max_chars: int = MAX_CHARS) -> pd.DataFrame:
    """Fold white space, cut texts at the character limit, drop rows without item text.

    Args:
        frame: Columns context, item, item_id, group_id, segment.
        ledger: Where rows are counted; cut texts are listed in its examples.
        max_chars: The limit.
    """
    frame = frame.copy()
    cut = pd.Series(False, index=frame.index)
    # A text stands in for a missing id: folded and cut as it is, or one query would be two groups.
    for column in ("context", "item", "group_id", "item_id"):
        frame[column], over = _cut(frame[column], max_chars)
        if column in ("context", "item"):
            cut |= over
    frame["segment"] = frame["segment"].where(folded(frame["segment"]) != "", "unknown")
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
    """Each run of white space as one space, none at the ends."""
    return _cut(text, sys.maxsize)[0]


def _cut(text: pd.Series, max_chars: int) -> tuple[pd.Series, pd.Series]:
    """(folded, cut at the limit; whether it was above it)."""
    # Each text once: a log says the same ones over and over.
    codes, values = pd.factorize(text, use_na_sentinel=False)
    once = pd.Series(values, dtype=object).str.replace(r"\s+", " ", regex=True).str.strip()
    over = once.str.len() > max_chars
    once = once.where(~over, once.str.slice(0, max_chars))
    return once.take(codes).set_axis(text.index), over.take(codes).set_axis(text.index)
