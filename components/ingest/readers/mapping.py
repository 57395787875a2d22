"""A format described, not programmed: a YAML file says what canonical tables the rows of a file become.

    about: Events of our app
    detect: [event, user.id]              # columns that tell the format; if it is left out, any file is
    missing: ["(not set)"]                # texts that mean nothing
    tables:
      events:
        - when: {event: [tap, buy]}       # a value, a list of values, null, or {not: ...}
          each: items[]                   # a row an element; of a text, with `split: "|"`
          columns:
            action: {path: event, values: {tap: click, buy: purchase}, default: other}
            item_id: items[].sku
            position: $index              # place in the list, from 1
            timestamp: {path: at, unit: ms}
            user_id: {path: [user.id, device], default: nobody}      # the first that is there
            attribute.campaign: {constant: spring}
            query: {join: [words, "brand?"]}                         # texts joined; `?`: may be missing

Rows that no rule takes are dropped as `unmapped_row`; those whose list is empty, as `empty_list`.
"""

from __future__ import annotations

from pathlib import Path as File
from typing import Any

import polars as pl
from assay.components.core.errors import BadInput
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.readers.chunks import once, placed
from assay.components.ingest.readers.mapping_file import UNITS, Column, Layout, Rule, loaded
from assay.components.ingest.readers.paths import ELEMENT, INDEX, Path, reached
from assay.components.ingest.readers.reader import Chunks, Reader
from assay.components.ingest.readers.records import records
from assay.components.ingest.readers.sources import Source
from assay.components.ingest.readers.values import moments, numbers, texts
from assay.components.ingest.tables import MOMENT, SCHEMAS

SHIPPED = File(__file__).parents[1] / "mappings"
_TRUTH = {"true": "true", "True": "true", "1": "true", "false": "false", "False": "false", "0": "false"}


def reader_of(mapping: str | File) -> Reader:
    """A reader by a mapping.

    Args:
        mapping: The name of one that is shipped, or a YAML file.

    Raises:
        BadInput: There is no such mapping, or it is not valid; the message says what and where.
    """
    file = SHIPPED / f"{mapping}.yaml"
    if not file.is_file():
        file = File(mapping)
    if not file.is_file():
        raise BadInput(f"--mapping {mapping}: no such file, and none of {', '.join(shipped())}")
    known = loaded(file)
    return Reader(
        known.name,
        known.about,
        lambda source: _claims(known, source),
        lambda source, ledger: _read(known, source, ledger),
    )


def shipped() -> list[str]:
    """Names of the mappings that come with the package."""
    return sorted(file.stem for file in SHIPPED.glob("*.yaml"))


def _claims(known: Layout, source: Source) -> str | None:
    if not known.detect:
        return f"mapping {known.name}, which names no columns to tell it by"
    columns = set(source.columns)
    if all(path.text in columns or path.segments[0].name in columns for path in known.detect):
        return f"columns {', '.join(path.text for path in known.detect)}: mapping {known.name}"
    return None


def _read(known: Layout, source: Source, ledger: Ledger) -> Chunks:
    fresh = once("item_id")
    found: set[str] = set()
    for chunk in records(source, _fields(known, source)):
        taken = pl.Series("taken", [False]).new_from_index(0, len(chunk))
        made: dict[str, list[pl.DataFrame]] = {}
        for rule in known.rules:
            here = _taken(chunk, rule)
            taken = taken | here
            rows = _elements(chunk.filter(here), rule, source)
            made.setdefault(rule.table, []).append(_table(rows, rule, source, ledger, found))
        became = pl.Series("taken", [False]).new_from_index(0, len(chunk))
        for name, parts in made.items():
            # In the order of the file, so that no row depends on where a chunk ends.
            table = pl.concat(parts, how="diagonal_relaxed").sort("row", maintain_order=True)
            became = became | chunk["row"].is_in(table["row"].unique().implode())
            table = fresh(table) if name == "items" else table
            if len(table):
                yield placed(name, table, source)
        _count(ledger, "unmapped_row", chunk.filter(~taken), source)
        _count(ledger, "empty_list", chunk.filter(taken & ~became), source)
    read = {
        path.text for rule in known.rules for _, path in rule.paths() if path.segments and not path.optional
    }
    never = sorted(read - found)
    ledger.note("path_never_found", len(never), [f"{source.name}: {text}" for text in never])


def _count(ledger: Ledger, reason: str, rows: pl.DataFrame, source: Source) -> None:
    ledger.drop(reason, len(rows), [f"{source.name}, row {row}" for row in rows["row"].head(20)])


def _fields(known: Layout, source: Source) -> Any:
    """What is read of a file: of a table, its columns; of objects, the shape that the paths lead into."""
    paths = [path for rule in known.rules for _, path in rule.paths()]
    if source.kind in ("jsonl", "json"):
        # Objects may be flattened as well: {"user.id": 7}.
        flat = {path.text for path in paths if len(path.segments) > 1} & set(source.columns)
        return {**known.fields, **dict.fromkeys(sorted(flat), pl.String)}
    _check_columns(known, source)
    asked = {name for path in paths for name in (path.text, *path.names[:1])}
    return dict.fromkeys(name for name in source.columns if name in asked)


def _check_columns(known: Layout, source: Source) -> None:
    columns = source.columns
    for rule in known.rules:
        for where, path in rule.paths():
            listed = path.each and rule.each and rule.each.optional
            if path.optional or listed or not path.segments or path.text in columns:
                continue
            if path.segments[0].name not in columns:
                raise BadInput(
                    f"{source.path}: mapping {known.name}, {where}: no column {path.text!r}; the file has "
                    f"{', '.join(columns[:30])}; write {path.text}? if it may be missing"
                )


def _taken(chunk: pl.DataFrame, rule: Rule) -> pl.Series:
    mask = pl.Series("taken", [True]).new_from_index(0, len(chunk))
    for path, values, among in rule.when:
        expr = reached(path, chunk.schema)
        value = _nothing(chunk) if expr is None else _text(chunk.select(expr).to_series(), rule.missing)
        here = value.is_in([one for one in values if one is not None]).fill_null(False)
        here = here | value.is_null() if None in values else here
        mask = mask & (here if among else ~here)
    return mask


def _elements(chunk: pl.DataFrame, rule: Rule, source: Source) -> pl.DataFrame:
    """A row an element of the rule's list, in `$element`, its place in `$index`."""
    if rule.each is None:
        return chunk
    expr = reached(rule.each, chunk.schema)
    if expr is None:
        return chunk.clear().with_columns(pl.lit(None, pl.String).alias(ELEMENT), pl.lit(1).alias(INDEX))
    found = chunk.with_columns(expr.alias(ELEMENT))
    if rule.split and found[ELEMENT].dtype == pl.String:
        found = found.with_columns(pl.col(ELEMENT).str.split(rule.split))
    if not isinstance(found[ELEMENT].dtype, pl.List):
        raise BadInput(
            f"{source.path}: {rule.where}.each: {rule.each.text} is no list but "
            f'{found[ELEMENT].dtype}; of a text, say what cuts it, e.g. split: "|"'
        )
    found = found.filter(pl.col(ELEMENT).list.len().fill_null(0) > 0)
    return found.with_columns(pl.int_ranges(1, pl.col(ELEMENT).list.len() + 1).alias(INDEX)).explode(
        ELEMENT, INDEX
    )


def _table(rows: pl.DataFrame, rule: Rule, source: Source, ledger: Ledger, found: set[str]) -> pl.DataFrame:
    found |= {path.text for _, path in rule.paths() if path.text not in found and _is_there(rows, path, rule)}
    made = [_column(rows, name, how, rule, source, ledger) for name, how in rule.columns.items()]
    return rows.select("row", *made)


def _is_there(rows: pl.DataFrame, path: Path, rule: Rule) -> bool:
    expr = reached(path, rows.schema, rule.each)
    return expr is not None and len(rows) > 0 and rows.select(expr.is_not_null().any()).item()


def _column(
    rows: pl.DataFrame, name: str, how: Column, rule: Rule, source: Source, ledger: Ledger
) -> pl.Series:
    dtype = _dtype(rule.table, name)
    raw = _raw(rows, how, rule, text=dtype == pl.String or how.values is not None)
    if how.values is not None:
        raw = raw.replace_strict(dict(how.values), default=None, return_dtype=pl.String)
    if how.default is not None:
        raw = (raw if raw.dtype == pl.String else texts(raw)).fill_null(how.default)
    made, reason = _typed(raw, dtype, how.unit)
    lost = made.is_null() & raw.is_not_null()
    if lost.any() and dtype != pl.String:
        some = pl.DataFrame([rows["row"], raw.alias("value")]).filter(lost).head(20).rows()
        ledger.repair(reason, int(lost.sum()), [f"{source.name}, row {r}: {name} {v!r}" for r, v in some])
    return made.alias(name)


def _dtype(table: str, name: str) -> Any:
    if name.startswith("feature."):
        return pl.Float64
    return SCHEMAS[table].get(name, pl.String)


def _raw(rows: pl.DataFrame, how: Column, rule: Rule, text: bool) -> pl.Series:
    """What the file says, before it is mapped: text, or the dtype of a parquet where no text is needed."""
    if not how.paths:
        return pl.Series("raw", [how.constant], dtype=pl.String).new_from_index(0, len(rows))
    series = []
    for path in how.paths:
        expr = reached(path, rows.schema, rule.each)
        if expr is not None:
            one = rows.select(expr.alias("raw")).to_series()
            plain = one.dtype.is_temporal() or one.dtype.is_numeric() or one.dtype == pl.Boolean
            series.append(one if plain and not text and len(how.paths) == 1 else _text(one, rule.missing))
    if not series:
        return _nothing(rows)
    if len(series) == 1:
        return series[0]
    frame = pl.DataFrame([one.alias(str(i)) for i, one in enumerate(series)])
    both = pl.concat_str(pl.all(), separator=" ", ignore_nulls=True) if how.joined else pl.coalesce(pl.all())
    return frame.select(both.replace("", None).alias("raw")).to_series()


def _nothing(rows: pl.DataFrame) -> pl.Series:
    return pl.Series("raw", [None], dtype=pl.String).new_from_index(0, len(rows))


def _text(column: pl.Series, missing: tuple[str, ...]) -> pl.Series:
    """Any value as a text: a list with commas, an object as JSON; null where it means nothing."""
    text = texts(column)
    return text.replace(dict.fromkeys(missing)) if missing else text


def _typed(raw: pl.Series, dtype: Any, unit: str) -> tuple[pl.Series, str]:
    """(values of the table's dtype, what a value is counted as that has none)."""
    if dtype == MOMENT:
        if unit and not raw.dtype.is_temporal():
            since = (numbers(raw) * UNITS[unit]).round().cast(pl.Int64, strict=False)
            return since.cast(pl.Datetime("us")).dt.replace_time_zone("UTC"), "unreadable_time"
        return moments(raw), "unreadable_time"
    if dtype == pl.Boolean:
        words = raw.cast(pl.String).replace_strict(_TRUTH, default=None, return_dtype=pl.String)
        return words == "true", "unreadable_truth"
    if dtype == pl.Int32:
        return numbers(raw).cast(pl.Int32, strict=False), "unreadable_number"
    if dtype == pl.Float64:
        return numbers(raw), "unreadable_number"
    return texts(raw), ""
