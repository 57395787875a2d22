"""Records of any kind of file as the columns that a reader asks for, nested or flat, in chunks.

A name with dots is a path into nested objects: `event_attributes.object.object_id` is found in a nested JSON
object, in a struct of a parquet, in a cell that holds JSON text, and in a column of that very name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import polars as pl
from assay.components.core.errors import BadInput
from assay.components.ingest.ledger import EXAMPLES, Ledger
from assay.components.ingest.readers.sources import ROWS, Source
from assay.components.ingest.readers.values import numbers

Schema = Mapping[str, Any]
"""{path: dtype}, of String, Float64, or List of a dtype."""
CHARACTERS = 1 << 25
"""Of the lines of a chunk at most, about: a corpus has long ones."""


def rows(source: Source, schema: Schema) -> Iterator[pl.DataFrame]:
    """Rows of a csv, parquet or jsonl: columns of the schema, null where the file has none, and `row`.

    Raises:
        BadInput: The file is not well-formed, or has no rows.
    """
    if source.kind == "jsonl":
        yield from records(source, source.lines(), schema)
        return
    for chunk in source.chunks():
        yield _selected(source, chunk, schema)


def records(
    source: Source,
    lines: Iterable[tuple[int, str]],
    schema: Schema,
    mended: Callable[[pl.Series], pl.Series] = lambda texts: texts,
) -> Iterator[pl.DataFrame]:
    """The JSON objects of numbered lines: columns of the schema, and `row`, the line's number.

    Args:
        source: For messages.
        lines: (number, text) of each.
        schema: What is read of them.
        mended: What is done to the texts before they are decoded.

    Raises:
        BadInput: A line is no JSON object; there is no line.
    """
    flat = source.kind == "jsonl" and any("." in path and path in source.columns for path in schema)
    asked = schema if flat else _nested(schema)
    none = True
    for at, texts in _blocks(lines):
        none = False
        frame = _decoded(source, at, mended(pl.Series(texts, dtype=pl.String)), asked)
        yield _selected(source, frame.with_columns(row=pl.Series(at, dtype=pl.UInt32)), schema)
    if none:
        raise BadInput(f"{source.path}: no rows")


def ids(column: pl.Series) -> pl.Series:
    """Ids as text: 12.0 of a column that floats is 12; none where there is nothing."""
    if column.dtype.is_float():
        whole = column.cast(pl.Int64, strict=False)
        text = whole.cast(pl.String).zip_with((whole == column).fill_null(False), column.cast(pl.String))
    elif column.dtype == pl.List:
        text = column.cast(pl.List(pl.String)).list.join(", ")
    elif column.dtype == pl.Struct:
        text = column.struct.json_encode()
    else:
        text = column.cast(pl.String)
    text = text.str.strip_chars()
    return text.set((text == "").fill_null(False), None)


def text_of(*names: str) -> pl.Expr:
    """Text columns joined by a space, in this order; null and empty ones leave none; null where all are."""
    parts = [pl.col(name).str.strip_chars().replace("", None) for name in names]
    text = pl.concat_str(parts, separator=" ", ignore_nulls=True)
    return pl.when(text != "").then(text)


def kept(
    frame: pl.DataFrame, good: pl.Expr, reason: str, shown: str, source: Source, ledger: Ledger
) -> pl.DataFrame:
    """The rows of which an expression is true; the others are counted as dropped.

    Args:
        frame: With `row`.
        good: The expression; null is not true.
        reason: For the ledger.
        shown: The column that its examples quote.
        source: Where the rows are from.
        ledger: Where they are counted.
    """
    bad = frame.filter(~good.fill_null(False))
    some = bad.select("row", shown).head(EXAMPLES).rows()
    ledger.drop(reason, len(bad), [f"{source.name}, row {row}: {value!r}" for row, value in some])
    return frame.filter(good)


def _blocks(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[list[int], list[str]]]:
    at: list[int] = []
    texts: list[str] = []
    size = 0
    for number, text in lines:
        at.append(number)
        texts.append(text)
        size += len(text)
        if len(at) == ROWS or size > CHARACTERS:
            yield at, texts
            at, texts, size = [], [], 0
    if at:
        yield at, texts


def _nested(schema: Schema) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for path, dtype in schema.items():
        *parents, leaf = path.split(".")
        inner = out
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[leaf] = dtype
    return {name: _struct(dtype) for name, dtype in out.items()}


def _struct(dtype: Any) -> Any:
    if not isinstance(dtype, dict):
        return dtype
    return pl.Struct({name: _struct(inner) for name, inner in dtype.items()})


def _decoded(source: Source, at: Sequence[int], texts: pl.Series, schema: Schema) -> pl.DataFrame:
    try:
        found = texts.str.json_decode(pl.Struct(schema))
        if not found.null_count():
            return found.struct.unnest()
    except pl.exceptions.PolarsError:
        # A value of another shape than asked for, or no JSON: one by one, which can tell which it is.
        pass
    objects = []
    for number, text in zip(at, texts, strict=True):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BadInput(f"{source.path}, line {number}: not JSON: {error}") from error
        if not isinstance(value, dict):
            kind = type(value).__name__
            raise BadInput(f"{source.path}, line {number}: expected an object, found {kind}")
        objects.append({name: _fitted(value.get(name), dtype) for name, dtype in schema.items()})
    return pl.DataFrame(objects, schema=dict(schema))


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
    return str(value).encode("utf-8", "replace").decode("utf-8")


def _selected(source: Source, frame: pl.DataFrame, schema: Schema) -> pl.DataFrame:
    """The columns of a schema out of a frame, whose structs and cells of JSON are opened."""
    roots = {path.split(".")[0] for path in schema if "." in path}
    for name in roots & set(frame.columns):
        if frame[name].dtype == pl.String:
            inner = _nested({path: dtype for path, dtype in schema.items() if path.startswith(f"{name}.")})
            texts = frame[name].fill_null("{}")
            opened = _decoded(source, frame["row"].to_list(), texts, dict(_fields(inner[name])))
            frame = frame.with_columns(opened.to_struct(name))
    while any(dtype == pl.Struct for name, dtype in frame.schema.items() if _is_root(name, schema)):
        name = next(n for n, d in frame.schema.items() if d == pl.Struct and _is_root(n, schema))
        fields = frame[name].struct.unnest()
        fresh = [fields[field].alias(f"{name}.{field}") for field in fields.columns]
        frame = frame.drop(name).with_columns(column for column in fresh if column.name not in frame.columns)
    out = [frame["row"]]
    for path, dtype in schema.items():
        if path not in frame.columns:
            out.append(pl.Series(path, [None] * len(frame), dtype=dtype))
        elif dtype == pl.String:
            out.append(ids(frame[path]).alias(path))
        elif dtype == pl.Float64:
            out.append(numbers(frame[path]).alias(path))
        else:
            out.append(_listed(frame[path], dtype).alias(path))
    return pl.DataFrame(out)


def _is_root(name: str, schema: Schema) -> bool:
    return any(path.startswith(f"{name}.") for path in schema)


def _fields(dtype: Any) -> Iterator[tuple[str, Any]]:
    return ((field.name, field.dtype) for field in dtype.fields)


def _listed(column: pl.Series, dtype: Any) -> pl.Series:
    """Lists as they are; a cell of text is a list in JSON, in Python, or with commas."""
    if column.dtype != pl.String:
        return column.cast(dtype, strict=False)
    parts = column.str.strip_chars("[]() \t").str.split(",")
    cleaned = parts.list.eval(pl.element().str.strip_chars(" \t\"'")).list.eval(
        pl.element().filter(pl.element() != "")
    )
    return cleaned.cast(dtype, strict=False)
