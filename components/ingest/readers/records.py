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
from assay.components.ingest.readers.objects import decoded
from assay.components.ingest.readers.sources import ROWS, Source
from assay.components.ingest.readers.values import lists, numbers, texts

CHARACTERS = 1 << 25
"""Of the lines of a chunk at most, about: a corpus has long ones, and one may hold a long list."""


def records(source: Source, fields: Mapping[str, Any] | Sequence[str]) -> Iterator[pl.DataFrame]:
    """Rows a chunk at a time: `row` (from 1; the line of a jsonl, the element of a json), and the fields.

    Args:
        source: The file.
        fields: Names of texts; or {path: dtype}, of String, Float64, List or Struct, or None: as it is there,
            which is a text in all but parquet. What the file lacks is null.

    Raises:
        BadInput: Not well-formed, with the row or line; no rows.
    """
    fields = fields if isinstance(fields, Mapping) else dict.fromkeys(fields, pl.String)
    if source.kind == "jsonl":
        yield from of_objects(source, source.lines(), fields)
    elif source.kind == "json":
        yield from of_objects(source, ((n, json.dumps(one)) for n, one in source.objects()), fields)
    else:
        for chunk in source.chunks():
            yield fitted(source, chunk, fields)


def of_objects(
    source: Source,
    lines: Iterable[tuple[int, str]],
    fields: Mapping[str, Any],
    mended: Callable[[pl.Series], pl.Series] = lambda lines: lines,
) -> Iterator[pl.DataFrame]:
    """The JSON objects of numbered lines, as `records` gives those of a file.

    Args:
        source: For messages.
        lines: (number, text) of each.
        fields: What is read of them.
        mended: What is done to the texts before they are decoded.

    Raises:
        BadInput: A line is no JSON object; there is no line.
    """
    if "row" in fields:
        raise BadInput(f"{source.path}: a key is called 'row', as lines are counted here; rename it")
    # Objects may be flattened as well: {"user.id": 7}.
    flat = {path: dtype for path, dtype in fields.items() if "." not in path or path in source.columns}
    nested = _nested({path: dtype for path, dtype in fields.items() if "." in path})
    schema = nested | {path: dtype or pl.String for path, dtype in flat.items()}
    at: list[int] = []
    for at, read in _blocks(lines):
        frame = decoded(source.path, at, mended(pl.Series(read, dtype=pl.String)), schema)
        yield fitted(source, frame.with_columns(row=pl.Series(at, dtype=pl.UInt32)), fields)
    if not at:
        raise BadInput(f"{source.path}: no rows")


def _blocks(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[list[int], list[str]]]:
    at: list[int] = []
    read: list[str] = []
    size = 0
    for number, text in lines:
        at.append(number)
        read.append(text)
        size += len(text)
        if len(at) == ROWS or size > CHARACTERS:
            yield at, read
            at, read, size = [], [], 0
    if at:
        yield at, read


def _nested(fields: Mapping[str, Any]) -> dict[str, Any]:
    """{root: dtype} of the objects that these paths lead into."""
    out: dict[str, Any] = {}
    for path, dtype in fields.items():
        *parents, leaf = path.split(".")
        inner = out
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[leaf] = dtype or pl.String
    return {name: _struct(dtype) for name, dtype in out.items()}


def _struct(dtype: Any) -> Any:
    if not isinstance(dtype, dict):
        return dtype
    return pl.Struct({name: _struct(inner) for name, inner in dtype.items()})


def fitted(source: Source, frame: pl.DataFrame, fields: Mapping[str, Any]) -> pl.DataFrame:
    """`row` and the fields out of a chunk of a file, whose structs and cells of JSON are opened.

    Raises:
        BadInput: A cell that should hold an object holds no JSON.
    """
    paths = {path: dtype for path, dtype in fields.items() if "." in path and path not in frame.columns}
    for root in {path.split(".")[0] for path in paths} & set(frame.columns):
        if frame[root].dtype == pl.String:
            inner = _nested({path: paths[path] for path in paths if path.startswith(f"{root}.")})[root]
            schema = {field.name: field.dtype for field in inner.fields}
            opened = decoded(source.path, frame["row"].to_list(), frame[root].fill_null("{}"), schema)
            frame = frame.with_columns(opened.to_struct(root))
    while root := next((name for name in frame.columns if _leads(frame, name, paths)), ""):
        inside = frame[root].struct.unnest()
        fresh = [inside[name].alias(f"{root}.{name}") for name in inside.columns]
        frame = frame.drop(root).with_columns(column for column in fresh if column.name not in frame.columns)
    found = {
        path: _typed(frame[path], dtype)
        if path in frame.columns
        else pl.repeat(None, len(frame), dtype=dtype or pl.String, eager=True)
        for path, dtype in fields.items()
    }
    return pl.DataFrame({"row": frame["row"], **found})


def _leads(frame: pl.DataFrame, name: str, paths: Iterable[str]) -> bool:
    return frame[name].dtype == pl.Struct and any(path.startswith(f"{name}.") for path in paths)


def _typed(column: pl.Series, dtype: Any) -> pl.Series:
    if dtype is None or isinstance(dtype, pl.Struct):
        return column
    if dtype == pl.String:
        return texts(column)
    return numbers(column) if dtype == pl.Float64 else lists(column, dtype)
