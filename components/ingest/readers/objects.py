"""JSON objects: one as it is written, and many as columns of a schema."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import polars as pl
from assay.components.core.errors import BadInput


def json_object(path: str, number: int, text: str) -> dict[str, Any]:
    """The object that a line holds; NaN and infinities, which are no JSON, are null.

    Args:
        path: Of the file, for messages.
        number: Of the line.
        text: The line.

    Raises:
        BadInput: It is no JSON, or no object: also the last line, where a file was cut.
    """
    try:
        found = json.loads(text, parse_constant=lambda _: None)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path}, line {number}: not JSON: {error}") from error
    if not isinstance(found, dict):
        raise BadInput(f"{path}, line {number}: expected an object, found {type(found).__name__}")
    return found


def decoded(path: str, at: Sequence[int], texts: pl.Series, schema: dict[str, Any]) -> pl.DataFrame:
    """Objects as columns: what one lacks is null, one of another shape is brought into this one.

    Args:
        path: Of the file, for messages.
        at: (n,) numbers of the lines.
        texts: (n,) an object each.
        schema: {key: dtype}, of String, Float64, List and Struct.

    Raises:
        BadInput: A text is no JSON object.
    """
    try:
        found = texts.str.json_decode(pl.Struct(schema))
        if not found.null_count():
            return found.struct.unnest()
    except pl.exceptions.PolarsError:
        # A value of another shape than asked for, or no JSON: one by one, which can tell which it is.
        pass
    objects = [json_object(path, number, text) for number, text in zip(at, texts, strict=True)]
    rows = [{name: _fitted(one.get(name), dtype) for name, dtype in schema.items()} for one in objects]
    return pl.DataFrame(rows, schema=schema)


def _fitted(value: Any, dtype: Any) -> Any:
    """A JSON value as a dtype: one value is a list of one, a list is a text with commas."""
    if value is None:
        return None
    if isinstance(dtype, pl.Struct):
        inside = value if isinstance(value, dict) else None
        return inside and {field.name: _fitted(inside.get(field.name), field.dtype) for field in dtype.fields}
    if isinstance(dtype, pl.List):
        return [_fitted(one, dtype.inner) for one in (value if isinstance(value, list) else [value])]
    if dtype == pl.Float64:
        try:
            return float(value)
        except (TypeError, ValueError, OverflowError):
            return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list) and not any(isinstance(one, dict | list) for one in value):
        return ", ".join(str(_fitted(one, pl.String)) for one in value if one is not None)
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    # A lone surrogate cannot be written as UTF-8.
    return str(value).encode("utf-8", "replace").decode("utf-8")
