"""`assay ingest`: a log of any known format -> samples of a task, and the ledger of every row."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from assay.components.core.errors import BadInput
from assay.components.core.manifest import write_json
from assay.components.core.progress import say
from assay.components.ingest.log_store import LogStore
from assay.components.ingest.prepare import IngestConfig, ingest
from assay.components.ingest.readers.known import READERS
from assay.components.ingest.readers.sources import expand
from assay.components.ingest.reading import FLAT_READER, claims_of, read_new
from assay.pipelines.config import RunConfig
from assay.pipelines.preflight import ingest_config
from rich.console import Console
from rich.table import Table

LEDGER = "ledger.json"
LOG = "log"
"""Folder of what was read, of a log that is added to."""
KINDS = ("dropped", "repaired", "noted", "added")


def _config(files: Sequence[str], config: RunConfig) -> IngestConfig:
    for file in files:
        if "," in file and not Path(file).exists():
            raise BadInput(f"{file}: no such file; a name with a comma must be that of a file")
    return replace(ingest_config(config), data=",".join(files))


def explained(files: Sequence[str], config: RunConfig) -> list[str]:
    """A line a file: which reader it has, and what it was told by.

    Raises:
        BadInput: There is no such file, format or mapping; a file of several has no reader.
    """
    about = _config(files, config)
    claims = claims_of(about.data, about.how())
    if claims is not None:
        return [
            f"{one.source.path}: {one.reader.name} ({one.reader.about}), since it has {one.why}"
            for one in claims
        ]
    why = "named by --columns" if config.columns else f"none of {len(READERS)} formats is told by its header"
    return [
        f"{source.path}: {FLAT_READER} (a flat file, by the roles of its columns), {why}"
        for source in expand(files)
    ]


def ingested(
    files: Sequence[str], config: RunConfig, out: Path, append: bool = False, late_days: float = 0.0
) -> dict[str, Any]:
    """Write `samples/`, `texts/`, `truth/` and `ledger.json` into a folder, each whole or not at all.

    Args:
        files: What to read.
        config: How.
        out: The folder.
        append: Keep what is read in `log/`, and add to what is there: the result is that of all files read
            at once. A file that was read before changes nothing, whatever its name.
        late_days: When appending: rows that lie so many days before the last moment of what was there are
            dropped; 0 drops none.

    Returns:
        The ledger: `reader`, `rows_in`, `rows_out`, `samples`, and by reason `dropped`, `repaired`, `noted`,
        `added` and `examples`; when appending also `log_sha256` and `watermark`, the last moment that is in.

    Raises:
        BadInput: The files cannot be used.
    """
    about = _config(files, config)
    log, names = None, list(files)
    if append:
        if (out / LEDGER).is_file() and not (out / LOG).is_dir():
            raise BadInput(
                f"{out}: was written without --append, so that nothing was kept; name another --out"
            )
        log = LogStore(out / LOG, late_days)
        new = read_new(about.data, about.how(), log)
        names = [reading.about["file"] for reading in log.readings()]
        kept = json.loads((out / LEDGER).read_text()) if (out / LEDGER).is_file() else {}
        if not new and kept.get("log_sha256") == log.sha256():
            say("ingest", f"nothing new: all of it was read before, into {out}")
            return kept
        for reading in new:
            say("ingest", f"read {reading.about['file']}: {reading.about['ledger']['rows_in']} rows")
    folders = [str(out / name) for name in ("samples", "texts", "truth")]
    facts = ingest(about, *folders, config.shards, log)
    ledger = {
        "reader": facts["reader"],
        "task": about.task,
        "files": names,
        "samples": facts["samples"],
        **facts["ledger"],
    }
    if log is not None:
        last = [reading.about["last"] for reading in log.readings() if reading.about["last"]]
        ledger |= {"log_sha256": log.sha256(), "watermark": max(last, default=None)}
    write_json(out / LEDGER, ledger)
    return ledger


def shown(ledger: dict[str, Any]) -> None:
    """The ledger in a terminal."""
    splits = ", ".join(f"{name} {rows:,}" for name, rows in ledger["samples"].items())
    table = Table(
        title=f"{ledger['reader']}: {ledger['rows_in']:,} rows in, {ledger['rows_out']:,} out ({splits})",
        title_justify="left",
    )
    for column in ("what", "reason", "rows", "for example"):
        table.add_column(column, justify="right" if column == "rows" else "left")
    for kind in KINDS:
        for reason, rows in sorted(ledger[kind].items(), key=lambda item: -item[1]):
            example = ledger["examples"].get(reason, [""])[0]
            table.add_row(kind, reason, f"{rows:,}", example[:60])
    Console(file=sys.stderr, width=None if sys.stderr.isatty() else 110).print(table)
