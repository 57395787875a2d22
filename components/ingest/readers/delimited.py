"""Batches of a csv of any delimiter, every value the text it was, and what is said of one that was cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.csv
from assay.components.core.errors import BadInput


def batches(
    path: str, opened: Any, columns: Sequence[str], delimiter: str, header: bool
) -> Iterator[pa.RecordBatch]:
    """Rows of a csv, "" being null.

    Args:
        path: For messages.
        opened: The bytes, decompressed; closed at the end.
        columns: Names, all different.
        delimiter: One character.
        header: Whether the first line is one.

    Raises:
        BadInput: Not well-formed, with the row; not UTF-8; no rows.
    """
    if len(set(columns)) < len(columns):
        twice = next(name for name in columns if columns.count(name) > 1)
        raise BadInput(f"{path}: two columns are called {twice!r}")
    bad: list[str] = []

    def wrong(row: Any) -> str:
        number = row.number - header
        bad.append(f"row {number}: {row.actual_columns} cells where there are {row.expected_columns} names")
        return "error"

    with opened:
        stream = _Tail(opened)
        try:
            reader = pyarrow.csv.open_csv(
                pa.PythonFile(stream, "r"),
                pyarrow.csv.ReadOptions(
                    column_names=columns,
                    skip_rows=int(header),
                    block_size=1 << 24,
                    # One thread, so that a bad row has a number.
                    use_threads=False,
                ),
                pyarrow.csv.ParseOptions(
                    delimiter=delimiter, newlines_in_values=True, invalid_row_handler=wrong
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
            if stream.ends_in_quotes(last or "", delimiter):
                raise BadInput(
                    f"{path}, the last row: its last cell {(last or '')[:40]!r} begins with a quote "
                    "and ends with none: the file was cut"
                )
        except pa.ArrowInvalid as error:
            if bad:
                raise BadInput(
                    f"{path}, {bad[0]}: the file was cut, or a cell has a delimiter outside quotes"
                ) from error
            if "Empty CSV" in str(error) or "no data" in str(error).lower():
                raise BadInput(f"{path}: no rows") from error
            raise BadInput(f"{path}: not a well-formed csv: {error}") from error
        except OSError as error:
            raise BadInput(f"{path}: ends early: {error}") from error


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
