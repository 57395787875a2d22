"""What was read of each file of a log, kept: none is read twice, later ones are added, broken reads go on."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow.parquet as pq
from assay.components.core.manifest import write_json
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.tables import LOGGED

ABOUT = "about.json"
ROWS = "rows"
"""In place of a canonical table's name: rows of a search, of a flat file."""


@dataclass(frozen=True)
class Reading:
    """What was read of one file.

    Attributes:
        folder: Parquet files, `TABLE-00000.parquet ...`.
        about: `number` (in the order of arrival), `file`, `sha256`, `rows` ({table: n}), `last` (ISO text of
            the last moment in it that is past, or null), `ledger`, and what the reader says.
    """

    folder: Path
    about: dict[str, Any]

    @property
    def last(self) -> datetime | None:
        """Of the moments in it."""
        return datetime.fromisoformat(self.about["last"]) if self.about["last"] else None

    def erased(self) -> int:
        """Logged rows that were read and are there no more: `assay erase` took them out."""
        read = sum(rows for table, rows in self.about["rows"].items() if table in (ROWS, *LOGGED))
        left = [
            file for file in self.folder.glob("*.parquet") if file.stem.rsplit("-", 1)[0] in (ROWS, *LOGGED)
        ]
        return read - sum(pq.read_metadata(file).num_rows for file in left)

    def chunks(self) -> Iterator[tuple[str, pl.DataFrame]]:
        """(table, rows) as they were read."""
        for file in sorted(self.folder.glob("*.parquet")):
            yield file.stem.rsplit("-", 1)[0], pl.read_parquet(file)

    def frames(self) -> Iterator[pd.DataFrame]:
        """Rows of a flat file, as they were read."""
        for file in sorted(self.folder.glob(f"{ROWS}-*.parquet")):
            yield pd.read_parquet(file)


class Writer:
    """Takes what is read of a file; it is there whole or not at all."""

    def __init__(self, folder: Path, number: int, file: str, sha256: str) -> None:
        """Begin.

        Args:
            folder: Of the store.
            number: Of the reading.
            file: The file's name.
            sha256: Of its bytes.
        """
        self._final, self._beside = folder / sha256, folder / f".{sha256}.partial"
        shutil.rmtree(self._beside, ignore_errors=True)
        self._beside.mkdir(parents=True)
        self._about: dict[str, Any] = {"number": number, "file": file, "sha256": sha256}
        self._rows: dict[str, int] = {}
        self._last: datetime | None = None
        self._chunks = 0

    def add(self, table: str, frame: pl.DataFrame | pd.DataFrame) -> None:
        """Take rows of a table."""
        now = datetime.now(UTC)
        file = self._beside / f"{table}-{self._chunks:05d}.parquet"
        if isinstance(frame, pl.DataFrame):
            frame.write_parquet(file, compression="lz4")
        else:
            frame.to_parquet(file, index=False, compression="lz4")
        last = None
        if "timestamp" in frame.columns:
            # A clock that runs years ahead would make all that comes later late.
            moments = frame["timestamp"]
            past = moments <= now
            last = (moments.filter(past) if isinstance(moments, pl.Series) else moments[past]).max()
        if isinstance(last, datetime) and not pd.isna(last):
            self._last = last if self._last is None else max(self._last, last)
        self._rows[table] = self._rows.get(table, 0) + len(frame)
        self._chunks += 1

    def close(self, ledger: Ledger, **said: Any) -> Reading:
        """Keep it.

        Args:
            ledger: Of this file alone.
            **said: What the reader says, as JSON.
        """
        last = self._last.isoformat() if self._last else None
        about = self._about | {"rows": self._rows, "last": last, "ledger": ledger.counts(), **said}
        write_json(self._beside / ABOUT, about)
        self._beside.rename(self._final)
        return Reading(self._final, about)


class LogStore:
    """Readings in a folder, by the sha256 of what was read."""

    def __init__(self, folder: Path, late_days: float = 0.0, more: Sequence[Path] = ()) -> None:
        """Nothing is made before something is read.

        Args:
            folder: Where readings are, and new ones go.
            late_days: Rows that lie so many days before what earlier calls had seen are too late; 0 is never.
            more: Other folders of readings, that come after those of the first.
        """
        self.folder, self.late_days, self._more = folder, late_days, more

    def readings(self) -> list[Reading]:
        """All that are whole, in the order of arrival."""
        found = []
        for folder in (self.folder, *self._more):
            read = [Reading(f.parent, json.loads(f.read_text())) for f in folder.glob(f"[!.]*/{ABOUT}")]
            found += sorted(read, key=lambda reading: reading.about["number"])
        return found

    def sha256(self) -> str:
        """Of what was read, in the order it came, and of what counts as too late."""
        names = f"{self.late_days:g}" + "".join(reading.about["sha256"] for reading in self.readings())
        return hashlib.sha256(names.encode()).hexdigest()

    def writer(self, file: str, sha256: str) -> Writer:
        """For a file that comes after all others."""
        numbers = [reading.about["number"] for reading in self.readings()]
        return Writer(self.folder, max(numbers, default=0) + 1, file, sha256)
