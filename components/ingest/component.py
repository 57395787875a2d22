"""Kubeflow face of `ingest`."""

from typing import Dict, List

from assay.components.core.images import component
from kfp import dsl


@component
def ingest(
    samples: dsl.Output[dsl.Dataset],
    texts: dsl.Output[dsl.Dataset],
    truth: dsl.Output[dsl.Dataset],
    data: str,
    data_sha256: str = "",
    code: str = "",
    task: str = "search",
    columns: Dict[str, List[str]] = {},  # noqa: B006 - kfp copies defaults into the IR
    max_grade: float = 0.0,
    relevant_at: float = 0.0,
    split_column: str = "",
    sample: int = 0,
    test_sample: int = 0,
    noise: float = 0.0,
    drop_unlabelled: bool = False,
    shards: int = 0,
    seed: int = 0,
    policy: Dict = {},  # noqa: B006
    format: str = "",
    mapping: str = "",
) -> List[str]:
    """Read a log, clean it, split it by group, and write samples.

    Args:
        samples: Sample table.
        texts: Table of distinct texts.
        truth: Labels before noise was planted; for `evaluate` alone.
        data: The file.
        data_sha256: Of the file; part of the cache key, and checked where given.
        code: Hash of the installed code; part of the cache key.
        task: The task.
        columns: {role: columns}.
        max_grade: Grade of label 1; 0 is the largest in the file.
        relevant_at: Grade from which a row is relevant; 0 is half of max_grade.
        split_column: Column that names each row's split.
        sample: Rows at most of train, validation and target; 0 is all.
        test_sample: Rows at most of test; 0 is all.
        noise: Share of training labels to flip.
        drop_unlabelled: Drop rows without a usable grade.
        shards: Shards of the sample table at most, each a whole number of blocks of 4,096 rows; by size if 0.
        seed: Of the planted noise.
        policy: What else a builder is told; empty is the task's plainest way.
        format: Name of the format of every file; "" is told by their headers.
        mapping: File that says what the columns are, or the name of a shipped one.

    Returns:
        Names of the shards; unnamed, since kfp's local runner cannot loop over a named output.
    """
    from assay.components.core.samples import shard_files
    from assay.components.ingest.prepare import IngestConfig, ingest, unchanged

    unchanged(data, data_sha256)
    config = IngestConfig(
        data, task, columns, max_grade, relevant_at, split_column, int(sample), int(test_sample), noise,
        drop_unlabelled, int(seed), policy, format, mapping,
    )  # fmt: skip
    facts = ingest(config, samples.path, texts.path, truth.path, int(shards))
    samples.metadata["rows"] = sum(facts["samples"].values())
    return [file.name for file in shard_files(samples.path)]


@component
def read_log(
    reading: dsl.Output[dsl.Dataset],
    file: str,
    code: str = "",
    task: str = "search",
    columns: Dict[str, List[str]] = {},  # noqa: B006 - kfp copies defaults into the IR
    max_grade: float = 0.0,
    split_column: str = "",
    drop_unlabelled: bool = False,
    format: str = "",
    mapping: str = "",
):
    """Read one file of a log, into what `assemble_log` takes.

    Args:
        reading: What was read, and what was counted.
        file: The file.
        code: Hash of the installed code; part of the cache key.
        task: The task.
        columns: {role: columns}.
        max_grade: No grade may lie above; 0 is no bound.
        split_column: Column that names each row's split.
        drop_unlabelled: Drop rows without a usable grade.
        format: Name of the file's format; "" is told by its header.
        mapping: File that says what the columns are, or the name of a shipped one.
    """
    from pathlib import Path

    from assay.components.ingest.log_store import LogStore
    from assay.components.ingest.reading import Format, read_new

    how = Format(task, columns, split_column, max_grade, drop_unlabelled, format, mapping)
    found = read_new(file, how, LogStore(Path(reading.path)))
    reading.metadata["rows"] = sum(one.about["ledger"]["rows_in"] for one in found)


@component
def assemble_log(
    readings: dsl.Input[List[dsl.Dataset]],
    samples: dsl.Output[dsl.Dataset],
    texts: dsl.Output[dsl.Dataset],
    truth: dsl.Output[dsl.Dataset],
    name: str,
    task: str = "search",
    max_grade: float = 0.0,
    relevant_at: float = 0.0,
    split_column: str = "",
    sample: int = 0,
    test_sample: int = 0,
    noise: float = 0.0,
    drop_unlabelled: bool = False,
    shards: int = 0,
    seed: int = 0,
    policy: Dict = {},  # noqa: B006
):
    """Clean, join, split and merge what was read of all files of a log, and write samples.

    Args:
        readings: What `read_log` found, of each file.
        samples: Sample table.
        texts: Table of distinct texts.
        truth: Labels before noise was planted.
        name: Of the log.
        task: The task.
        max_grade: Grade of label 1; 0 is the largest there is.
        relevant_at: Grade from which a row is relevant; 0 is half of max_grade.
        split_column: Column that named each row's split.
        sample: Rows at most of train, validation and target; 0 is all.
        test_sample: Rows at most of test; 0 is all.
        noise: Share of training labels to flip.
        drop_unlabelled: Drop rows without a usable grade.
        shards: Shards of the sample table at most; by size if 0.
        seed: Of the planted noise.
        policy: What else a builder is told; empty is the task's plainest way.
    """
    from pathlib import Path

    from assay.components.ingest.log_store import LogStore
    from assay.components.ingest.prepare import IngestConfig, ingest

    config = IngestConfig(
        name, task, {}, max_grade, relevant_at, split_column, int(sample), int(test_sample), noise,
        drop_unlabelled, int(seed), policy,
    )  # fmt: skip
    first, *more = (Path(reading.path) for reading in readings)
    facts = ingest(config, samples.path, texts.path, truth.path, int(shards), LogStore(first, more=more))
    samples.metadata["rows"] = sum(facts["samples"].values())
