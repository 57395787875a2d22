"""Search events: one row is one item shown for a query, clicked or not."""

from __future__ import annotations

import pandas as pd
import polars as pl
from assay.components.core.errors import BadInput
from assay.components.ingest.attributes import extras
from assay.components.ingest.columns import as_text, numbers, text_of
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.parts.seen import Seen, hashed
from assay.components.ingest.readers.pairs import ids, splits, whose
from assay.components.ingest.readers.values import moments

_LAST = 32767
"""Largest position that the sample table holds."""


def read_search_events(
    frame: pd.DataFrame,
    columns: dict[str, list[str]],
    ledger: Ledger,
    split_column: str | None = None,
    drop_unlabelled: bool = False,
    seen: Seen | None = None,
) -> pd.DataFrame:
    """Impressions out of a flat log.

    Args:
        frame: The file's table. A column `event_id`, where there is one, tells an event sent twice; a column
            `query_id` which rows are of one search.
        columns: A complete column map with `click`.
        ledger: Where drops are counted.
        split_column: Column that names each row's split, if any.
        drop_unlabelled: Drop rows whose click is not 0 or 1 rather than refuse the file.
        seen: Ids of the events that came before in the same log.

    Returns:
        Columns context, item, item_id, group_id, segment, click (0.0 or 1.0), position (float, NaN where
        missing or no rank), timestamp (UTC, NaT where missing), split (None where the file does not say),
        `event` (UInt64, hash of its id) where events have ids,
        where there `carted` and `bought` (0.0 or 1.0) and `query_id` (text, None: the search), and what
        `extras` and `whose` find.

    Raises:
        BadInput: A click is not 0 or 1; a split of another name.
    """
    if "event_id" in frame:
        frame = frame.assign(event=hashed(frame["event_id"]))
        twice = (seen or Seen()).again(frame["event"])
        ledger.drop("duplicate_event", int(twice.sum()), frame.loc[twice, "event_id"].head(20).tolist())
        frame = frame[~twice]
    missing = frame[columns["query"][0]].isna()
    ledger.drop("missing_query", int(missing.sum()), [f"row {i}" for i in frame.index[missing][:20]])
    frame = frame[~missing]
    name = columns["click"][0]
    click = numbers(frame[name])
    wrong = ~click.isin([0, 1])
    if wrong.any():
        if not drop_unlabelled:
            raise BadInput(
                f"column {name!r}: {int(wrong.sum())} values are not 0 or 1 "
                f"(e.g. {frame.loc[wrong, name].iloc[0]!r}); mend them, or drop those rows with "
                "--drop-unlabelled"
            )
        ledger.drop("unlabelled", int(wrong.sum()), [f"row {i}" for i in frame.index[wrong][:20]])
        frame, click = frame[~wrong], click[~wrong]
    position = numbers(frame[columns["position"][0]]) if "position" in columns else None
    if position is not None:
        rank = position.between(1, _LAST) & (position == position.round())
        ledger.note("unusable_position", int((position.notna() & ~rank).sum()))
        position = position.where(rank)
    item = text_of(frame, columns["item"])
    nothing = pd.Series(None, index=frame.index, dtype=object)
    done = {
        name: (numbers(frame[columns[role][0]]) > 0).astype("float64")
        for role, name in (("cart", "carted"), ("purchase", "bought"))
        if role in columns
    }
    if "query_id" in frame:
        done["query_id"] = ids(frame["query_id"])
    return pd.DataFrame(
        {
            "context": text_of(frame, columns["query"]),
            "item": item,
            "item_id": as_text(frame[columns["item_id"][0]]) if "item_id" in columns else item,
            "group_id": as_text(frame[columns["group"][0]]),
            "segment": as_text(frame[columns["segment"][0]]) if "segment" in columns else "all",
            "click": click.astype("float64"),
            "position": nothing.astype("float64") if position is None else position,
            "timestamp": times(frame[columns["timestamp"][0]] if "timestamp" in columns else nothing),
            "split": splits(frame, split_column),
        }
        | ({"event": frame["event"]} if "event_id" in frame else {})
        | extras(frame, columns)
        | whose(frame, columns)
        | done
    ).reset_index(drop=True)


def times(series: pd.Series) -> pd.Series:
    """Times in UTC, NaT where there is none; numbers are since 1970, in the unit their size tells.

    Args:
        series: ISO texts, times, or seconds, milliseconds, microseconds or nanoseconds.
    """
    plain = series.dtype.kind in "mMiuf" or isinstance(series.dtype, pd.StringDtype)
    series = series if plain else as_text(series)
    return moments(pl.from_pandas(series)).to_pandas().set_axis(series.index)
