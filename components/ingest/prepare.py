"""From a log to samples: all of `ingest`, and without writing, so that it is also the check of the input."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from assay.components.core.errors import BadInput
from assay.components.core.full_ranking import write_ranking
from assay.components.core.manifest import publishing
from assay.components.core.metrics import ALSO
from assay.components.core.samples import SPLITS, SampleWriter, UserWriter
from assay.components.ingest import ads, recommendation, review, search
from assay.components.ingest.assemble import Assembled, Assembly, Rules
from assay.components.ingest.building import Build, Built, Policy, Ranking
from assay.components.ingest.cleaning.clean import clean
from assay.components.ingest.cleaning.facts import Facts
from assay.components.ingest.cleaning.policy import Policy as Cleaning
from assay.components.ingest.flat_search import Flat, built_of
from assay.components.ingest.folding import MAX_CHARS, folded
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.log_store import ROWS, LogStore
from assay.components.ingest.parts.parted import Parted, Spool
from assay.components.ingest.parts.seen import Seen
from assay.components.ingest.privacy import protected
from assay.components.ingest.readers.sources import data_sha256
from assay.components.ingest.reading import Format, Read, files_of, read, stored
from assay.components.ingest.tables import LOGGED, Tables, joined, together
from assay.components.ingest.taken_over import facts_of, is_ingested, take_over


@dataclass(frozen=True)
class Task:
    """What a task is made by.

    Attributes:
        build: Tables -> rows.
        reads: Logged tables that it looks at.
        needs: Those that rows are made of, the first that is there.
        cleaning: What is cleaned otherwise than by default.
        whole: Whether a policy needs all of a log at once, so that it is held in memory.
        knowing: Completes a policy by what is known of all parts of a log.
    """

    build: Build
    reads: tuple[str, ...]
    needs: tuple[str, ...]
    cleaning: Cleaning = Cleaning()
    whole: Callable[[Policy], bool] = lambda policy: False
    knowing: Callable[[Policy, Facts], Policy] = lambda policy, facts: policy

    def reads_of(self, rows: Mapping[str, int], policy: Policy) -> tuple[str, ...]:
        """Logged tables that it looks at: judgments alone, where a search is learnt from them."""
        judged = self.needs[0] == "judgments" and rows.get("judgments") and not search.of_clicks(policy)
        return self.needs[:1] if judged else self.reads

    def has_rows(self, tables: Tables) -> bool:
        """Whether there is anything to make rows of."""
        return any(len(tables.get(name, ())) for name in self.needs)


TASKS: dict[str, Task] = {
    "search": Task(
        search.build,
        ("judgments", "impressions", "events"),
        ("judgments", "impressions"),
        whole=search.of_clicks,
    ),
    # What somebody did counts whether or not he searched for it; popularity is that of all.
    "recommendation": Task(
        recommendation.build,
        ("events",),
        ("events",),
        Cleaning(missing_query_id="keep", orphan_query_id="keep", click_without_impression="keep"),
        whole=lambda policy: True,
    ),
    "review": Task(review.build, ("reviews",), ("reviews",), knowing=review.knowing),
    "ads": Task(
        ads.build, ("impressions", "events"), ("impressions",), whole=lambda policy: policy.holdout == "time"
    ),
}


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

    def how(self) -> Format:
        """How files are read."""
        return Format(**{one.name: getattr(self, one.name) for one in fields(Format)})

    def building(self) -> Policy:
        """What a builder is told.

        Raises:
            BadInput: The policy has no such setting, or no such value.
        """
        given = ("max_grade", "relevant_at", "sample", "drop_unlabelled")
        try:
            return Policy(**self.policy, **{name: getattr(self, name) for name in given})
        except TypeError as error:
            raise BadInput(f"policy: {error}") from error

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
    if is_ingested(config.data):
        return facts_of(config)
    with tempfile.TemporaryDirectory() as folder:
        return assembled(config, Path(folder))[1]


def assembled(
    config: IngestConfig, folder: Path, log: LogStore | None = None
) -> tuple[Assembled, dict[str, Any]]:
    """Read, clean, build, split, merge.

    Args:
        config: How.
        folder: Where rows are kept while they are more than memory should hold.
        log: What was read before; if given, what it holds is taken, and `config.data` is not looked at.

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
    assembly, spool = Assembly(rules, ledger, folder), Spool(folder / "read")
    # What is asked of clicks is asked of all of them at once.
    clicks: list[pd.DataFrame] | None = [] if search.of_clicks(config.building()) else None

    def add(name: str, chunk: Any) -> None:
        if name != ROWS:
            spool.add(name, chunk)
        elif clicks is not None:
            clicks.append(chunk.drop(columns="event", errors="ignore"))
        else:
            assembly.add(search.plain(chunk))

    if log is None:
        seen, how = Seen(), config.how()
        files = [read(path, one, how, ledger, add, seen) for path, one in files_of(config.data, how)]
    else:
        for name, chunk in stored(log, ledger):
            add(name, chunk)
        files = [Read.of(reading.about) for reading in log.readings()]
    flat = [one.flat for one in files if one.flat is not None]
    if flat:
        built = built_of(flat, config.max_grade, config.relevant_at)
        if clicks is not None and built.label_source != "click":
            raise BadInput(
                "policy.label and policy.bias ask for clicks; name their column with --columns click=COLUMN"
            )
        if clicks is not None:
            built = search.from_flat(pd.concat(clicks, ignore_index=True), ledger, config.building())
            assembly.add(built.rows)
    else:
        built = _built(spool, ledger, config, folder, assembly)
    found = assembly.finish(built, _near(flat, config))
    return found, {
        "task": config.task,
        "reader": ", ".join(dict.fromkeys(one.reader for one in files)),
        "ledger": ledger.as_dict(len(found)),
        "columns": {role: "+".join(names) for role, names in files[0].columns.items()},
        "label_source": built.label_source,
        "max_grade": built.max_grade,
        "relevant_at": built.relevant_at,
        "metric": found.metric,
        "also": [name for name in ALSO[config.task] if name != found.metric],
        "catalogue": 0 if built.ranking is None else len(built.ranking.catalogue),
        "noise": config.noise,
        "samples": {split: found.totals.samples[split] for split in SPLITS},
        "groups": {split: found.totals.groups[split] for split in SPLITS},
        **({"bias": found.decision.facts} if found.decision else {}),
    }


def _near(flat: Sequence[Flat], config: IngestConfig) -> str:
    """What is done about queries that are all but the same; a log that says its splits is believed."""
    if not any(one.columns["group"] == one.columns["query"] for one in flat):
        return ""
    return "noted" if config.split_column else "together"


def _built(spool: Spool, ledger: Ledger, config: IngestConfig, folder: Path, assembly: Assembly) -> Built:
    """Rows of canonical tables to the assembly; what is known of all of them."""
    task = TASKS[config.task]
    policy = config.building()
    reads = task.reads_of(spool.rows, policy)
    for name in LOGGED:
        if name not in reads:
            reason = "judged_instead" if name in task.reads else "not_of_this_task"
            ledger.drop(reason, spool.rows.get(name, 0))

    def chunks() -> Iterator[tuple[str, pl.DataFrame]]:
        return (chunk for chunk in spool.chunks() if chunk[0] in reads or chunk[0] not in LOGGED)

    if not spool.large:
        return _rows(clean(joined(chunks()), ledger, task.cleaning), ledger, task, policy, assembly)
    rows = sum(spool.rows.get(name, 0) for name in reads)
    parted = Parted(chunks, rows, folder / "parts", ledger, task.cleaning)
    if task.whole(policy):
        return _rows(together(parted.cleaned()), ledger, task, policy, assembly)
    policy = task.knowing(policy, parted.facts)
    found, first = [], Tables()
    for tables in parted.cleaned():
        # What has nothing to build of is looked at beside another part: events of no impression, for one.
        if not task.has_rows(first) or not task.has_rows(tables):
            first = together([first, tables])
        else:
            found.append(_rows(tables, ledger, task, policy, assembly))
    found.append(_rows(first, ledger, task, policy, assembly))
    return replace(
        found[-1],
        max_grade=max(one.max_grade for one in found),
        relevant_at=max(one.relevant_at for one in found),
    )


def _rows(tables: Tables, ledger: Ledger, task: Task, policy: Policy, assembly: Assembly) -> Built:
    """Rows of cleaned tables to the assembly; what is known of them."""
    built = task.build(protected(tables, ledger), ledger, policy)
    assembly.add(built.rows)
    ranking = None if built.ranking is None else _folded(built.ranking)
    return replace(built, rows=built.rows.head(0), ranking=ranking)


def _folded(ranking: Ranking) -> Ranking:
    """Ids and texts as `fold_texts` leaves those of the samples."""
    tables = (ranking.catalogue, ranking.interactions, ranking.seen)
    texts = ("item_id", "item", "group_id")
    return Ranking(
        *(t.assign(**{c: folded(t[c]).str.slice(0, MAX_CHARS) for c in texts if c in t}) for t in tables)
    )


def ingest(
    config: IngestConfig,
    samples_folder: str,
    texts_folder: str,
    truth_folder: str,
    shards: int = 1,
    log: LogStore | None = None,
) -> dict:
    """Publish the three outputs, each whole or not at all; returns the facts.

    Args:
        config: How.
        samples_folder: Gets the sample table, and what `write_ranking` writes.
        texts_folder: Gets `texts.parquet`: text_id, text; each distinct context and item once, by text_id;
            and `attributes.parquet`: item, and the attributes that the log has.
        truth_folder: Gets `truth.parquet`; given to `evaluate` alone.
        shards: Shards of the sample table at most; 0 is by size.
        log: As `assembled` has it.

    Raises:
        BadInput: The log cannot be used.
    """
    if log is None and is_ingested(config.data):
        return take_over(config, samples_folder, texts_folder, truth_folder)
    with tempfile.TemporaryDirectory() as rows:
        found, facts = assembled(config, Path(rows), log)
        data = data_sha256(config.data) if log is None else log.sha256()
        with publishing(texts_folder) as (folder, manifest):
            manifest["texts"] = _write_parts(found.texts(), folder / "texts.parquet")
            found.attributes.to_parquet(folder / "attributes.parquet", index=False)
        about = {"data_sha256": data, "seed": config.seed, **facts}
        with (
            publishing(samples_folder, **about) as (folder, _),
            publishing(truth_folder, noise=config.noise, seed=config.seed) as (truth_beside, _),
        ):
            writer, users = SampleWriter(folder, len(found), shards), UserWriter(folder)

            def truths() -> Iterator[pd.DataFrame]:
                for samples, truth in found.samples():
                    writer.write(samples)
                    users.write(samples)
                    yield truth

            _write_parts(truths(), truth_beside / "truth.parquet")
            writer.close()
            users.close()
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
