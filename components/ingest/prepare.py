"""From a log to samples: all of `ingest`, and without writing, so that it is also the check of the input."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from assay.components.core.errors import BadInput
from assay.components.core.full_ranking import write_ranking
from assay.components.core.manifest import publishing
from assay.components.core.metrics import ALSO
from assay.components.core.samples import SPLITS, SampleWriter
from assay.components.ingest import ads, recommendation, review, search
from assay.components.ingest.assemble import Assembled, Assembly, Rules
from assay.components.ingest.building import Build, Built, Policy, Ranking
from assay.components.ingest.clean import MAX_CHARS, folded
from assay.components.ingest.cleaning.clean import clean
from assay.components.ingest.cleaning.policy import Policy as Cleaning
from assay.components.ingest.flat_search import UNUSED_SPLIT, flat_search
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.privacy import protected
from assay.components.ingest.readers.flat import flat_tables, read_log
from assay.components.ingest.readers.known import Claim, claim, claimed, gathered
from assay.components.ingest.readers.mapping import reader_of
from assay.components.ingest.readers.sources import data_sha256, expand, named
from assay.components.ingest.tables import LOGGED, Tables


@dataclass(frozen=True)
class Task:
    """What a task is made by.

    Attributes:
        build: Tables -> rows.
        reads: Logged tables that it looks at.
        cleaning: What is cleaned otherwise than by default.
    """

    build: Build
    reads: tuple[str, ...]
    cleaning: Cleaning = Cleaning()


TASKS: dict[str, Task] = {
    "search": Task(search.build, ("judgments", "impressions", "events")),
    # What somebody did counts whether or not he searched for it.
    "recommendation": Task(
        recommendation.build,
        ("events",),
        Cleaning(missing_query_id="keep", orphan_query_id="keep", click_without_impression="keep"),
    ),
    "review": Task(review.build, ("reviews",)),
    "ads": Task(ads.build, ("impressions", "events")),
}
FLAT = {"recommendation": "events", "review": "reviews", "ads": "impressions"}
"""{task: what a row of its flat file is}; a search's are read as they always were."""
FLAT_READER = "columns"
"""What reads a file by the roles of its columns."""


@dataclass(frozen=True)
class IngestConfig:
    """How a log becomes samples. Zero and "" mean: not given.

    Attributes:
        data: The file, or several with commas between; or a folder, or a glob. `s3://` and the like too.
        task: One of `TASKS`.
        columns: {role: columns}.
        max_grade: Grade of label 1; the largest in the file if 0.
        relevant_at: Grade from which a row is relevant; half of max_grade if 0.
        split_column: Column that names each row's split.
        sample: Rows at most of train, validation and target.
        test_sample: Rows at most of test.
        noise: Share of training labels to flip, in [0, 1).
        drop_unlabelled: Drop rows without a usable grade rather than refuse the file.
        seed: Of the planted noise; never of the splits.
        policy: What else a builder is told: settings of `Policy`.
        format: Name of the reader of every file; each is asked if "".
        mapping: File that says what the data's columns are, or the name of one that is shipped.
    """

    data: str
    task: str = "search"
    columns: dict[str, list[str]] = field(default_factory=dict)
    max_grade: float = 0.0
    relevant_at: float = 0.0
    split_column: str = ""
    sample: int = 0
    test_sample: int = 0
    noise: float = 0.0
    drop_unlabelled: bool = False
    seed: int = 0
    policy: dict[str, Any] = field(default_factory=dict)
    format: str = ""
    mapping: str = ""

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise BadInput(f"--task {self.task}: known: {', '.join(TASKS)}")
        if not 0 <= self.noise < 1:
            raise BadInput(f"--noise {self.noise}: a share of the training rows in [0, 1)")
        for name in ("sample", "test_sample", "max_grade", "relevant_at"):
            value = getattr(self, name)
            if value < 0 or not math.isfinite(value):
                raise BadInput(f"--{name.replace('_', '-')} {value}: must be above 0")


@dataclass(frozen=True)
class Prepared:
    """What `ingest` found, all of it at once.

    Attributes:
        samples: One row a sample, in `sample_id` order.
        truth: Of all training rows: sample_id, label and relevance before noise was planted, flipped.
        facts: What later steps and the report need to know; goes into the manifest.
        attributes: What `attributes_of` says of the items.
        ranking: What test lists are ranked over, where that is a whole catalogue.
    """

    samples: pd.DataFrame
    truth: pd.DataFrame
    facts: dict[str, Any]
    attributes: pd.DataFrame
    ranking: Ranking | None = None


def prepare(config: IngestConfig) -> Prepared:
    """`assembled`, as tables in memory.

    Raises:
        BadInput: The file cannot be used; the message says what, where and what to do.
    """
    with tempfile.TemporaryDirectory() as folder:
        found, facts = assembled(config, Path(folder))
        samples, truth = (
            pd.concat(tables, ignore_index=True) for tables in zip(*found.samples(), strict=True)
        )
        return Prepared(samples, truth, facts, found.attributes, found.built.ranking)


def checked(config: IngestConfig) -> dict[str, Any]:
    """The facts of a log that can be used.

    Raises:
        BadInput: It cannot be.
    """
    with tempfile.TemporaryDirectory() as folder:
        return assembled(config, Path(folder))[1]


def assembled(config: IngestConfig, folder: Path) -> tuple[Assembled, dict[str, Any]]:
    """Read, clean, build, split, merge.

    Args:
        config: How.
        folder: Where rows are kept while they are more than memory should hold.

    Returns:
        The samples, in parts, and the facts: what later steps and the report need to know.

    Raises:
        BadInput: The log cannot be used; the message says what, where and what to do.
    """
    ledger = Ledger()
    rules = Rules(
        config.task, Path(config.data).name, config.sample, config.test_sample, config.noise, config.seed,
        config.relevant_at,
    )  # fmt: skip
    assembly = Assembly(rules, ledger, folder)
    built, reader, columns = _rows_of(config, ledger, assembly)
    found = assembly.finish(built)
    return found, {
        "reader": reader,
        "ledger": ledger.as_dict(len(found)),
        "columns": {role: "+".join(names) for role, names in columns.items()},
        "label_source": built.label_source,
        "max_grade": built.max_grade,
        "relevant_at": built.relevant_at,
        "metric": found.metric,
        "also": [name for name in ALSO[config.task] if name != found.metric],
        "catalogue": 0 if built.ranking is None else len(built.ranking.catalogue),
        "noise": config.noise,
        "samples": {split: found.totals.samples[split] for split in SPLITS},
        "groups": {split: found.totals.groups[split] for split in SPLITS},
    }


def _rows_of(
    config: IngestConfig, ledger: Ledger, assembly: Assembly
) -> tuple[Built, str, dict[str, list[str]]]:
    """Rows to the assembly; what is known of all of them, the reader's name, and columns by role."""
    claims = claims_of(config)
    if claims is None and config.task == "search":
        built, columns = flat_search(
            config.data, config.columns, ledger, assembly.add, config.max_grade, config.relevant_at,
            config.split_column, config.drop_unlabelled,
        )  # fmt: skip
        return built, FLAT_READER, columns
    columns = {}
    if claims is not None:
        reader = ", ".join(dict.fromkeys(one.reader.name for one in claims))
        tables = gathered(claims, ledger)
    else:
        reader = FLAT_READER
        frame, source = read_log(config.data)
        table = FLAT[config.task]
        tables, columns = flat_tables(frame, config.columns, table, source, ledger, config.split_column)
        if "split" in frame and not config.split_column:
            ledger.note("unused_split_column", len(frame), [UNUSED_SPLIT])
    built = build_tables(tables, ledger, config)
    assembly.add(built.rows)
    if built.ranking is not None:
        built = replace(built, ranking=_folded(built.ranking))
    return built, reader, columns


def build_tables(tables: Tables, ledger: Ledger, config: IngestConfig) -> Built:
    """Canonical tables, as readers gave them -> rows of a task.

    Args:
        tables: What readers gave.
        ledger: Theirs; `rows_in` is what it accounts for.
        config: How; `data` names the source where rows do not.

    Raises:
        BadInput: The tables cannot be used for the task.
    """
    task = TASKS[config.task]
    for name in LOGGED:
        if name not in task.reads:
            ledger.drop("not_of_this_task", len(tables.get(name, ())))
    fields = ("max_grade", "relevant_at", "sample", "drop_unlabelled")
    try:
        policy = Policy(**config.policy, **{name: getattr(config, name) for name in fields})
    except TypeError as error:
        raise BadInput(f"policy: {error}") from error
    tables = protected(clean(tables, ledger, task.cleaning), ledger)
    return task.build(tables, ledger, policy)


def claims_of(config: IngestConfig) -> list[Claim] | None:
    """What readers say of the data; None where columns are named, or a file has no reader.

    Raises:
        BadInput: There is no such file, format or mapping; or several files, of which one has no reader.
    """
    if config.columns and (config.format or config.mapping):
        raise BadInput("--columns: a file is read by its columns, or by --format or --mapping; leave one out")
    if config.columns:
        return None
    sources = expand(named(config.data))
    if config.mapping:
        reader = reader_of(config.mapping)
        return [Claim(source, reader, "named by --mapping") for source in sources]
    if config.format or len(named(config.data)) > 1:
        return claimed(sources, config.format)
    claims = [claim(source) for source in sources]
    known = [one for one in claims if one is not None]
    return known if len(known) == len(claims) else None


def _folded(ranking: Ranking) -> Ranking:
    """Ids and texts as `clean_texts` leaves those of the samples."""
    tables = (ranking.catalogue, ranking.interactions, ranking.seen)
    texts = ("item_id", "item", "group_id")
    return Ranking(
        *(t.assign(**{c: folded(t[c]).str.slice(0, MAX_CHARS) for c in texts if c in t}) for t in tables)
    )


def ingest(
    config: IngestConfig, samples_folder: str, texts_folder: str, truth_folder: str, shards: int = 1
) -> dict:
    """Prepare and publish the three outputs; returns the facts.

    Args:
        config: How.
        samples_folder: Gets the sample table, and what `write_ranking` writes.
        texts_folder: Gets `texts.parquet`: text_id, text; each distinct context and item once, by text_id;
            and `attributes.parquet`: item, and the attributes that the log has.
        truth_folder: Gets `truth.parquet`; given to `evaluate` alone.
        shards: Shards of the sample table at most.
    """
    with tempfile.TemporaryDirectory() as beside:
        found, facts = assembled(config, Path(beside))
        about = {"data_sha256": data_sha256(config.data), "seed": config.seed, **facts}
        with publishing(texts_folder) as (folder, manifest):
            manifest["texts"] = _write_parts(found.texts(), folder / "texts.parquet")
            found.attributes.to_parquet(folder / "attributes.parquet", index=False)
        with (
            publishing(samples_folder, **about) as (folder, _),
            publishing(truth_folder, noise=config.noise, seed=config.seed) as (beside_truth, _),
        ):
            writer = SampleWriter(folder, len(found), shards)
            _write_parts(
                (writer.write(samples) or truth for samples, truth in found.samples()),
                beside_truth / "truth.parquet",
            )
            writer.close()
            if found.built.ranking is not None:
                ranking = found.built.ranking
                texts = pq.read_table(Path(texts_folder) / "texts.parquet")["text"].to_pylist()
                write_ranking(folder, ranking.catalogue, ranking.interactions, ranking.seen, texts)
    return facts


def _write_parts(parts: Iterable[pd.DataFrame], file: Path) -> int:
    """Tables of the same columns one below the other, in one parquet; returns the rows."""
    rows, writer = 0, None
    for part in parts:
        table = pa.Table.from_pandas(part, preserve_index=False)
        writer = writer or pq.ParquetWriter(file, table.schema)
        writer.write_table(table.cast(writer.schema))
        rows += len(table)
    if writer is not None:
        writer.close()
    return rows


def unchanged(data: str, expected: str) -> None:
    """Check that a file is still the one that was looked at; an empty hash checks nothing.

    Raises:
        BadInput: It changed in between.
    """
    if expected and data_sha256(data) != expected:
        raise BadInput(f"{data}: changed since the run was started; start it again")
