"""What a log says beside its texts and labels: attributes of items, and behaviour; all of it optional."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from assay.components.core.errors import BadInput
from assay.components.ingest.columns import ATTRIBUTES, BEHAVIOUR, as_text, numbers


def extras(frame: pd.DataFrame, columns: dict[str, list[str]]) -> dict[str, pd.Series]:
    """The attribute and behaviour columns that a file has, by role.

    They are found by usual names as well, so a column that cannot be used must not stop a run that does
    not need it: it is left empty.

    Args:
        frame: The file's table.
        columns: A complete column map.

    Returns:
        Attributes as text, "" where missing; behaviour as float64, NaN where missing.
    """
    found = {}
    for role in (*ATTRIBUTES, *BEHAVIOUR):
        if role not in columns:
            continue
        column = frame[columns[role][0]]
        try:
            found[role] = as_text(column).str.strip() if role in ATTRIBUTES else numbers(column)
        except BadInput:
            found[role] = pd.Series("" if role in ATTRIBUTES else np.nan, index=frame.index)
    return found


def attributes_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Attributes of each distinct item text; of several values the first in the order of letters.

    Args:
        rows: Column item, and those of `extras`.

    Returns:
        Columns item and the attributes that are there, text or None; items without any are left out.
    """
    table = pd.DataFrame(index=pd.Index(sorted(rows["item"].unique()), name="item"))
    for kind in (k for k in ATTRIBUTES if k in rows):
        said = rows[rows[kind] != ""]
        table[kind] = said.groupby("item")[kind].min().reindex(table.index)
    table = table.dropna(how="all").reset_index()
    return table.astype(object).where(table.notna(), None)


def attributes_of_all(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """What `attributes_of` says of several parts of a log: of an item that is in many, the same as of all."""
    kinds = [kind for kind in ATTRIBUTES if any(kind in part for part in parts)]
    rows = pd.concat(parts, ignore_index=True)
    return attributes_of(rows.fillna(dict.fromkeys(kinds, ""))) if len(parts) > 1 else rows


def behaviour_maps(rows: pd.DataFrame, more: dict[str, np.ndarray] | None = None) -> list | None:
    """The `features` column of the sample table: [(name, value), ...] a row, without what is missing.

    Args:
        rows: The mean of each behaviour column, by role.
        more: {name: (n,)} beside them.

    Returns:
        None where no row can say anything.
    """
    columns = {role: rows[role].to_numpy(np.float64) for role in BEHAVIOUR if role in rows} | (more or {})
    if not columns:
        return None
    return [
        [(name, float(values[i])) for name, values in sorted(columns.items()) if np.isfinite(values[i])]
        for i in range(len(rows))
    ]
