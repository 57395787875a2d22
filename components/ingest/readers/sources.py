"""Files as readers see them: what kind, what header, and their rows in chunks of bounded memory.

Local or remote (fsspec), plain, gzip or zstd; csv of any delimiter, jsonl, json, parquet, or plain lines.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from assay.components.core.errors import BadInput
from assay.components.core.manifest import sha256_of

ROWS = 200_000
"""Rows of a chunk, about."""
HEAD = 5
"""Lines that a reader may look at."""
COMPRESSED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
"""{first bytes: compression}: names lie."""
_ENDINGS = (".gz", ".gzip", ".zst", ".zstd")
_KINDS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
}
_DELIMITERS = "\t,;|"


@dataclass(frozen=True)
class Source:
    """A file.

    Attributes:
        path: Local, or with a protocol that fsspec knows (`s3://`).
    """

    path: str

    @property
    def name(self) -> str:
        """Of the file, without folders."""
        return PurePosixPath(self.path).name

    @cached_property
    def stem(self) -> str:
        """Lower case, without endings: `reviews` of `Reviews.jsonl.gz`."""
        name = self.name.lower()
        while (ending := PurePosixPath(name).suffix) in (
            *_ENDINGS,
            *_KINDS,
            ".txt",
            ".dat",
            ".data",
            ".inter",
        ):
            name = name.removesuffix(ending)
        return name

    @cached_property
    def kind(self) -> str:
        """`csv`, `jsonl`, `json`, `parquet`, or `lines` where the ending says none of these.

        A `.json` whose first line is an object of its own, with another below, is a jsonl: many exports are.
        """
        name = self.name.lower()
        for ending in _ENDINGS:
            name = name.removesuffix(ending)
        kind = _KINDS.get(PurePosixPath(name).suffix, "lines")
        return "jsonl" if kind == "json" and self._lines_are_objects() else kind

    def _lines_are_objects(self) -> bool:
        first = [line for _, line in islice(self.lines(), 2)]
        try:
            return len(first) == 2 and isinstance(json.loads(first[0]), dict)
        except (ValueError, RecursionError):
            return False

    def open(self) -> Any:
        """The bytes, decompressed as they are read.

        Raises:
            BadInput: The file is not there, or cannot be read.
        """
        try:
            raw = fsspec.open(self.path, "rb").open()
            first = raw.read(4)
            raw.seek(0)
            how = next((how for start, how in COMPRESSED.items() if first.startswith(start)), None)
            return pa.CompressedInputStream(pa.PythonFile(raw), how) if how else raw
        except FileNotFoundError as error:
            raise BadInput(f"{self.path}: no such file") from error
        except ImportError as error:
            raise BadInput(f"{self.path}: {error}; install what reads it, e.g. pip install s3fs") from error
        except (OSError, ValueError) as error:
            raise BadInput(f"{self.path}: cannot be read: {error}") from error

    @cached_property
    def head(self) -> list[str]:
        """The first lines that are not empty, without their ends; [] of parquet."""
        if self.kind == "parquet":
            return []
        lines = []
        for _, line in self.lines():
            lines.append(line)
            if len(lines) == HEAD:
                break
        if not lines:
            raise BadInput(f"{self.path}: the file is empty")
        return lines

    @cached_property
    def delimiter(self) -> str:
        """Of a csv: tab, comma, semicolon or bar, whichever splits its first line most."""
        return max(_DELIMITERS, key=lambda mark: (self.head[0].count(mark), mark == ","))

    @cached_property
    def columns(self) -> list[str]:
        """Names in the first line of a csv, keys of the first object of a jsonl, columns of a parquet."""
        if self.kind == "parquet":
            return list(self._parquet().schema_arrow.names)
        if self.kind == "jsonl":
            _, first = next(self.objects())
            return list(first)
        if self.kind == "json":
            document = self.document()
            return list(document) if isinstance(document, dict) else []
        if self.kind == "lines":
            return []
        return next(csv.reader([self.head[0].removeprefix("\ufeff")], delimiter=self.delimiter))

    def has(self, *names: str) -> bool:
        """Whether all of these columns are there."""
        return set(names) <= set(self.columns)

    def lines(self) -> Iterator[tuple[int, str]]:
        """(number from 1, text) of each line that is not empty.

        Raises:
            BadInput: Not UTF-8, or the compressed file ends early.
        """
        number = 0
        with self.open() as stream:
            try:
                for number, raw in enumerate(_split(stream), start=1):
                    line = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
                    if line.strip():
                        yield number, line
            except UnicodeDecodeError as error:
                raise BadInput(
                    f"{self.path}, line {number}: not UTF-8 (byte 0x{error.object[error.start]:02x}); "
                    "convert it first, e.g. iconv -f latin1 -t utf-8"
                ) from error
            except (EOFError, OSError) as error:
                raise BadInput(f"{self.path}: ends early, after line {number}: {error}") from error

    def objects(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """(line, object) of a jsonl.

        Raises:
            BadInput: A line is no JSON object: also the last one, where a file was cut.
        """
        for number, line in self.lines():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise BadInput(f"{self.path}, line {number}: not JSON: {error}") from error
            if not isinstance(row, dict):
                raise BadInput(f"{self.path}, line {number}: expected an object, found {type(row).__name__}")
            yield number, row

    def document(self) -> Any:
        """The one value that a json file holds.

        Raises:
            BadInput: It is no JSON.
        """
        with self.open() as stream:
            try:
                return json.loads(stream.read().decode("utf-8-sig"))
            except (ValueError, RecursionError, OSError) as error:
                raise BadInput(f"{self.path}: not JSON: {error}") from error

    def chunks(self, names: Sequence[str] = (), delimiter: str = "") -> Iterator[pl.DataFrame]:
        """Rows of a csv or parquet, a chunk at a time, with a column `row`: their numbers, from 1.

        Of a csv every value is the text it was, "" being null; of a parquet, as it is there.

        Args:
            names: Of the columns of a csv without a header.
            delimiter: Of one that is not the delimiter found.

        Raises:
            BadInput: Not well-formed, with the row; not UTF-8; no rows.
        """
        rows = 0
        for batch in (
            self._parquet_batches() if self.kind == "parquet" else self._csv_batches(names, delimiter)
        ):
            frame = pl.DataFrame(pl.from_arrow(batch))
            if "row" in frame.columns:
                raise BadInput(f"{self.path}: a column is called 'row', as rows are counted here; rename it")
            if len(frame):
                yield frame.with_row_index("row", offset=rows + 1)
                rows += len(frame)
        if not rows:
            raise BadInput(f"{self.path}: no rows")

    def _csv_batches(self, names: Sequence[str], delimiter: str) -> Iterator[pa.RecordBatch]:
        columns = list(names) or self.columns
        if len(set(columns)) < len(columns):
            twice = next(name for name in columns if columns.count(name) > 1)
            raise BadInput(f"{self.path}: two columns are called {twice!r}")
        mark = delimiter or self.delimiter

        bad: list[str] = []

        def wrong(row: Any) -> str:
            number = row.number - (0 if names else 1)
            bad.append(
                f"row {number}: {row.actual_columns} cells where there are {row.expected_columns} names"
            )
            return "error"

        with self.open() as opened:
            stream = _Tail(opened)
            try:
                reader = pyarrow.csv.open_csv(
                    pa.PythonFile(stream, "r"),
                    pyarrow.csv.ReadOptions(
                        column_names=columns,
                        skip_rows=0 if names else 1,
                        block_size=1 << 24,
                        # One thread, so that a bad row has a number.
                        use_threads=False,
                    ),
                    pyarrow.csv.ParseOptions(
                        delimiter=mark, newlines_in_values=True, invalid_row_handler=wrong
                    ),
                    pyarrow.csv.ConvertOptions(
                        column_types=dict.fromkeys(columns, pa.string()),
                        null_values=[""],
                        strings_can_be_null=True,
                        quoted_strings_can_be_null=True,
                    ),
                )
                last = None
                for batch in reader:
                    last = batch[-1][len(batch) - 1].as_py() if len(batch) else last
                    yield batch
                if stream.ends_in_quotes(last or "", mark):
                    raise BadInput(
                        f"{self.path}, the last row: its last cell {(last or '')[:40]!r} begins with a quote "
                        "and ends with none: the file was cut"
                    )
            except pa.ArrowInvalid as error:
                if bad:
                    raise BadInput(
                        f"{self.path}, {bad[0]}: the file was cut, or a cell has a delimiter outside quotes"
                    ) from error
                if "Empty CSV" in str(error) or "no data" in str(error).lower():
                    raise BadInput(f"{self.path}: no rows") from error
                raise BadInput(f"{self.path}: not a well-formed csv: {error}") from error
            except OSError as error:
                raise BadInput(f"{self.path}: ends early: {error}") from error

    def _parquet(self) -> pq.ParquetFile:
        try:
            return pq.ParquetFile(fsspec.open(self.path, "rb").open())
        except FileNotFoundError as error:
            raise BadInput(f"{self.path}: no such file") from error
        except (OSError, ValueError) as error:
            raise BadInput(f"{self.path}: not a readable parquet file: {error}") from error

    def _parquet_batches(self) -> Iterator[pa.RecordBatch]:
        try:
            yield from self._parquet().iter_batches(ROWS)
        except (OSError, ValueError) as error:
            raise BadInput(f"{self.path}: not a readable parquet file: {error}") from error


class _Tail:
    """A stream that remembers its end, since pyarrow takes quotes that are never closed for a whole cell."""

    def __init__(self, stream: Any):
        self._stream = stream
        self._end = b""
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        block = self._stream.read(size)
        self._end = block if len(block) >= 1 << 16 else (self._end + block)[-(1 << 16) :]
        return block

    def ends_in_quotes(self, cell: str, delimiter: str) -> bool:
        """Whether the stream ended within quotes, the last cell being this one."""
        return self._end.endswith((delimiter + '"' + cell.replace('"', '""')).encode())


def _split(stream: Any) -> Iterator[bytes]:
    """Lines of a stream that may not be able to say its own."""
    rest = b""
    while block := stream.read(1 << 20):
        *whole, rest = (rest + block).split(b"\n")
        yield from whole
    if rest:
        yield rest


def expand(paths: Sequence[str]) -> list[Source]:
    """The files that names, folders and globs stand for, in the order of their names within each.

    Raises:
        BadInput: A name stands for no file.
    """
    found: dict[str, None] = {}
    for path in paths:
        fs, bare = fsspec.core.url_to_fs(path)
        prefix = path[: path.index("://") + 3] if "://" in path else ""
        if any(mark in bare for mark in "*?["):
            names = sorted(name for name in fs.glob(bare) if fs.isfile(name))
        elif fs.isdir(bare):
            names = sorted(
                name for name in fs.find(bare) if not PurePosixPath(name).name.startswith((".", "_"))
            )
        else:
            names = [bare] if fs.exists(bare) else []
        if not names:
            raise BadInput(f"{path}: no such file")
        found |= dict.fromkeys(prefix + name if prefix else name for name in names)
    return [Source(name) for name in found]


def named(data: str) -> list[str]:
    """The names in what a user wrote: one, or several with commas between."""
    return [data] if Path(data).exists() else [name.strip() for name in data.split(",") if name.strip()]


def data_sha256(data: str) -> str:
    """Hex sha256 of what was named: of a file or folder as `sha256_of` says, of several their bytes in order.

    Raises:
        BadInput: A name stands for no file.
    """
    if Path(data).exists():
        return sha256_of(data)
    digest = hashlib.sha256()
    for source in expand(named(data)):
        with fsspec.open(source.path, "rb") as stream:
            digest.update(source.name.encode() + b"\0")
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
