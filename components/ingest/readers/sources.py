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
import pyarrow.parquet as pq
from assay.components.core.errors import BadInput
from assay.components.core.manifest import sha256_of
from assay.components.ingest.readers.delimited import batches
from assay.components.ingest.readers.objects import json_object

ROWS = 200_000
"""Rows of a chunk, about."""
BLOCK = 1 << 20
"""Bytes of a text file decoded at once, where its first lines may be all that is asked for."""
HEAD = 5
"""Lines, or objects, that a reader may look at."""
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
        lines = [line for _, line in islice(self.lines(), HEAD)]
        if not lines:
            raise BadInput(f"{self.path}: the file is empty")
        return lines

    @cached_property
    def delimiter(self) -> str:
        """Of a csv: tab, comma, semicolon or bar, whichever splits its first line most."""
        return max(_DELIMITERS, key=lambda mark: (self.head[0].count(mark), mark == ","))

    @cached_property
    def columns(self) -> list[str]:
        """Names of the columns: of a parquet; in the first line of a csv, whatever its ending.

        Of a jsonl or json those of the first few objects.

        Raises:
            BadInput: The first line of a csv is no header; a line of a jsonl is no object.
        """
        if self.kind == "parquet":
            return list(self._parquet().schema_arrow.names)
        if self.kind in ("jsonl", "json"):
            return list(dict.fromkeys(key for _, row in islice(self.objects(), HEAD) for key in row))
        try:
            return next(csv.reader([self.head[0]], delimiter=self.delimiter))
        except csv.Error as error:
            if self.kind == "lines":
                return []
            raise BadInput(f"{self.path}: the first line is no header: {error}") from error

    def has(self, *names: str) -> bool:
        """Whether all of these columns are there."""
        return set(names) <= set(self.columns)

    def blocks(self, size: int = BLOCK, latin: bool = False) -> Iterator[tuple[int, list[str]]]:
        """(number of the first, from 1; lines without their ends, empty ones too), some bytes at a time.

        Args:
            size: Bytes decoded at once, about.
            latin: Take a block that is no UTF-8 for Latin-1.

        Raises:
            BadInput: Not UTF-8, or the compressed file ends early; after the lines before.
        """
        number, rest, block = 1, b"", b"-"
        with self.open() as stream:
            while block:
                try:
                    block = stream.read(size)
                except (EOFError, OSError) as error:
                    raise BadInput(f"{self.path}: ends early, after line {number - 1}: {error}") from error
                whole, mark, rest = (rest + block).rpartition(b"\n") if block else (rest, rest, b"")
                if not mark:
                    continue
                lines, bad = _decoded(whole, latin)
                if number == 1:
                    lines[0] = lines[0].removeprefix("\ufeff")
                yield number, lines
                number += len(lines)
                if bad:
                    raise BadInput(
                        f"{self.path}, line {number - 1}: not UTF-8 (byte 0x{bad:02x}); "
                        "convert it first, e.g. iconv -f latin1 -t utf-8"
                    )

    def lines(self) -> Iterator[tuple[int, str]]:
        """(number from 1, text) of each line that is not empty.

        Raises:
            BadInput: Not UTF-8, or the compressed file ends early.
        """
        for first, lines in self.blocks():
            for number, line in enumerate(lines, start=first):
                if line and not line.isspace():
                    yield number, line

    def objects(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """(number from 1, object) of each line of a jsonl, or of each element of a json.

        Raises:
            BadInput: A line or an element is no JSON object: also the last one, where a file was cut.
        """
        if self.kind == "json":
            yield from self._elements()
            return
        for number, line in self.lines():
            yield number, json_object(self.path, number, line)

    def _elements(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Of a list of objects, of the one such list that an object holds, or the object itself."""
        document = self.document()
        if isinstance(document, dict):
            held = [v for v in document.values() if isinstance(v, list) and v and isinstance(v[0], dict)]
            document = held[0] if len(held) == 1 else [document]
        if not isinstance(document, list):
            raise BadInput(f"{self.path}: expected a list of objects, found {type(document).__name__}")
        for number, row in enumerate(document, start=1):
            if not isinstance(row, dict):
                kind = type(row).__name__
                raise BadInput(f"{self.path}, element {number}: expected an object, found {kind}")
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
        columns = list(names) or self.columns
        if "row" in columns:
            raise BadInput(f"{self.path}: a column is called 'row', as rows are counted here; rename it")
        rows = 0
        for batch in (
            self._parquet_batches()
            if self.kind == "parquet"
            else batches(self.path, self.open(), columns, delimiter or self.delimiter, header=not names)
        ):
            frame = pl.DataFrame(pl.from_arrow(batch))
            if len(frame):
                # A column without a name gets one on the way.
                frame.columns = columns
                yield frame.with_row_index("row", offset=rows + 1)
                rows += len(frame)
        if not rows:
            raise BadInput(f"{self.path}: no rows")

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


def _decoded(block: bytes, latin: bool) -> tuple[list[str], int]:
    """(lines, 0); or those before the one that is not UTF-8, an empty one for it, and its byte."""
    bad = 0
    try:
        text = block.decode("utf-8")
    except UnicodeDecodeError as error:
        bad = 0 if latin else block[error.start]
        good = block[: block.rfind(b"\n", 0, error.start) + 1]
        text = block.decode("latin-1") if latin else good.decode("utf-8")
    return text.replace("\r\n", "\n").removesuffix("\r").split("\n"), bad


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
