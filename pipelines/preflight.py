"""Everything that can be wrong with a run's input, found before torch, kfp or mlflow is imported."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.components.core.checkpoints import check_checkpoint
from assay.components.core.errors import BadInput
from assay.components.core.manifest import code_version, sha256_of
from assay.components.core.tracking import check_uri
from assay.components.ingest.prepare import IngestConfig, prepare
from assay.components.select.budget import parse_budget, rows_of_budget
from assay.pipelines.config import RunConfig

STORE_QUERIES = 450
"""Queries of the simulated store, of 20 judged items each."""
STORE_SAMPLE, STORE_TEST_SAMPLE = 2960, 1800
"""Rows of it that a run uses unless told otherwise: about 2,400 to train on, sized to two cores."""

JUDGMENTS = "judgments.parquet"
LARGEST_EXPONENT = 1000.0


@dataclass(frozen=True)
class Checked:
    """A run that can start.

    Attributes:
        config: With the data named.
        data_sha256: Of the data.
        code: Hash of the installed code.
        run_hash: What the run is a function of.
        selected: Rows every arm but `full` trains on.
        notes: What the user should know before it starts.
    """

    config: RunConfig
    data_sha256: str
    code: str
    run_hash: str
    selected: int
    notes: list[str]


def check(config: RunConfig) -> Checked:
    """Check a configuration and its data by preparing the samples, without writing them.

    Raises:
        BadInput: The message says what, where and what to do.
    """
    budget = parse_budget(config.budget)
    check_checkpoint(config.model)
    check_checkpoint(config.embedding_model, "--set encoder")
    if config.tagger:
        check_checkpoint(config.tagger, "--set tagger")
    check_uri()
    if config.store and Path(config.store).exists() and not Path(config.store).is_dir():
        raise BadInput(f"--store {config.store}: is a file; name a folder, or one that is to be made")
    if not config.data:
        config = _with_store(config)
    prepared = prepare(ingest_config(config))
    if config.gain == "exponential" and prepared.facts["max_grade"] > LARGEST_EXPONENT:
        raise BadInput(
            f"grades up to {prepared.facts['max_grade']:g}: 2^grade is beyond numbers; use --gain linear"
        )
    selected = rows_of_budget(budget, prepared.facts["samples"]["train"])
    ledger = prepared.facts["ledger"]
    counts = ", ".join(f"{split} {n}" for split, n in prepared.facts["samples"].items())
    notes = [
        f"{ledger['rows_in']} rows read, {ledger['rows_out']} samples ({counts}), {selected} to be selected"
    ]
    for what in ("dropped", "repaired", "noted"):
        notes += [f"{what}: {n} {reason}" for reason, n in ledger[what].items()]
    data_sha256, code = sha256_of(config.data), code_version()
    return Checked(config, data_sha256, code, config.run_hash(data_sha256, code), selected, notes)


def ingest_config(config: RunConfig) -> IngestConfig:
    """The part of a run's configuration that `ingest` reads."""
    fields = IngestConfig.__dataclass_fields__
    return IngestConfig(**{name: getattr(config, name) for name in fields})


def _with_store(config: RunConfig) -> RunConfig:
    from assay.examples.store import StoreConfig, simulate, write

    folder = Path("runs") / "store"
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Made anew each time: seconds, and never the bytes of an older version of the code. Another run may
    # be reading it, so that what is the same stays.
    with tempfile.TemporaryDirectory(dir=folder.parent) as beside:
        write(simulate(StoreConfig(queries=STORE_QUERIES)), Path(beside) / "store")
        if not (folder / JUDGMENTS).is_file() or sha256_of(folder) != sha256_of(Path(beside) / "store"):
            shutil.rmtree(folder, ignore_errors=True)
            (Path(beside) / "store").rename(folder)
    given: dict[str, Any] = {"data": str(folder / JUDGMENTS)}
    given |= (
        {} if config.columns else {"columns": {"query": ["query"], "item": ["title"], "label": ["grade"]}}
    )
    given |= {} if config.sample else {"sample": STORE_SAMPLE}
    given |= {} if config.test_sample else {"test_sample": STORE_TEST_SAMPLE}
    return config.model_copy(update=given)
