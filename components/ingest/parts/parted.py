"""A log that memory does not hold: read to disk, parted by visitor, cleaned and built part by part."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import polars as pl
from assay.components.core.progress import steps
from assay.components.ingest.cleaning.clean import judged, told
from assay.components.ingest.cleaning.facts import Facts
from assay.components.ingest.cleaning.policy import Policy
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.parts.scattered import PART
from assay.components.ingest.parts.visitors import parts_of
from assay.components.ingest.tables import LOGGED, Tables, joined

WHOLE = 1_000_000
"""Logged rows up to which a log is held in memory at once."""
Chunks = Callable[[], Iterator[tuple[str, pl.DataFrame]]]


class Spool:
    """Chunks of canonical tables: in memory while they are few, else in files."""

    def __init__(self, folder: Path, whole: int | None = None) -> None:
        """Nothing is written before more than `whole` logged rows are there (`WHOLE` if None)."""
        self._folder, self._whole = folder, WHOLE if whole is None else whole
        self._held: list[tuple[str, pl.DataFrame]] = []
        self._files: list[tuple[str, Path]] = []
        self.rows: dict[str, int] = {}

    def add(self, table: str, chunk: pl.DataFrame) -> None:
        """Take a chunk."""
        self._held.append((table, chunk))
        self.rows[table] = self.rows.get(table, 0) + len(chunk)
        if sum(self.rows.get(name, 0) for name in LOGGED) > self._whole:
            for name, frame in self._held:
                self._files.append((name, _written(frame, self._folder / f"{len(self._files):05d}.arrow")))
            self._held = []

    @property
    def large(self) -> bool:
        """Whether it is more than memory should hold."""
        return bool(self._files)

    def chunks(self) -> Iterator[tuple[str, pl.DataFrame]]:
        """(table, rows) in the order they came."""
        for name, file in self._files:
            yield name, pl.read_ipc(file)
        yield from self._held


class Parted:
    """A log in parts: the rows of one visitor, and of what he searched for, are in one."""

    def __init__(
        self, chunks: Chunks, rows: int, folder: Path, ledger: Ledger, policy: Policy, part: int | None = None
    ) -> None:
        """Part it, and see what must be known of the whole.

        Args:
            chunks: The log.
            rows: Its logged rows.
            folder: Where parts are kept.
            ledger: Gets every row, as `clean` counts them.
            policy: Of cleaning.
            part: Logged rows of a part, about; `PART` if None.
        """
        self._folder, self._ledger, self._policy = folder, ledger, policy
        self._parts = range(-(-rows // (part or PART)))
        self._names = _parted(chunks, len(self._parts), folder)
        self._items, facts = told(joined(c for c in chunks() if c[0] == "items"), ledger, policy)
        found = [facts]
        for number in steps(self._parts, "ingest", "part read", len(self._parts)):
            tables, facts = told(_read(self._place(number), self._names), ledger, policy)
            found.append(facts)
            _replace(self._place(number), tables)
        self.facts = Facts.together(found)

    def cleaned(self) -> Iterator[Tables]:
        """Each part after all rules, once; all have the same `items`."""
        items = judged(self._items, self._ledger, self._policy, self.facts)
        for number in steps(self._parts, "ingest", "part cleaned", len(self._parts)):
            tables = _read(self._place(number), self._names)
            yield judged(tables, self._ledger, self._policy, self.facts, items.get("items")) | items
            shutil.rmtree(self._place(number), ignore_errors=True)

    def _place(self, number: int) -> Path:
        return self._folder / f"part-{number:05d}"


def _parted(chunks: Chunks, parts: int, folder: Path) -> list[str]:
    """Write each part's rows; returns the tables that there are."""

    def frames() -> Iterator[pl.DataFrame]:
        return (chunk for name, chunk in chunks() if name != "items")

    names: dict[str, None] = {}
    tables = (name for name, _ in chunks() if name != "items")
    for number, (name, chunk, part) in enumerate(zip(tables, frames(), parts_of(frames, parts), strict=True)):
        names[name] = None
        parted = chunk.with_columns(pl.Series("__part", part)).partition_by("__part", as_dict=True)
        for (key,), rows in parted.items():
            _written(rows.drop("__part"), folder / f"part-{key:05d}" / f"{name}-{number:05d}.arrow")
    return list(names)


def _read(folder: Path, names: Iterable[str]) -> Tables:
    found = {name: sorted(folder.glob(f"{name}-*.arrow")) for name in names}
    return joined((name, pl.read_ipc(file)) for name, files in found.items() for file in files)


def _replace(folder: Path, tables: Tables) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for name, table in tables.items():
        _written(table, folder / f"{name}-00000.arrow")


def _written(frame: pl.DataFrame, file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    frame.write_ipc(file, compression="lz4")
    return file
