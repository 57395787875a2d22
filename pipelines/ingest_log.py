"""A log of many files, read side by side; `importance` takes over what it leaves."""

from typing import NamedTuple

from assay.components.ingest.component import assemble_log, read_log
from kfp import dsl


class Ingested(NamedTuple):
    """The three folders that a run takes over, beside each other."""

    samples: dsl.Dataset
    texts: dsl.Dataset
    truth: dsl.Dataset


@dsl.pipeline(
    name="ingest-log", description="Read the files of a log side by side, and make samples of them."
)
def ingest_log(
    files: list[str],
    name: str,
    code: str = "",
    task: str = "search",
    columns: dict[str, list[str]] = {},  # noqa: B006 - kfp copies defaults into the IR
    max_grade: float = 0.0,
    relevant_at: float = 0.0,
    split_column: str = "",
    sample: int = 0,
    test_sample: int = 0,
    policy: dict = {},  # noqa: B006
    format: str = "",
    mapping: str = "",
    noise: float = 0.0,
    drop_unlabelled: bool = False,
    shards: int = 0,
    seed: int = 0,
) -> Ingested:
    """From the files of a log to samples.

    Args:
        files: Of the log, each read by a task of its own; one that was read is not read again.
        name: Of the log.
        code: Hash of the installed code; part of the cache key.
        task: The task.
        columns: {role: columns}.
        max_grade: Grade of label 1; 0 is the largest there is.
        relevant_at: Grade from which a row is relevant; 0 is half of max_grade.
        split_column: Column that names each row's split.
        sample: Rows at most of train, validation and target; 0 is all.
        test_sample: Rows at most of test; 0 is all.
        policy: How a log becomes rows; empty is the plainest way.
        format: Name of the format of every file; "" is told by their headers.
        mapping: File that says what the columns are, or the name of a shipped one.
        noise: Share of training labels to flip.
        drop_unlabelled: Drop rows without a usable grade.
        shards: Shards of the sample table at most; by size if 0.
        seed: Of the planted noise.
    """
    with dsl.ParallelFor(files) as file:
        read = read_log(
            file=file,
            code=code,
            task=task,
            columns=columns,
            max_grade=max_grade,
            split_column=split_column,
            drop_unlabelled=drop_unlabelled,
            format=format,
            mapping=mapping,
        )
    found = assemble_log(
        readings=dsl.Collected(read.outputs["reading"]),
        name=name,
        task=task,
        max_grade=max_grade,
        relevant_at=relevant_at,
        split_column=split_column,
        sample=sample,
        test_sample=test_sample,
        noise=noise,
        drop_unlabelled=drop_unlabelled,
        shards=shards,
        seed=seed,
        policy=policy,
    )
    return Ingested(found.outputs["samples"], found.outputs["texts"], found.outputs["truth"])
