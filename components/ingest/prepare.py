"""From a log to samples: all of `ingest`, and without writing, so that it is also the check of the input."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from assay.components.core.errors import BadInput
from assay.components.core.manifest import publishing, sha256_of
from assay.components.core.samples import SPLITS, relevance, text_id, write_samples
from assay.components.ingest.attributes import attributes_of
from assay.components.ingest.clean import clean_texts
from assay.components.ingest.columns import map_columns
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.noise import plant_noise
from assay.components.ingest.readers.files import read_table
from assay.components.ingest.readers.pairs import read_pairs
from assay.components.ingest.readers.search_events import read_search_events
from assay.components.ingest.search import samples_from_impressions, samples_from_judgments
from assay.components.ingest.split import split_and_sample

TASKS = ("search",)
ANY_CLICK = 1e-6


@dataclass(frozen=True)
class IngestConfig:
    """How a log becomes samples. Zero and "" mean: not given.

    Attributes:
        data: The file.
        task: The task; `search` so far.
        columns: {role: columns}.
        max_grade: Grade of label 1; the largest in the file if 0.
        relevant_at: Grade from which a row is relevant; half of max_grade if 0.
        split_column: Column that names each row's split.
        sample: Rows at most of train, validation and target.
        test_sample: Rows at most of test.
        noise: Share of training labels to flip, in [0, 1).
        drop_unlabelled: Drop rows without a usable grade rather than refuse the file.
        seed: Of the planted noise; never of the splits.
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

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise BadInput(f"--task {self.task}: known so far: {', '.join(TASKS)}")
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
    """

    samples: pd.DataFrame
    truth: pd.DataFrame
    facts: dict[str, Any]
    attributes: pd.DataFrame


def prepare(config: IngestConfig) -> Prepared:
    """Read, clean, split, merge, and plant noise where asked.

    Raises:
        BadInput: The file cannot be used; the message says what, where and what to do.
    """
    frame = read_table(config.data)
    columns = map_columns([str(c) for c in frame.columns], config.columns)
    # A click counts only where nothing says how relevant the item is, or where the user names it.
    events = "label" not in columns or ("click" in config.columns and "label" not in config.columns)
    ledger = Ledger(rows_in=len(frame))
    if events:
        if config.max_grade:
            raise BadInput(
                "--max-grade: a log of clicks has no grades; name them with --columns label=COLUMN"
            )
        split_column = config.split_column or None
        rows = read_search_events(frame, columns, ledger, split_column, config.drop_unlabelled)
        max_grade = 1.0
    else:
        rows, max_grade = read_pairs(
            frame,
            columns,
            ledger,
            config.max_grade or None,
            config.split_column or None,
            config.drop_unlabelled,
        )
    # Of a click rate, any click at all counts as relevant.
    relevant_at = config.relevant_at or (ANY_CLICK if events else max_grade / 2)
    rows = split_and_sample(clean_texts(rows, ledger), ledger, config.sample, config.test_sample)
    source = Path(config.data).name
    if events:
        samples = samples_from_impressions(rows, source, ledger)
    else:
        samples = samples_from_judgments(rows, source, max_grade, ledger)
    if "split" in frame and not config.split_column:
        ledger.note("unused_split_column", len(frame), ["name it with --split-column split"])
    sizes = samples.loc[samples["split"] == "test"].groupby("group_id").size()
    metric = "ndcg@10" if (sizes >= 2).mean() > 0.5 else "auc"
    _check(samples, relevant_at, max_grade, config.relevant_at, metric)
    truth = plant_noise(samples, config.noise, relevant_at, max_grade, config.seed)
    facts = {
        "ledger": ledger.as_dict(len(samples)),
        "columns": {role: "+".join(names) for role, names in columns.items()},
        "label_source": "click" if events else "grade",
        "max_grade": max_grade,
        "relevant_at": relevant_at,
        "metric": metric,
        "noise": config.noise,
        "samples": {s: int((samples["split"] == s).sum()) for s in SPLITS},
        "groups": {s: int(samples.loc[samples["split"] == s, "group_id"].nunique()) for s in SPLITS},
    }
    return Prepared(samples, truth, facts, attributes_of(rows))


def _check(samples: pd.DataFrame, relevant_at: float, max_grade: float, named: float, metric: str) -> None:
    if samples["label"].nunique() < 2:
        raise BadInput(f"all labels equal ({samples['label'].iloc[0]:g}): there is nothing to learn")
    if relevant_at > max_grade:
        raise BadInput(f"--relevant-at {named:g} is above the largest grade {max_grade:g}")
    relevant = relevance(samples) >= relevant_at
    for split in ("train", "test"):
        inside = relevant[(samples["split"] == split).to_numpy()]
        if inside.all() or not inside.any():
            which = "relevant" if inside.all() else "irrelevant"
            raise BadInput(
                f"every {split} row is {which} (relevant means grade >= {relevant_at:g}): "
                "give more rows or another --relevant-at"
            )
    test = samples[samples["split"] == "test"].assign(
        relevant=relevant[(samples["split"] == "test").to_numpy()]
    )
    lists = test.groupby("group_id")["relevant"].agg(["size", "any"])
    usable = len(lists) if metric == "auc" else int((lists["any"] & (lists["size"] > 1)).sum())
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
        samples_folder: Gets the sample table.
        texts_folder: Gets `texts.parquet`: text_id, text; each distinct context and item once, by text_id;
            and `attributes.parquet`: item, and the attributes that the log has.
        truth_folder: Gets `truth.parquet`; given to `evaluate` alone.
        shards: Shards of the sample table at most.
    """
    prepared = prepare(config)
    about = {"data_sha256": sha256_of(config.data), "seed": config.seed, **prepared.facts}
    with publishing(samples_folder, **about) as (folder, _):
        write_samples(prepared.samples, folder, shards)
    with publishing(texts_folder) as (folder, manifest):
        texts = pd.unique(
            pd.concat([prepared.samples["context"], prepared.samples["item"]], ignore_index=True)
        )
        table = pd.DataFrame({"text_id": [text_id(t) for t in texts], "text": texts}).sort_values("text_id")
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
    if expected and sha256_of(data) != expected:
        raise BadInput(f"{data}: changed since the run was started; start it again")
