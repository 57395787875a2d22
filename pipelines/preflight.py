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
from assay.components.ingest.prepare import IngestConfig, checked
from assay.components.select.budget import Measured, parse_budget, rows_of_budget
from assay.pipelines.config import RunConfig

STORE_QUERIES = 450
"""Queries of the simulated store, of 20 judged items each."""
STORE_SAMPLE, STORE_TEST_SAMPLE = 2960, 1800
"""Rows of it that a run uses unless told otherwise: about 2,400 to train on, sized to two cores."""

JUDGMENTS = "judgments.parquet"
STORE: dict[str, tuple[str, dict[str, list[str]]]] = {
    "search": (JUDGMENTS, {"query": ["query"], "item": ["title"], "label": ["grade"]}),
    "recommendation": ("recommendation_sessions.parquet", {"user": ["user_id"], "item": ["title"]}),
    "review": ("reviews.parquet", {"query": ["title"], "text": ["text"], "label": ["rating"]}),
    "ads": (
        "ads.parquet",
        {
            "query": ["placement", "device", "page"],
            "item": ["title", "category"],
            "feature": ["bid", "showings"],
        },
    ),
}
"""{task: its file of the simulated store, and the columns by role}."""
STORE_LIKED = 4.0
"""Stars of its reviews from which a product was liked."""
LARGEST_EXPONENT = 1000.0


@dataclass(frozen=True)
class Checked:
    """A run that can start.

    Attributes:
        config: With the data named.
        data_sha256: Of the data.
        code: Hash of the installed code, and of what else is read beside the data.
        run_hash: What the run is a function of.
        notes: What the user should know before it starts.
        pipeline: Which is to run: `importance` or `budget_curve`.
    """

    config: RunConfig
    data_sha256: str
    code: str
    run_hash: str
    notes: list[str]
    pipeline: str = "importance"


def check(config: RunConfig, pipeline: str = "importance") -> Checked:
    """Check a configuration and its data by preparing the samples, without writing them.

    Args:
        config: What was asked for.
        pipeline: `importance` or `budget_curve`.

    Raises:
        BadInput: The message says what, where and what to do.
    """
    curve = pipeline == "budget_curve"
    budgets = [(text, parse_budget(text)) for text in (config.curve.budgets if curve else [config.budget])]
    check_checkpoint(config.model)
    check_checkpoint(config.embedding_model, "--set encoder")
    if config.tagger:
        check_checkpoint(config.tagger, "--set tagger")
    check_uri()
    if config.store and Path(config.store).exists() and not Path(config.store).is_dir():
        raise BadInput(f"--store {config.store}: is a file; name a folder, or one that is to be made")
    if config.rules.attributes and not Path(config.rules.attributes).is_file():
        raise BadInput(f"--set rules.attributes {config.rules.attributes}: no such file")
    if not config.data:
        config = _with_store(config)
    facts = checked(ingest_config(config))
    if config.gain == "exponential" and facts["max_grade"] > LARGEST_EXPONENT:
        raise BadInput(f"grades up to {facts['max_grade']:g}: 2^grade is beyond numbers; use --gain linear")
    selected = rows_of_budgets(budgets, facts["samples"]["train"], config.rules.seconds_per_row)
    if curve:
        check_curve(selected)
    ledger = facts["ledger"]
    counts = ", ".join(f"{split} {n}" for split, n in facts["samples"].items())
    notes = [
        f"{ledger['rows_in']} rows read, {ledger['rows_out']} samples ({counts}), "
        f"{', '.join(selected.values())} to be selected"
    ]
    if curve:
        notes.append(f"{sum(map(len, config.cells))} rankers to train: {', '.join(sum(config.cells, []))}")
    for what in ("dropped", "repaired", "noted"):
        notes += [f"{what}: {n} {reason}" for reason, n in ledger[what].items()]
    data_sha256, code = sha256_of(config.data), code_version()
    for told in (config.rules.attributes, config.mapping):
        # The steps are told the file's name alone: another content must not find the older results.
        if Path(told).is_file():
            code += f"-{sha256_of(told)[:16]}"
    run_hash = config.run_hash(data_sha256, code, curve)
    return Checked(config, data_sha256, code, run_hash, notes, pipeline)


def rows_of_budgets(
    budgets: list[tuple[str, float | int | Measured]], rows: int, seconds_per_row: float
) -> dict[str, str]:
    """{budget as written: rows it keeps, or that nobody can know yet}.

    Raises:
        BadInput: One cannot be kept.
    """
    out = {}
    for text, budget in budgets:
        kept = rows_of_budget(budget, rows, seconds_per_row)
        unknown = isinstance(budget, Measured) and budget.unit != "gpu-min"
        out[text] = f"as many as {text} says" if unknown else str(kept)
    return out


def check_curve(selected: dict[str, str]) -> None:
    """Refuse budgets that make no curve.

    Args:
        selected: As `rows_of_budgets` gives it.

    Raises:
        BadInput: One is no point of a curve, or two are the same point.
    """
    if "auto" in selected:
        raise BadInput("budgets auto: a curve needs budgets of its own; name them, e.g. 0.1,0.3,0.5")
    first: dict[str, str] = {}
    for text, rows in selected.items():
        other = first.setdefault(rows, text)
        if other != text:
            raise BadInput(f"budgets {other} and {text}: both keep {rows} rows; leave one out")


def ingest_config(config: RunConfig) -> IngestConfig:
    """The part of a run's configuration that `ingest` reads."""
    fields = IngestConfig.__dataclass_fields__
    given = {name: getattr(config, name) for name in fields}
    return IngestConfig(**given | {"policy": config.policy.model_dump()})


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
    file, columns = STORE[config.task]
    given: dict[str, Any] = {"data": str(folder / file)}
    given |= {} if config.columns else {"columns": columns}
    if config.task == "review" and not config.relevant_at and config.policy.label in ("", "liked"):
        given["relevant_at"] = STORE_LIKED
    given |= {} if config.sample else {"sample": STORE_SAMPLE}
    given |= {} if config.test_sample else {"test_sample": STORE_TEST_SAMPLE}
    return config.model_copy(update=given)
