"""Rows of a file as the columns that a format names, whatever the file: csv, jsonl, json, parquet, or text.

What is nested (jsonl, parquet) is asked for as a struct or a list; every plain value of a jsonl is a text.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import polars as pl
from assay.components.core.errors import BadInput
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.readers.sources import Source
from assay.components.ingest.readers.values import moments, numbers

OBJECTS = 50_000
"""Lines of a jsonl decoded at once: an object may hold a long list."""


def header(source: Source) -> list[str]:
    """Names of the columns; also of a table whose file has no ending, or one that says nothing.

    Of a json that holds one list: keys of its elements; of a jsonl: those of the first few objects.
    """
    # Every reader asks: once a file.
    if "_header" not in vars(source):
        vars(source)["_header"] = _header(source)
    return vars(source)["_header"]


def _header(source: Source) -> list[str]:
    if source.kind == "lines":
        try:
            return next(csv.reader([source.head[0].removeprefix("\ufeff")], delimiter=source.delimiter))
        except csv.Error:
            return []
    if source.kind == "json":
        return list(_keys(row for _, row in _elements(source)))
    if source.kind == "jsonl":
        return list(_keys(row for _, row in source.objects()))
    return source.columns


def has(source: Source, *names: str) -> bool:
    """Whether all of these columns are there."""
    return set(names) <= set(header(source))


def cells(source: Source, mark: str) -> list[list[str]]:
    """The first few lines of a text file, cut at a mark; [] of any other.

    The last of them is left out: a file may be as short, and cut.
    """
    if source.kind in ("parquet", "json", "jsonl"):
        return []
    return [line.split(mark) for line in source.head[:-1] or source.head]


def records(source: Source, fields: Mapping[str, Any] | Sequence[str]) -> Iterator[pl.DataFrame]:
    """Rows a chunk at a time: `row` (from 1; the line of a jsonl) and the fields, in their order.

    Args:
        source: The file.
        fields: {name: dtype}, or names of texts. A field that the file lacks is null; of a csv all are texts,
            of a parquet as they are there.

    Raises:
        BadInput: Not well-formed, with the row or line; no rows.
    """
    wanted = dict(fields) if isinstance(fields, Mapping) else dict.fromkeys(fields, pl.String)
    if source.kind in ("jsonl", "json"):
        if "row" in wanted:
            raise BadInput(f"{source.path}: a key is called 'row', as lines are counted here; rename it")
        yield from _decoded(source, wanted)
        return
    for chunk in _tabular(source):
        missing = [pl.lit(None, dtype=dtype).alias(n) for n, dtype in wanted.items() if n not in chunk]
        yield chunk.with_columns(missing).select("row", *wanted)


def _tabular(source: Source) -> Iterator[pl.DataFrame]:
    if source.kind != "lines":
        for chunk in source.chunks():
            # A column without a name gets one on the way.
            chunk.columns = ["row", *header(source)]
            yield chunk
        return
    # The ending does not say that the first line is names: it is read as a row, and left out.
    rows = 0
    for chunk in source.chunks(header(source), source.delimiter):
        body = chunk.filter(pl.col("row") > 1).with_columns(pl.col("row") - 1)
        rows += len(body)
        yield body
    if not rows:
        raise BadInput(f"{source.path}: no rows")


def _keys(rows: Iterable[Mapping[str, Any]]) -> dict[str, None]:
    return {key: None for row in islice(rows, 5) for key in row}


def _elements(source: Source) -> Iterator[tuple[int, dict[str, Any]]]:
    """(number from 1, object) of a json that is a list of objects, or an object around one."""
    document = source.document()
    if isinstance(document, dict):
        lists = [v for v in document.values() if isinstance(v, list) and v and isinstance(v[0], dict)]
        document = lists[0] if len(lists) == 1 else [document]
    if not isinstance(document, list):
        raise BadInput(f"{source.path}: expected a list of objects, found {type(document).__name__}")
    for number, row in enumerate(document, start=1):
        if not isinstance(row, dict):
            raise BadInput(f"{source.path}, element {number}: expected an object, found {type(row).__name__}")
        yield number, row


def _decoded(source: Source, fields: dict[str, Any]) -> Iterator[pl.DataFrame]:
    shape = pl.Struct(fields)
    lines = (
        ((number, json.dumps(row)) for number, row in _elements(source))
        if source.kind == "json"
        else source.lines()
    )
    rows = 0
    while chunk := list(islice(lines, OBJECTS)):
        at, texts = zip(*chunk, strict=True)
        column = pl.Series("row", texts, dtype=pl.String)
        try:
            found = column.str.json_decode(shape)
        except pl.exceptions.ComputeError:
            found = None
        if found is None or len(found) != len(column) or found.null_count():
            # One that is no JSON is named by its line; one of another shape is brought into this one.
            fitted = [json.dumps(_fitted(_object(source, n, text), shape)) for n, text in chunk]
            found = pl.Series("row", fitted, dtype=pl.String).str.json_decode(shape)
        frame = found.struct.unnest()
        yield frame.insert_column(0, pl.Series("row", at, dtype=pl.UInt32)).rechunk()
        rows += len(frame)
    if not rows:
        raise BadInput(f"{source.path}: no rows")


def _object(source: Source, number: int, text: str) -> Any:
    try:
        row = json.loads(text, parse_constant=lambda _: None)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{source.path}, line {number}: not JSON: {error}") from error
    if not isinstance(row, dict):
        raise BadInput(f"{source.path}, line {number}: expected an object, found {type(row).__name__}")
    return row


def _fitted(value: Any, dtype: Any) -> Any:
    """A value in the shape of a dtype: a list of one for a value, null for what does not fit."""
    if value is None:
        return None
    if isinstance(dtype, pl.Struct):
        if not isinstance(value, dict):
            return None
        return {field.name: _fitted(value.get(field.name), field.dtype) for field in dtype.fields}
    if isinstance(dtype, pl.List):
        return [_fitted(v, dtype.inner) for v in (value if isinstance(value, list) else [value])]
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def text_lines(source: Source, mark: str, names: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Rows of a text file without header whose cells are cut at a mark of any length, never quoted.

    UTF-8, or Latin-1 where a chunk is no UTF-8, as in the older MovieLens.

    Raises:
        BadInput: A line has fewer or more cells: also the last one, where a file was cut.
    """
    rows = 0
    for lines in _line_chunks(source):
        column = pl.Series("line", lines, dtype=pl.String)
        frame = pl.DataFrame({"line": column}).with_row_index("row", offset=rows + 1)
        rows += len(frame)
        frame = frame.with_columns(pl.col("line").str.strip_chars_end("\r\n").str.split(mark).alias("cells"))
        frame = frame.filter(pl.col("line").str.strip_chars() != "")
        odd = frame.filter(pl.col("cells").list.len() != len(names))
        if len(odd):
            raise BadInput(
                f"{source.path}, line {odd['row'][0]}: {len(odd['cells'][0])} cells, "
                f"where a line has {len(names)}"
            )
        yield frame.select("row", *(pl.col("cells").list.get(i).alias(n) for i, n in enumerate(names)))
    if not rows:
        raise BadInput(f"{source.path}: no rows")


def _line_chunks(source: Source) -> Iterator[list[str]]:
    rest, number = b"", 0
    with source.open() as stream:
        try:
            while block := stream.read(1 << 24):
                whole, mark, rest = (rest + block).rpartition(b"\n")
                if mark:
                    lines = _text(whole).split("\n")
                    number += len(lines)
                    yield lines
        except (EOFError, OSError) as error:
            raise BadInput(f"{source.path}: ends early, after line {number}: {error}") from error
    if rest:
        yield [_text(rest)]


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def ids(column: pl.Series) -> pl.Series:
    """Ids as texts: the number 12.0, as a column with gaps is stored, is the id 12; "" is none."""
    if column.dtype.is_float():
        whole = column == column.round()
        text = column.cast(pl.Int64, strict=False).cast(pl.String)
        return text.zip_with(whole.fill_null(True), column.cast(pl.String))
    text = column.cast(pl.String).str.strip_chars()
    return text.set(text == "", None)


def number(frame: pl.DataFrame, name: str, source: Source, ledger: Ledger) -> pl.Series:
    """A column's numbers; texts that are none become null, counted as repaired by `unreadable_number`."""
    return _counted(frame, name, numbers(frame[name]), "unreadable_number", source, ledger)


def moment(frame: pl.DataFrame, name: str, source: Source, ledger: Ledger) -> pl.Series:
    """A column's times; what is none becomes null, counted as repaired by `unreadable_time`."""
    return _counted(frame, name, moments(frame[name]), "unreadable_time", source, ledger)


def _counted(
    frame: pl.DataFrame, name: str, found: pl.Series, reason: str, source: Source, ledger: Ledger
) -> pl.Series:
    lost = found.is_null() & frame[name].is_not_null()
    if lost.any():
        examples = frame.filter(lost).head(20).select("row", name).rows()
        ledger.repair(reason, int(lost.sum()), [f"{source.name} row {r}: {name} {v!r}" for r, v in examples])
    return found


def joined_text(*names: str) -> pl.Expr:
    """Texts of columns in this order, joined by a space; null where all are."""
    text = pl.concat_str([pl.col(name) for name in names], separator=" ", ignore_nulls=True)
    return pl.when(text != "").then(text)


def actions(frame: pl.DataFrame, name: str, known: Mapping[str, str]) -> list[pl.Series]:
    """What a column calls an event, as `action`: `other` where the format has no such name.

    The name as it was is `attribute.action_name`, for those alone.
    """
    called = frame[name].cast(pl.String).str.strip_chars()
    action = called.replace_strict(known, default="other", return_dtype=pl.String).fill_null("other")
    unknown = called.zip_with(action == "other", pl.Series([None], dtype=pl.String))
    return [action.alias("action"), unknown.alias("attribute.action_name")]


def once(key: str) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """A filter of chunks: rows whose key is not null and came in no row before."""
    seen = pl.Series(key, [], dtype=pl.String)

    def fresh(frame: pl.DataFrame) -> pl.DataFrame:
        nonlocal seen
        new = frame.filter(pl.col(key).is_not_null()).unique(key, keep="first", maintain_order=True)
        new = new.join(seen.to_frame(), on=key, how="anti", maintain_order="left")
        seen = pl.concat([seen, new[key]])
        return new

    return fresh


def placed(name: str, frame: pl.DataFrame, source: Source) -> tuple[str, pl.DataFrame]:
    """A chunk of a table with the file it came from."""
    return name, frame.with_columns(source=pl.lit(source.name))
