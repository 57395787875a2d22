"""The journal: lines that a process has taken and no parquet file has yet. It outlives the process.

    JOURNAL/lock              held while a process looks who else is there
    JOURNAL/<writer>/lock     held by its process for as long as it lives, and by the kernel given back
    JOURNAL/<writer>/<time>-<writer>-<number>.jsonl

A line counts once it is whole in the kernel's hands, or on the disk with `fsync`. What a process that died
left behind is taken over by the next one that looks, by renaming: a segment keeps its name, which names its
parquet file too, so that publishing it twice writes the same file twice.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from assay.components.core.errors import BadInput

LOCK = "lock"
SEGMENT_BYTES = 32 << 20
"""A segment is sealed at so many bytes, however few rows: it becomes a parquet file in memory."""


class Journal:
    """Segments of one process, of which the last is open.

    `adopt`, `sealed` and `size` may be called in another thread than the rest.
    """

    def __init__(self, folder: Path, fsync: bool = False, rows: int = 50_000, seconds: float = 300.0) -> None:
        """Nothing is touched before `open`.

        Args:
            folder: The journals' folder, which processes may share.
            fsync: Whether `append` waits for the disk.
            rows: Of a segment, about.
            seconds: Age of a segment's first line at which `due` is true.
        """
        self._shared, self._fsync, self._rows, self._seconds = folder, fsync, rows, seconds
        self.writer = uuid.uuid4().hex[:12]
        self.folder = folder / self.writer
        self._lock = self._file = -1
        self._open: Path | None = None
        self._number = self._good = self._held = 0
        self._since = 0.0

    def open(self) -> None:
        """Make this process's folder, and take over what dead ones left.

        Raises:
            BadInput: The folder cannot be written.
        """
        try:
            self._shared.mkdir(parents=True, exist_ok=True)
            with self._alone():
                self.folder.mkdir()
                self._lock = os.open(self.folder / LOCK, os.O_CREAT | os.O_RDWR, 0o600)
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.adopt()
            if self._fsync:
                _synced(self._shared)
        except OSError as error:
            raise BadInput(
                f"the feedback journal {self._shared} cannot be written: {error.strerror}; "
                "name a folder on a local disk that this user may write"
            ) from error

    def adopt(self) -> int:
        """Take over the segments of processes that are dead; returns how many."""
        taken = 0
        with self._alone():
            for other in sorted(self._shared.iterdir()):
                if other == self.folder or not other.is_dir():
                    continue
                if not (other / LOCK).exists():
                    # Somebody was killed between two of these lines.
                    with contextlib.suppress(OSError):
                        other.rmdir()
                    continue
                lock = os.open(other / LOCK, os.O_RDWR)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    for segment in sorted(other.glob("*.jsonl")):
                        segment.rename(self.folder / segment.name)
                        taken += 1
                    (other / LOCK).unlink()
                    other.rmdir()
                except BlockingIOError:
                    pass
                finally:
                    os.close(lock)
        return taken

    def append(self, data: bytes, rows: int) -> None:
        """Keep whole lines; when this returns they are kept.

        Raises:
            OSError: They are not, or not surely: nothing must be said of them but that. Later ones may be.
        """
        if self._file < 0:
            self._begin()
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._file, rest) :]
            if self._fsync:
                os.fdatasync(self._file)
        except OSError:
            # Half a line must not stand before the next one; where it cannot be cut, no line follows it.
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._good)
            self.seal()
            raise
        self._good += len(data)
        self._held += rows
        if self._held >= self._rows or self._good >= SEGMENT_BYTES:
            self.seal()

    @property
    def idle(self) -> bool:
        """Whether no segment is open: the last one is sealed."""
        return self._file < 0

    def due(self) -> bool:
        """Whether the open segment is old enough to be sealed."""
        return self._file >= 0 and time.monotonic() - self._since >= self._seconds

    def seal(self) -> None:
        """Close the open segment, if there is one: nothing is added to it any more."""
        if self._file >= 0:
            os.close(self._file)
        self._file, self._open = -1, None

    def sealed(self) -> list[Path]:
        """Segments that are to be published, the oldest first."""
        return sorted(segment for segment in self.folder.glob("*.jsonl") if segment != self._open)

    def size(self) -> int:
        """Bytes of all segments."""
        total = 0
        for segment in self.folder.glob("*.jsonl"):
            with contextlib.suppress(FileNotFoundError):
                total += segment.stat().st_size
        return total

    def close(self) -> None:
        """Seal, and give the folder back; what is in it is for the next process."""
        self.seal()
        if self._lock < 0:
            return
        with self._alone():
            if not self.sealed():
                (self.folder / LOCK).unlink(missing_ok=True)
                with contextlib.suppress(OSError):
                    self.folder.rmdir()
            os.close(self._lock)
        self._lock = -1

    def _begin(self) -> None:
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        path = self.folder / f"{moment}-{self.writer}-{self._number:06d}.jsonl"
        self._number += 1
        # Named before it is there: the thread that publishes must not take it for a sealed one.
        self._open = path
        self._file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
        self._good, self._held, self._since = 0, 0, time.monotonic()
        if self._fsync:
            _synced(self.folder)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        with (self._shared / LOCK).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _synced(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
