"""A log that was ingested before, by `assay ingest` or the pipeline `ingest_log`, taken over as it is."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.components.core.errors import BadInput
from assay.components.core.manifest import MANIFEST, publishing, read_manifest

if TYPE_CHECKING:
    from assay.components.ingest.prepare import IngestConfig

OUTPUTS = ("samples", "texts", "truth")
_LEFT_OUT = (
    "sample",
    "test_sample",
    "max_grade",
    "relevant_at",
    "split_column",
    "columns",
    "format",
    "mapping",
)
_OURS = ("code", "libraries", "sha256", "wall_seconds", "seconds", "seed")


def is_ingested(data: str) -> bool:
    """Whether a folder holds the three outputs of `ingest`."""
    return all((Path(data) / name / MANIFEST).is_file() for name in OUTPUTS)


def facts_of(config: IngestConfig) -> dict[str, Any]:
    """The facts of such a folder.

    Raises:
        BadInput: It is of another task, or is asked for what is decided when a log is read.
    """
    manifest = read_manifest(Path(config.data) / "samples")
    facts = {name: value for name, value in manifest.items() if name not in (*_OURS, "data_sha256")}
    if facts["task"] != config.task:
        raise BadInput(f"{config.data}: was ingested for --task {facts['task']}, not {config.task}")
    asked = [name for name in _LEFT_OUT if getattr(config, name)]
    asked += ["noise"] if config.noise and config.noise != facts["noise"] else []
    if asked:
        raise BadInput(
            f"{config.data}: was ingested before, so that --{asked[0].replace('_', '-')} comes too late; "
            "leave it out, or give the log"
        )
    return facts


def take_over(config: IngestConfig, *folders: str) -> dict[str, Any]:
    """Publish copies of the three outputs; returns the facts.

    Args:
        config: `data` is the folder.
        folders: Where samples, texts and truth go.

    Raises:
        BadInput: As `facts_of` says.
    """
    facts = facts_of(config)
    for name, folder in zip(OUTPUTS, folders, strict=True):
        source = Path(config.data) / name
        about = {key: value for key, value in read_manifest(source).items() if key not in _OURS[:-1]}
        with publishing(folder, **about) as (beside, _):
            for file in sorted(source.iterdir()):
                if file.name != MANIFEST:
                    shutil.copy2(file, beside / file.name)
    return facts
