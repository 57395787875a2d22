"""The column map: which column of a file plays which role."""

from __future__ import annotations

import numpy as np
import pandas as pd
from assay.components.core.errors import BadInput

ROLES = ("query", "item", "label", "group", "item_id", "segment", "click", "position", "timestamp")
_USUAL: dict[str, tuple[str, ...]] = {
    "query": ("query", "search_query", "query_text", "search_term", "context"),
    "item": ("item", "title", "product_title", "item_title", "text", "document"),
    "label": ("grade", "label", "relevance", "rating", "gain"),
    "item_id": ("item_id", "product_id", "doc_id", "document_id", "asin"),
    "segment": ("segment",),
    "click": ("click", "clicked", "clicks"),
    "position": ("position", "rank"),
    "timestamp": ("timestamp", "time"),
}
"""Names that are taken where no map names the role, in order; `group` is the query unless named."""


def parse_columns(text: str) -> dict[str, list[str]]:
    """`query=q,item=title+brand` -> {"query": ["q"], "item": ["title", "brand"]}.

    Raises:
        BadInput: An entry is not role=column, or the role is unknown.
    """
    columns: dict[str, list[str]] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        role, equals, names = (piece.strip() for piece in entry.partition("="))
        if not equals or not names:
            raise BadInput(f"--columns: {entry!r} is not role=column")
        if role not in ROLES:
            raise BadInput(f"--columns: unknown role {role!r}; roles are {', '.join(ROLES)}")
        columns[role] = [name.strip() for name in names.split("+")]
        if len(columns[role]) > 1 and role != "item":
            raise BadInput(f"--columns: only item may join columns with +, not {role}")
    return columns


def map_columns(found: list[str], named: dict[str, list[str]]) -> dict[str, list[str]]:
    """Complete a column map with usual names.

    Args:
        found: Columns of the file.
        named: What the user named.

    Returns:
        {role: columns}; roles that the file cannot fill are absent.

    Raises:
        BadInput: A named column is not in the file, or query or item cannot be found.
    """
    there = ", ".join(map(str, found))
    for role, names in named.items():
        for name in names:
            if name not in found:
                raise BadInput(f"column {name!r} (for {role}) is not in the file; it has: {there}")
    columns = dict(named)
    for role, usual_names in _USUAL.items():
        usual = next((name for name in usual_names if name in found), None)
        if role not in columns and usual is not None:
            columns[role] = [usual]
    for role in ("query", "item"):
        if role not in columns:
            raise BadInput(
                f"no column for {role}; name one with --columns {role}=COLUMN. The file has: {there}"
            )
    if "label" not in columns and "click" not in columns:
        raise BadInput(f"no column for label; name one with --columns label=COLUMN. The file has: {there}")
    columns.setdefault("group", columns["query"])
    return columns


def as_text(series: pd.Series) -> pd.Series:
    """Values as text: null is "", a whole float is its integer, so that 12, 12.0 and "12" are one id."""
    if pd.api.types.is_float_dtype(series):
        whole = series.notna() & np.isfinite(series) & (series == series.round())
        text = series.astype(object).where(~whole, series.where(whole, 0).astype("int64").astype(object))
    else:
        text = series.astype(object)
    return text.where(series.notna(), "").map(_one_text).astype(object)


def _one_text(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    # A lone surrogate cannot be written as UTF-8, and one such row must not stop the run.
    return str(value).encode("utf-8", "replace").decode("utf-8")


def text_of(frame: pd.DataFrame, names: list[str]) -> pd.Series:
    """A text column, or several joined by one space; parts that are null leave no space behind."""
    if len(names) == 1:
        return as_text(frame[names[0]])
    parts = [as_text(frame[name]).str.strip() for name in names]
    return pd.Series(
        [" ".join(p for p in row if p) for row in zip(*parts, strict=True)], index=frame.index, dtype=object
    )
