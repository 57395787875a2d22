"""Rows by slot: in memory while they are few, else in files, so that memory does not grow with the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

SLOTS = 256
"""What must be looked at together has one slot; no memory can be smaller than that of a slot's rows."""
HELD = 250_000
"""Rows that are held before they are written."""
PART = 500_000
"""Rows of a part: of as many slots as hold no more."""


def slots_of(keys: pd.Series) -> np.ndarray:
    """(n,) uint8 slot of each key, by its hash: the same text has the same slot on every machine."""
    hashed = pl.Series(keys.to_numpy(), dtype=pl.String).hash(seed=0)
    return (hashed.to_numpy() >> np.uint64(56)).astype(np.uint8)


def slots_in_order(ids: pd.Series) -> np.ndarray:
    """(n,) uint8 slot of each hex id, by its first two digits: slots read one by one are in order of id."""
    first = pl.Series(ids.to_numpy(), dtype=pl.String).str.slice(0, 2)
    return first.str.to_integer(base=16).cast(pl.UInt8).to_numpy()


class Scattered:
    """Rows, added in any order, read slot by slot.

    A file is Arrow's, with a record batch a slot; nobody but this class reads it.
    """

    def __init__(
        self, folder: Path, types: Mapping[str, pa.DataType] | None = None, held: int | None = None
    ) -> None:
        """Nothing is written before more than `held` rows are there.

        Args:
            folder: Where files go; made when the first is written.
            types: {column: type} where pandas does not tell.
            held: Rows; `HELD` if None.
        """
        self._folder, self._types, self._held = folder, dict(types or {}), HELD if held is None else held
        self._frames: list[pd.DataFrame] = []
        self._slots: list[np.ndarray] = []
        self._files: list[Path] = []
        self._rows = np.zeros(SLOTS, dtype=np.int64)

    def __len__(self) -> int:
        return int(self._rows.sum())

    def add(self, frame: pd.DataFrame, slot: np.ndarray) -> None:
        """Take rows.

        Args:
            frame: (n,) rows; columns may differ from call to call.
            slot: (n,) uint8.
        """
        self._frames.append(frame)
        self._slots.append(slot)
        self._rows += np.bincount(slot, minlength=SLOTS)
        if sum(map(len, self._slots)) > self._held:
            self._write()

    def parts(self, rows: int | None = None) -> list[range]:
        """Slots in order, as many together as have no more than `rows` rows (`PART` if None)."""
        most, out, start, inside = PART if rows is None else rows, [], 0, 0
        for slot, count in enumerate(self._rows.tolist()):
            if inside and inside + count > most:
                out.append(range(start, slot))
                start, inside = slot, 0
            inside += count
        return [*out, range(start, SLOTS)]

    def read(self, slots: range, columns: Sequence[str] = ()) -> pd.DataFrame:
        """Rows of some slots, in the order they were added; index 0..n-1.

        Args:
            slots: Which.
            columns: Those of them that are wanted and there; all if none is named.
        """
        if self._files and self._frames:
            self._write()
        found = []
        for frame, slot in zip(self._frames, self._slots, strict=True):
            inside = (slot >= slots.start) & (slot < slots.stop)
            kept = [c for c in frame.columns if not columns or c in columns]
            found.append(frame[kept] if inside.all() else frame.loc[inside, kept])
        for file in self._files:
            with pa.memory_map(str(file)) as stream:
                reader = pa.ipc.open_file(stream)
                table = pa.Table.from_batches([reader.get_batch(slot) for slot in slots], reader.schema)
                kept = [c for c in table.column_names if not columns or c in columns]
                found.append(table.select(kept).to_pandas())
        found = [frame for frame in found if len(frame)] or found[:1]
        return pd.concat(found, ignore_index=True) if found else pd.DataFrame()

    def _write(self) -> None:
        frame, slot = pd.concat(self._frames, ignore_index=True), np.concatenate(self._slots)
        self._frames, self._slots = [], []
        order = np.argsort(slot, kind="stable")
        columns = {name: self._array(frame[name].iloc[order], name) for name in frame}
        table = pa.table(columns).combine_chunks()
        ends = np.cumsum(np.bincount(slot, minlength=SLOTS)).tolist()
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._folder / f"{len(self._files):05d}.arrow"
        with pa.ipc.new_file(file, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
            for start, end in zip([0, *ends], ends, strict=False):
                batches = table.slice(start, end - start).to_batches()
                writer.write(batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema))
        self._files.append(file)

    def _array(self, column: pd.Series, name: str) -> pa.Array:
        array = pa.array(column, type=self._types.get(name), from_pandas=True)
        # What is missing in all rows of a file may be a text in another.
        return array.cast(pa.string()) if pa.types.is_null(array.type) else array
