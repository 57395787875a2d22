"""`assay export`: what an arm of a finished run trains on, in the format of another trainer."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
from assay.components.core.errors import BadInput
from assay.components.core.manifest import write_json
from assay.components.core.samples import read_samples
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
                _keep(folder, before)
                raise
    except Timeout as error:
        raise BadInput(f"{folder}: is being written; wait for it") from error
    except OSError as error:
        raise BadInput(f"{folder}: cannot be written: {error.strerror}; {EXPORTS} goes there") from error


def noted(folder: Path) -> list[dict[str, Any]]:
    """What was exported from a run: format, arm, out (absolute) and, where it is stale, `erased` rows."""
    file = folder / EXPORTS
    return json.loads(file.read_text()) if file.is_file() else []


def mark_stale(runs: Path, samples: Collection[str]) -> None:
    """Note `erased` in the exports of every run that has some of the samples, before it is rewritten.

    All of its exports: a selection may be a later one than what was exported.
    """
    for file in sorted(runs.rglob(EXPORTS)):
        table = file.parent / "samples"
        ids = read_samples(table, columns=["sample_id"])["sample_id"].tolist() if table.is_dir() else samples
        if count := len(set(samples) & set(ids)):
            notes = noted(file.parent)
            _keep(file.parent, [note | {"erased": note.get("erased", 0) + count} for note in notes])


def renewed(runs: Path) -> tuple[dict[Path, int], list[str]]:
    """Make stale exports under a folder anew of what is left; those of which nothing is left go.

    Returns:
        Those and how many samples their run lost; and the stale ones that lie outside, which are named until
        they are made anew, or are not where they were, which are named once.
    """
    again, others = {}, []
    for file in sorted(runs.rglob(EXPORTS)):
        notes = noted(file.parent)
        for note in [note for note in notes if "erased" in note]:
            out = Path(note["out"])
            if out.exists() and out.is_relative_to(runs.resolve()):
                _made_again(file.parent, note)
                again[out] = note.pop("erased")
            else:
                others.append(str(out))
            if not out.exists():
                notes.remove(note)
            _keep(file.parent, notes)
    return again, others


def _keep(folder: Path, notes: list[dict[str, Any]]) -> None:
    if notes:
        write_json(folder / EXPORTS, notes)
    else:
        (folder / EXPORTS).unlink(missing_ok=True)


def _made_again(folder: Path, note: dict[str, Any]) -> None:
    out, selection = Path(note["out"]), folder / "selection.parquet"
    shutil.rmtree(out) if out.is_dir() else out.unlink()
    arm = pc.field("arm").cast("string") == note["arm"]
    if selection.is_file() and pq.read_table(selection, columns=["arm"], filters=arm).num_rows:
        export(folder / "samples", folder, note["arm"], note["format"], out)
