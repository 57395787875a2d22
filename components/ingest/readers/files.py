"""One table out of a csv, tsv, jsonl or parquet file, with errors that say where."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
from assay.components.core.errors import BadInput

FORMATS = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a file whole; in text formats every value stays the text it was, "" being null.

    Args:
        path: A file with one of the endings of `FORMATS`.

    Returns:
        One row a row of the file, columns named as in it.

    Raises:
        BadInput: Missing, empty, of another format, not UTF-8, or not well-formed.
    """
    path = Path(path)
    if not path.exists():
        raise BadInput(f"{path}: no such file")
    if path.is_dir():
        raise BadInput(f"{path}: is a folder; name one file ({', '.join(FORMATS)})")
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise BadInput(f"{path}: unknown format {suffix or '(no ending)'}; known: {', '.join(FORMATS)}")
    if path.stat().st_size == 0:
        raise BadInput(f"{path}: the file is empty")
    try:
        frame = _READERS[suffix](path)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise BadInput(
            f"{path}: not UTF-8 (byte 0x{error.object[error.start]:02x} at offset {error.start}); "
            "convert it first, e.g. iconv -f latin1 -t utf-8"
        ) from error
    if frame.empty:
        raise BadInput(f"{path}: no rows")
    frame.columns = [str(name) for name in frame.columns]
    return frame


def _read_csv(path: Path) -> pd.DataFrame:
    # Decoded first, whole: pandas reports an offset within its own chunk, useless to the user.
    path.read_bytes().decode("utf-8")
    try:
        with warnings.catch_warnings():
            # A row with more cells than the header has names: pandas would drop them, or shift every column.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(
                path,
                sep="\t" if path.suffix.lower() == ".tsv" else ",",
                dtype=str,
                keep_default_na=False,
                na_values=[""],
                encoding="utf-8-sig",
                index_col=False,
            )
    except pd.errors.ParserWarning as error:
        raise BadInput(f"{path}: rows have more cells than the header has names") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise BadInput(f"{path}: not a well-formed csv: {error}") from error
    if len(frame.columns) == 1 and any(mark in frame.columns[0] for mark in ";\t|"):
        raise BadInput(
            f"{path}: one column, {frame.columns[0]!r}; separate cells by commas, or by tabs in a .tsv"
        )
    return frame


def _read_jsonl(path: Path) -> pd.DataFrame:
    rows = []
    for number, line in enumerate(path.read_bytes().decode("utf-8-sig").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise BadInput(f"{path}, line {number}: not JSON: {error}") from error
        if not isinstance(row, dict):
            raise BadInput(f"{path}, line {number}: expected an object, found {type(row).__name__}")
        rows.append(row)
    return pd.DataFrame(rows, dtype=object)


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        # Integers beside a null would become floats, and long ids one another.
        return pq.read_table(path).to_pandas(integer_object_nulls=True)
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: not a readable parquet file: {error}") from error


_READERS = {
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".jsonl": _read_jsonl,
    ".ndjson": _read_jsonl,
    ".parquet": _read_parquet,
}
