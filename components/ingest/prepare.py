"""From a log to samples: all of `ingest`, and without writing, so that it is also the check of the input."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from assay.components.core.errors import BadInput
from assay.components.core.full_ranking import write_ranking
from assay.components.core.manifest import publishing
from assay.components.core.metrics import ALSO, METRICS
from assay.components.core.samples import SPLITS, relevance, text_id, write_samples, write_users
from assay.components.ingest import ads, recommendation, review, search
from assay.components.ingest.attributes import attributes_of
from assay.components.ingest.building import Build, Built, Policy, Ranking
from assay.components.ingest.clean import MAX_CHARS, clean_texts, folded
from assay.components.ingest.cleaning.clean import clean
from assay.components.ingest.cleaning.policy import Policy as Cleaning
from assay.components.ingest.columns import map_columns
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.noise import plant_noise
from assay.components.ingest.privacy import mask_column, protected
from assay.components.ingest.readers.files import read_table
from assay.components.ingest.readers.flat import flat_tables, read_log
from assay.components.ingest.readers.known import Claim, claim, claimed, gathered
from assay.components.ingest.readers.mapping import reader_of
from assay.components.ingest.readers.pairs import read_pairs
from assay.components.ingest.readers.search_events import read_search_events
from assay.components.ingest.readers.sources import data_sha256, expand, named
from assay.components.ingest.search import ANY_CLICK, samples_from_impressions, samples_from_judgments
from assay.components.ingest.split import apart, check_leaks, split_and_sample
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
    """What `ingest` found.

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
    """Read, clean, split, merge, and plant noise where asked.

    Raises:
        BadInput: The file cannot be used; the message says what, where and what to do.
    """
    ledger = Ledger()
    claims = claims_of(config)
    if claims is not None:
        readers = ", ".join(dict.fromkeys(one.reader.name for one in claims))
        return prepare_tables(gathered(claims, ledger), ledger, config, reader=readers)
    if config.task != "search":
        frame, source = read_log(config.data)
        table = FLAT[config.task]
        tables, columns = flat_tables(frame, config.columns, table, source, ledger, config.split_column)
        if "split" in frame and not config.split_column:
            ledger.note("unused_split_column", len(frame), ["name it with --split-column split"])
        return prepare_tables(tables, ledger, config, columns)
    frame = read_table(config.data)
    columns = map_columns([str(c) for c in frame.columns], config.columns)
    # A click counts only where nothing says how relevant the item is, or where the user names it.
    events = "label" not in columns or ("click" in config.columns and "label" not in config.columns)
    ledger.rows_in += len(frame)
    frame = mask_column(frame, columns["query"][0], ledger)
    split_column, drop = config.split_column or None, config.drop_unlabelled
    if events:
        if config.max_grade:
            raise BadInput(
                "--max-grade: a log of clicks has no grades; name them with --columns label=COLUMN"
            )
        rows = read_search_events(frame, columns, ledger, split_column, drop)
        built = Built(rows, "click", 1.0, config.relevant_at or ANY_CLICK)
    else:
        rows, top = read_pairs(frame, columns, ledger, config.max_grade or None, split_column, drop)
        built = Built(rows, "grade", top, config.relevant_at or top / 2)
    if "split" in frame and not config.split_column:
        ledger.note("unused_split_column", len(frame), ["name it with --split-column split"])
    return _prepared(built, ledger, config, columns)


def prepare_tables(
    tables: Tables,
    ledger: Ledger,
    config: IngestConfig,
    columns: dict[str, list[str]] | None = None,
    reader: str = FLAT_READER,
) -> Prepared:
    """Canonical tables, as readers gave them -> samples of a task.

    Args:
        tables: What readers gave.
        ledger: Theirs; `rows_in` is what it accounts for.
        config: How; `data` names the source where rows do not.
        columns: By role, of a flat file.
        reader: Names of the formats.

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
    return _prepared(task.build(tables, ledger, policy), ledger, config, columns or {}, reader)


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


def _prepared(
    built: Built,
    ledger: Ledger,
    config: IngestConfig,
    columns: dict[str, list[str]],
    reader: str = FLAT_READER,
) -> Prepared:
    """The one way of every task's rows: clean, split, see that nothing leaks, merge, plant noise."""
    rows = clean_texts(built.rows, ledger)
    # Of a flat log of searches; a file that names its splits is taken at its word.
    queries = "unit" not in rows and columns.get("group") == columns.get("query")
    if queries and not config.split_column:
        rows["unit"] = apart(rows["group_id"])
    rows = split_and_sample(rows, ledger, config.sample, config.test_sample)
    if queries and config.split_column:
        torn = rows.groupby(apart(rows["group_id"]))["split"].transform("nunique") > 1
        ledger.note("near_duplicate_across_splits", int(torn.sum()), rows.loc[torn, "group_id"].unique()[:20])
    check_leaks(rows, built.clock)
    source = Path(config.data).name
    if built.label_source == "click":
        samples = samples_from_impressions(rows, source, ledger, config.task)
    else:
        samples = samples_from_judgments(rows, source, built.max_grade, ledger, config.task)
    sizes = samples.loc[samples["split"] == "test"].groupby("group_id").size()
    metric = built.metric or ("ndcg@10" if (sizes >= 2).mean() > 0.5 else "auc")
    _check(samples, built, config.relevant_at, metric)
    truth = plant_noise(samples, config.noise, built.relevant_at, built.max_grade, config.seed)
    ranking = None if built.ranking is None else _folded(built.ranking)
    facts = {
        "reader": reader,
        "ledger": ledger.as_dict(len(samples)),
        "columns": {role: "+".join(names) for role, names in columns.items()},
        "label_source": built.label_source,
        "max_grade": built.max_grade,
        "relevant_at": built.relevant_at,
        "metric": metric,
        "also": [name for name in ALSO[config.task] if name != metric],
        "catalogue": 0 if ranking is None else len(ranking.catalogue),
        "noise": config.noise,
        "samples": {s: int((samples["split"] == s).sum()) for s in SPLITS},
        "groups": {s: int(samples.loc[samples["split"] == s, "group_id"].nunique()) for s in SPLITS},
    }
    return Prepared(samples, truth, facts, attributes_of(rows), ranking)


def _folded(ranking: Ranking) -> Ranking:
    """Ids and texts as `clean_texts` leaves those of the samples."""
    tables = (ranking.catalogue, ranking.interactions, ranking.seen)
    texts = ("item_id", "item", "group_id")
    return Ranking(
        *(t.assign(**{c: folded(t[c]).str.slice(0, MAX_CHARS) for c in texts if c in t}) for t in tables)
    )


def _check(samples: pd.DataFrame, built: Built, named: float, metric: str) -> None:
    relevant_at, max_grade = built.relevant_at, built.max_grade
    if samples["label"].nunique() < 2:
        raise BadInput(f"all labels equal ({samples['label'].iloc[0]:g}): there is nothing to learn")
    if relevant_at > max_grade:
        raise BadInput(f"--relevant-at {named:g} is above the largest grade {max_grade:g}")
    relevant = relevance(samples) >= relevant_at
    for split in ("train", "test"):
        inside = relevant[(samples["split"] == split).to_numpy()]
        # A test list that is ranked over a catalogue has its irrelevant rows there.
        if (inside.all() and (split == "train" or built.ranking is None)) or not inside.any():
            which = "relevant" if inside.all() else "irrelevant"
            raise BadInput(
                f"every {split} row is {which} (relevant means grade >= {relevant_at:g}): "
                "give more rows or another --relevant-at"
            )
    test = samples[samples["split"] == "test"].assign(
        relevant=relevant[(samples["split"] == "test").to_numpy()]
    )
    lists = test.groupby("group_id")["relevant"].agg(["size", "any"])
    by_list = METRICS[metric].by_list and built.ranking is None
    usable = int((lists["any"] & (lists["size"] > 1)).sum()) if by_list else len(lists)
    if usable < 2:
        raise BadInput(
            f"{usable} of {len(lists)} test lists can be ranked (two rows or more, one of them relevant): no "
            "difference can be told by so few; give more groups, or a larger --test-sample"
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
    prepared = prepare(config)
    about = {"data_sha256": data_sha256(config.data), "seed": config.seed, **prepared.facts}
    ranking = prepared.ranking
    items = [prepared.samples["context"], prepared.samples["item"]]
    items += [] if ranking is None else [ranking.catalogue["item"]]
    texts = pd.unique(pd.concat(items, ignore_index=True))
    table = pd.DataFrame({"text_id": [text_id(t) for t in texts], "text": texts}).sort_values("text_id")
    with publishing(samples_folder, **about) as (folder, _):
        write_samples(prepared.samples, folder, shards)
        write_users(prepared.samples, folder)
        if ranking is not None:
            write_ranking(
                folder, ranking.catalogue, ranking.interactions, ranking.seen, table["text"].tolist()
            )
    with publishing(texts_folder) as (folder, manifest):
        table.to_parquet(folder / "texts.parquet", index=False)
        prepared.attributes.to_parquet(folder / "attributes.parquet", index=False)
        manifest["texts"] = len(table)
    with publishing(truth_folder, noise=config.noise, seed=config.seed) as (folder, _):
        prepared.truth.to_parquet(folder / "truth.parquet", index=False)
    return prepared.facts


def unchanged(data: str, expected: str) -> None:
    """Check that a file is still the one that was looked at; an empty hash checks nothing.

    Raises:
        BadInput: It changed in between.
    """
    if expected and data_sha256(data) != expected:
        raise BadInput(f"{data}: changed since the run was started; start it again")
