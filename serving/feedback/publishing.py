"""A sealed segment of the journal -> a parquet file in the folder that `ingest` reads."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.fs as fs
import pyarrow.json as pj
import pyarrow.parquet as pq
from assay.components.core.errors import BadInput

VERSION = "1.3.0"
"""Of UBI, in the metadata of each file."""
_OBJECT = pa.struct([("object_id", pa.string()), ("name", pa.string())])
SCHEMA = pa.schema(
    [
        *(
            (name, pa.string())
            for name in ("application", "action_name", "query_id", "user_id", "session_id")
        ),
        *((name, pa.string()) for name in ("timestamp", "user_query")),
        (
            "event_attributes",
            pa.struct(
                [
                    ("event_id", pa.string()),
                    ("object", _OBJECT),
                    ("position", pa.struct([("ordinal", pa.int32())])),
                    ("placement_propensity", pa.float64()),
                    ("score", pa.float64()),
                    ("model", pa.string()),
                ]
            ),
        ),
    ],
    metadata={"ubi": VERSION},
)
"""Of a file: UBI's event, flat where it is flat and nested where it is nested."""


class Folder:
    """Where parquet files go: a local folder, or a URI that pyarrow knows."""

    def __init__(self, name: str) -> None:
        """Nothing is touched.

        Args:
            name: A path, or `s3://bucket/prefix?endpoint_override=HOST:PORT&scheme=http` and the like.

        Raises:
            BadInput: The URI is none that pyarrow knows.
        """
        self.name = _without_secrets(name)
        if "://" not in name:
            self._files, self._path = fs.LocalFileSystem(), os.path.abspath(name)
            return
        try:
            self._files, self._path = fs.FileSystem.from_uri(name)
        except (OSError, ValueError, pa.ArrowException) as error:
            why = str(error).replace(name, self.name)
            raise BadInput(f"ASSAY_FEEDBACK_FOLDER={self.name}: {why}") from error
        self._path = self._path.rstrip("/")

    def check(self) -> None:
        """See that a local folder can be written.

        Of a remote one nothing is asked: a service that starts while the store is away keeps its events in
        the journal.

        Raises:
            BadInput: It cannot.
        """
        if not isinstance(self._files, fs.LocalFileSystem):
            return
        try:
            os.makedirs(self._path, exist_ok=True)
            probe = Path(self._path, f".probe-{os.getpid()}")
            probe.write_bytes(b"-")
            probe.unlink()
        except OSError as error:
            raise BadInput(
                f"ASSAY_FEEDBACK_FOLDER={self.name} cannot be written: {error.strerror}; "
                "name a folder that this user may write"
            ) from error

    def publish(self, segment: Path) -> bool:
        """Write a segment's parquet file, whole or not at all, and remove the segment.

        Its name is that of the segment: done twice, by whoever, it is the same file. A line without an end
        was never acknowledged, and is left out. Lines that are no JSON, which only a loss of power can leave,
        are left out too, and the segment is kept in the journals' folder, as `.damaged`.

        Returns:
            Whether there was anything to write.

        Raises:
            OSError: It could not be written; the segment stays.
        """
        data = segment.read_bytes()
        data = data[: data.rfind(b"\n") + 1]
        table, damaged = _table(data)
        if len(table):
            sink = pa.BufferOutputStream()
            pq.write_table(table, sink, compression="zstd")
            self._write(f"{segment.stem}.parquet", sink.getvalue())
        if damaged:
            segment.rename(segment.parent.parent / f"{segment.stem}.damaged")
        else:
            segment.unlink()
        return bool(len(table))

    def _write(self, name: str, content: pa.Buffer) -> None:
        if not isinstance(self._files, fs.LocalFileSystem):
            # An object is there once it was put whole.
            try:
                with self._files.open_output_stream(f"{self._path}/{name}") as stream:
                    stream.write(content)
            except pa.ArrowException as error:
                raise OSError(str(error)) from error
            return
        folder = Path(self._path)
        folder.mkdir(parents=True, exist_ok=True)
        # `ingest` passes over names with a dot.
        beside = folder / f".{name}.partial"
        with beside.open("wb") as stream:
            stream.write(memoryview(content))
            stream.flush()
            os.fsync(stream.fileno())
        beside.rename(folder / name)
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _without_secrets(name: str) -> str:
    """A URI without keys, which it may bear, and options."""
    return re.sub(r"//[^/?]*@", "//", name).partition("?")[0]


def _table(data: bytes) -> tuple[pa.Table, bool]:
    """(the lines as a table of `SCHEMA`, whether some were no JSON)."""
    try:
        return _parsed(data), False
    except pa.ArrowInvalid:
        good = [line for line in data.splitlines(keepends=True) if _whole(line)]
        return _parsed(b"".join(good)), True


def _parsed(data: bytes) -> pa.Table:
    if not data:
        return SCHEMA.empty_table()
    # A block holds whole lines, and the longest must fit.
    reading = pj.ReadOptions(use_threads=False, block_size=len(data) + 1)
    how = pj.ParseOptions(explicit_schema=SCHEMA, unexpected_field_behavior="error")
    return pj.read_json(pa.BufferReader(data), reading, how).select(SCHEMA.names).cast(SCHEMA)


def _whole(line: bytes) -> bool:
    try:
        _parsed(line)
        return isinstance(json.loads(line), dict)
    except (ValueError, pa.ArrowException):
        return False
