"""Who uses a bundle's folder: services of one user share a cache, and none may take a folder from another."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO


class Held:
    """A claim on a folder, which lasts until it is let go or the process ends.

    Args:
        folder: The folder; it need not exist yet. A small file beside it carries the claim.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._file = _opened(folder, "used")
        fcntl.flock(self._file, fcntl.LOCK_SH)

    def let_go(self) -> None:
        """End the claim."""
        self._file.close()


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """One process at a time writes a folder; the others wait."""
    with _opened(folder, "writing") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def remove_unused(folder: Path) -> bool:
    """Remove a folder that nobody claims. Returns whether it is gone."""
    with _opened(folder, "used") as used, _opened(folder, "writing") as busy:
        try:
            for file in (used, busy):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        shutil.rmtree(folder, ignore_errors=True)
        return not folder.exists()


def _opened(folder: Path, why: str) -> IO[bytes]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Not inherited: a child that outlives its parent must not go on claiming. Never removed: a lock on a file
    # that is gone holds nobody off.
    return os.fdopen(os.open(folder.parent / f".{folder.name}.{why}", os.O_RDWR | os.O_CREAT, 0o644), "r+b")
