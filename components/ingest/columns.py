"""The column map: which column of a file plays which role."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from assay.components.core.errors import BadInput

ATTRIBUTES = ("category", "brand", "colour", "size", "type")
"""Roles that say something of an item, from which `embed` learns to read it out of texts."""
BEHAVIOUR = ("price", "dwell")
"""Roles whose numbers become features of a row."""
OF_SEARCH = ("user", "session", "cart", "purchase")
"""Who was shown an item, and what he did beside clicking."""
OF_TASKS = ("text", "helpful", "votes", "action", "order", "id", "feature")
"""Roles that only recommendations, reviews and ads know."""
ROLES = (
    *("query", "item", "label", "group", "item_id", "segment", "click", "position", "timestamp"),
    *(*ATTRIBUTES, *BEHAVIOUR, *OF_SEARCH, *OF_TASKS),
)
JOINED = ("item", "query", "item_id", "feature")
"""Roles that may be several columns; of a search only `item`."""
_USUAL: dict[str, tuple[str, ...]] = {
    "query": ("query", "search_query", "query_text", "search_term", "context"),
    "item": ("item", "title", "product_title", "item_title", "text", "document"),
    "label": ("grade", "label", "relevance", "rating", "gain"),
    "item_id": ("item_id", "product_id", "doc_id", "document_id", "asin"),
    "segment": ("segment",),
    "click": ("click", "clicked", "clicks"),
    "position": ("position", "rank"),
    "timestamp": ("timestamp", "time"),
    "category": ("category", "product_category"),
    "brand": ("brand", "product_brand"),
    "colour": ("colour", "color", "product_colour", "product_color"),
    "size": ("size", "product_size"),
    "type": ("type", "product_type"),
    "price": ("price",),
    "dwell": ("dwell", "dwell_time", "dwell_seconds"),
    "user": ("user_id", "user"),
    "session": ("session_id", "session"),
    "cart": ("cart", "carted", "add_to_cart"),
    "purchase": ("purchase", "purchased"),
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
        if role in columns:
            raise BadInput(f"--columns: {role} is named twice; item=A+B joins columns")
        columns[role] = [name.strip() for name in names.split("+")]
    return checked_columns(columns)


def checked_columns(columns: dict[str, Any]) -> dict[str, list[str]]:
    """A column map as written in a file or on the command line; one name may stand for a list of one.

    Raises:
        BadInput: A role is unknown, has no column, or joins several though it is none of `JOINED`.
    """
    if not isinstance(columns, dict):
        raise BadInput(f"--columns: expected role: column, found {type(columns).__name__}")
    out = {}
    for role, names in columns.items():
        if role not in ROLES:
            raise BadInput(f"--columns: unknown role {role!r}; roles are {', '.join(ROLES)}")
        out[role] = [str(name) for name in (names if isinstance(names, list) else [names])]
        if not all(out[role]) or not out[role]:
            raise BadInput(f"--columns: {role} names no column")
        if len(out[role]) > 1 and role not in JOINED:
            raise BadInput(f"--columns: only {', '.join(JOINED)} may join columns, not {role}")
    return out


def map_columns(found: list[str], named: dict[str, list[str]]) -> dict[str, list[str]]:
    """Complete a column map with usual names.

    Args:
        found: Columns of the file.
        named: What the user named.

    Returns:
        {role: columns}; roles that the file cannot fill are absent.

    Raises:
        BadInput: A named column is not in the file, query or item cannot be found, or another role than the
            item joins several.
    """
    there = ", ".join(map(str, found))
    columns = completed(found, named, _USUAL)
    several = next((role for role, names in named.items() if len(names) > 1 and role != "item"), "")
    if several:
        raise BadInput(f"--columns: only item may join columns, not {several}")
    for role in ("query", "item"):
        if role not in columns:
            raise BadInput(
                f"no column for {role}; name one with --columns {role}=COLUMN. The file has: {there}"
            )
    if "label" not in columns and "click" not in columns:
        raise BadInput(f"no column for label; name one with --columns label=COLUMN. The file has: {there}")
    columns.setdefault("group", columns["query"])
    return columns


def completed(
    found: list[str], named: dict[str, list[str]], usual: dict[str, tuple[str, ...]]
) -> dict[str, list[str]]:
    """Columns that were named, and of the other roles the first of their usual names that is there.

    Raises:
        BadInput: A named column is not in the file.
    """
    for role, names in named.items():
        for name in names:
            if name not in found:
                there = ", ".join(map(str, found))
                raise BadInput(f"column {name!r} (for {role}) is not in the file; it has: {there}")
    first = {role: next((name for name in names if name in found), None) for role, names in usual.items()}
    return dict(named) | {r: [name] for r, name in first.items() if name is not None and r not in named}


def as_text(series: pd.Series) -> pd.Series:
    """Values as text: null is "", a whole float is its integer, so that numbers 12 and 12.0 are one id.

    Raises:
        BadInput: A value is a list, a struct or bytes.
    """
    if isinstance(series.dtype, pd.StringDtype):
        return series.astype(object).where(series.notna(), "")
    if series.dtype.kind in "biuf":
        codes, values = pd.factorize(series)
        texts = [*map(partial(_one_text, series.name), values), ""]
        return pd.Series(np.array(texts, object)[codes], series.index, object, series.name)
    text = series.astype(object)
    return text.where(series.notna(), "").map(partial(_one_text, series.name)).astype(object)


def _one_text(column: object, value: object) -> str:
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    if isinstance(value, list | tuple | dict | np.ndarray | bytes):
        raise BadInput(f"column {str(column)!r}: holds {type(value).__name__} values; give text or numbers")
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


_TRUTH = {"true": 1.0, "false": 0.0, "True": 1.0, "False": 0.0, True: 1.0, False: 0.0}


def numbers(series: pd.Series) -> pd.Series:
    """Values as float64; true and false are 1 and 0, what is no number is NaN.

    Raises:
        BadInput: The column holds times.
    """
    if series.dtype.kind in "mM":
        raise BadInput(f"column {str(series.name)!r}: holds times, not numbers")
    try:
        if isinstance(series.dtype, pd.StringDtype):
            # Each text once: most columns of numbers have few.
            codes, values = pd.factorize(series)
            found = np.append(_floats(pd.Series(values, dtype=object)), np.nan)
            return pd.Series(found[codes], series.index, name=series.name)
        return _floats(series)
    except (OverflowError, TypeError, ValueError) as error:
        raise BadInput(f"column {str(series.name)!r}: not numbers: {error}") from error


def _floats(series: pd.Series) -> pd.Series:
    if series.dtype == object or series.dtype.kind not in "biuf":
        series = series.astype(object).map(
            lambda value: _TRUTH.get(value, value) if _hashable(value) else None
        )
    return pd.to_numeric(series, errors="coerce").astype("float64")


def _hashable(value: object) -> bool:
    return isinstance(value, str | int | float | bool | Decimal | np.generic)
