"""Search events: one row is one item shown for a query, clicked or not."""

from __future__ import annotations

import pandas as pd
from assay.components.core.errors import BadInput
from assay.components.ingest.columns import as_text, text_of
from assay.components.ingest.ledger import Ledger


def read_search_events(frame: pd.DataFrame, columns: dict[str, list[str]], ledger: Ledger) -> pd.DataFrame:
    """Impressions out of a flat log.

    Args:
        frame: The file's table. A column `event_id`, where there is one, tells an event sent twice.
        columns: A complete column map with `click`.
        ledger: Where drops are counted.

    Returns:
        Columns context, item, item_id, group_id, segment, click (0.0 or 1.0), position (float, NaN where
        missing), timestamp (UTC, NaT where missing).

    Raises:
        BadInput: A click is not 0 or 1.
    """
    if "event_id" in frame:
        twice = frame["event_id"].notna() & frame["event_id"].duplicated()
        ledger.drop("duplicate_event", int(twice.sum()), frame.loc[twice, "event_id"].head(20).tolist())
        frame = frame[~twice]
    missing = frame[columns["query"][0]].isna()
    ledger.drop("missing_query", int(missing.sum()), [f"row {i}" for i in frame.index[missing][:20]])
    frame = frame[~missing]
    name = columns["click"][0]
    click = pd.to_numeric(
        frame[name].replace({"true": 1, "false": 0, "True": 1, "False": 0}), errors="coerce"
    )
    wrong = ~click.isin([0, 1])
    if wrong.any():
        raise BadInput(
            f"column {name!r}: {int(wrong.sum())} values are not 0 or 1 "
            f"(e.g. {frame.loc[wrong, name].iloc[0]!r})"
        )
    item = text_of(frame, columns["item"])
    nothing = pd.Series(None, index=frame.index, dtype=object)
    return pd.DataFrame(
        {
            "context": text_of(frame, columns["query"]),
            "item": item,
            "item_id": as_text(frame[columns["item_id"][0]]) if "item_id" in columns else item,
            "group_id": as_text(frame[columns["group"][0]]),
            "segment": as_text(frame[columns["segment"][0]]) if "segment" in columns else "all",
            "click": click.astype("float64"),
            "position": pd.to_numeric(
                frame[columns["position"][0]] if "position" in columns else nothing, errors="coerce"
            ),
            "timestamp": pd.to_datetime(
                frame[columns["timestamp"][0]] if "timestamp" in columns else nothing,
                utc=True,
                errors="coerce",
            ),
        }
    ).reset_index(drop=True)
