"""`assay export`: what an arm of a finished run trains on, in the format of another trainer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
from assay.components.core.errors import BadInput
from assay.components.core.manifest import write_json
from assay.components.ingest.writers import export
from assay.pipelines.launch import LOCK
from assay.pipelines.shown import finished
from filelock import FileLock, Timeout

EXPORTS = "exports.json"
"""In the folder of a run: what was exported, and where to, so that `assay erase` finds it."""


def exported(run: str, format: str, arm: str, out: Path) -> dict[str, Any]:
    """Export the rows of an arm, and note in the folder of the run where they went.

    Args:
        run: Folder of a finished run or curve, or its name under `runs`.
        format: Of `writers.WRITERS`.
        arm: As the selection names it.
        out: A folder or file that does not exist.

    Returns:
        What `writers.export` counts.

    Raises:
        BadInput: No finished run is there; what `writers.export` refuses; the run's folder cannot be written.
    """
    folder = Path(run)
    if not folder.exists() and (Path("runs") / run).is_dir():
        folder = Path("runs") / run
    finished(folder)
    try:
        with FileLock(folder / LOCK, timeout=0):
            before, place = noted(folder), str(out.resolve())
            # First the note: an export that nobody knows of would outlive the erasure of its rows.
            note = {"format": format, "arm": arm, "out": place}
            write_json(folder / EXPORTS, [*(one for one in before if one["out"] != place), note])
            try:
                return export(folder / "samples", folder, arm, format, out)
            except BaseException:
                keep_notes(folder, before)
                raise
    except Timeout as error:
        raise BadInput(f"{folder}: is being written; wait for it") from error
    except OSError as error:
        raise BadInput(f"{folder}: cannot be written: {error.strerror}; {EXPORTS} goes there") from error


def noted(folder: Path) -> list[dict[str, Any]]:
    """What was exported from a run: format, arm, out (absolute) and, where it is stale, `erased` rows."""
    file = folder / EXPORTS
    return json.loads(file.read_text()) if file.is_file() else []


def keep_notes(folder: Path, notes: list[dict[str, Any]]) -> None:
    """Write the notes; without any there is no file."""
    if notes:
        write_json(folder / EXPORTS, notes)
    else:
        (folder / EXPORTS).unlink(missing_ok=True)


def made_again(folder: Path, note: dict[str, Any]) -> None:
    """Export anew what is left of an arm, in place of what was exported; nothing, where nothing is left."""
    out = Path(note["out"])
    shutil.rmtree(out) if out.is_dir() else out.unlink()
    arms = pq.read_table(folder / "selection.parquet", columns=["arm"])["arm"]
    if pc.any(pc.equal(arms.cast("string"), note["arm"])).as_py():
        export(folder / "samples", folder, note["arm"], note["format"], out)
