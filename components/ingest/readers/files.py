"""Tables out of csv, tsv, jsonl or parquet files, a chunk at a time, with errors that say where."""

from __future__ import annotations

import codecs
import warnings
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
from assay.components.core.errors import BadInput
from assay.components.ingest.readers.sources import Source

FORMATS = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
_COMPRESSED = (".gz", ".gzip", ".zst", ".zstd")
ROWS = 200_000
"""Rows of a chunk."""


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a file whole; in text formats every value stays the text it was, "" being null.

    Args:
        path: A file with one of the endings of `FORMATS`, which one of gzip or zstd may follow.

    Returns:
        One row a row of the file, columns named as in it; index 0..n-1.

    Raises:
        BadInput: Missing, empty, of another format, not UTF-8, or not well-formed.
    """
    return pd.concat(list(read_chunks(path)))


def read_chunks(path: str | Path, rows: int = ROWS) -> Iterator[pd.DataFrame]:
    """Read a file by chunks of so many rows, as `read_table` reads it whole; its index goes on.

    Columns of a jsonl are those of its first chunk: a key that is first seen later is not one.
    """
    path = Path(path)
    if not path.exists():
        raise BadInput(f"{path}: no such file")
    if path.is_dir():
        raise BadInput(f"{path}: is a folder; name one file ({', '.join(FORMATS)})")
    endings = [ending.lower() for ending in path.suffixes]
    while endings and endings[-1] in _COMPRESSED:
        endings.pop()
    suffix = endings[-1] if endings else ""
    if suffix not in FORMATS:
        raise BadInput(f"{path}: unknown format {suffix or '(no ending)'}; known: {', '.join(FORMATS)}")
    if path.stat().st_size == 0:
        raise BadInput(f"{path}: the file is empty")
    start, columns = 0, pd.Index([])
    try:
        for frame in filter(len, _READERS[suffix](path, rows)):
            frame.columns = frame.columns.map(str)
            columns = frame.columns if not start else columns
            frame = frame.reindex(columns=columns).set_axis(range(start, start + len(frame)))
            start += len(frame)
            yield frame
    except UnicodeDecodeError as error:
        raise BadInput(
            f"{path}: not UTF-8 ({_first_odd_byte(path)}); convert it first, e.g. iconv -f latin1 -t utf-8"
        ) from error
    except (OSError, EOFError) as error:
        raise BadInput(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if not start:
        raise BadInput(f"{path}: no rows")


def _first_odd_byte(path: Path) -> str:
    # What reads by chunks reports an offset within its own, useless to the user.
    decoder, before = codecs.getincrementaldecoder("utf-8")(), 0
    with Source(str(path)).open() as stream:
        while block := stream.read(1 << 20):
            held = len(decoder.getstate()[0])
            try:
                decoder.decode(block)
            except UnicodeDecodeError as error:
                return f"byte 0x{error.object[error.start]:02x} at offset {before - held + error.start}"
            before += len(block)
    return f"it ends within a character, at offset {before}"


def _csv(path: Path, rows: int) -> Iterator[pd.DataFrame]:
    try:
        with warnings.catch_warnings(), Source(str(path)).open() as stream:
            # A row with more cells than the header has names: pandas would drop them, or shift every column.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            with pd.read_csv(
                stream,
                sep="\t" if ".tsv" in path.name.lower() else ",",
                dtype=str,
                keep_default_na=False,
                na_values=[""],
                encoding="utf-8-sig",
                index_col=False,
                chunksize=rows,
            ) as chunks:
                for frame in chunks:
                    _several_columns(path, frame)
                    yield frame
    except pd.errors.ParserWarning as error:
        raise BadInput(f"{path}: rows have more cells than the header has names") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise BadInput(f"{path}: not a well-formed csv: {error}") from error


def _several_columns(path: Path, frame: pd.DataFrame) -> None:
    if len(frame.columns) == 1 and any(mark in str(frame.columns[0]) for mark in ";\t|"):
        raise BadInput(
            f"{path}: one column, {frame.columns[0]!r}; separate cells by commas, or by tabs in a .tsv"
        )


def _jsonl(path: Path, rows: int) -> Iterator[pd.DataFrame]:
    objects = (row for _, row in Source(str(path)).objects())
    while chunk := list(islice(objects, rows)):
        yield pd.DataFrame(chunk, dtype=object)


def _parquet(path: Path, rows: int) -> Iterator[pd.DataFrame]:
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(rows):
                # Integers beside a null would become floats, and long ids one another.
                yield batch.to_pandas(integer_object_nulls=True)
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: not a readable parquet file: {error}") from error


_READERS = {".csv": _csv, ".tsv": _csv, ".jsonl": _jsonl, ".ndjson": _jsonl, ".parquet": _parquet}
