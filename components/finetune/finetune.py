"""Selection -> ranker: the one place where a ranker is trained."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from assay.components.core.arms import parse_arm
from assay.components.core.checkpoints import resolve
from assay.components.core.manifest import (
    MANIFEST,
    code_version,
    cpu_seconds,
    publishing,
    read_manifest,
    sha256_of,
    write_json,
)
from assay.components.core.progress import say
from assay.components.core.ranker import Ranker, new_ranker, open_ranker
from assay.components.core.ranker.models import device, has_bf16
from assay.components.core.samples import read_samples, relevance
from assay.components.finetune.adapters import ADAPTERS, merge, wrap
from assay.components.finetune.calibration import calibrate
from assay.components.finetune.dynamics import DynamicsLog, summarise
from assay.components.finetune.trainer import RankerTrainer, SayProgress
from transformers import EarlyStoppingCallback, PrinterCallback, ProgressCallback, TrainingArguments, set_seed
from transformers.utils import logging as transformers_logging

WORK = "ASSAY_WORK"
"""Folder for checkpoints of training under way; a killed run goes on from there."""
DONE = "done"
"""Folder in it of what `finetune_each` has trained: no training of it is done twice."""
TRUSTED = {"target": ["target"], "target_only": ["target"], "random_target": ["train", "target"]}
"""{arm that may train on the target: splits of its rows}: the ranker of `learnability`, and two baselines."""
PROBE = 64
"""Validation rows on which the reloaded model must give the same scores."""


@dataclass(frozen=True)
class FinetuneConfig:
    """How a ranker is trained.

    Attributes:
        arm: Which rows of the selection; `NAME:k` is NAME once more, by `seed` + k.
        model: What `resolve` opens.
        ranker: `cross` or `bi`.
        adapter: A name of `ADAPTERS`.
        epochs: Passes over the rows, at most.
        batch_size: Rows a step.
        learning_rate: At its peak; linear warm-up over a tenth, then linear decay.
        patience: Epochs without a higher validation AUC before training stops.
        max_length: Tokens of a row or text.
        seed: Of the head, the dropout and the order of rows.
    """

    arm: str
    model: str = "minilm"
    ranker: str = "bi"
    adapter: str = "lora"
    epochs: int = 2
    batch_size: int = 16
    learning_rate: float = 2e-3
    patience: int = 2
    max_length: int = 128
    seed: int = 0

    @property
    def own_seed(self) -> int:
        """Seed of this arm's training."""
        return self.seed + parse_arm(self.arm).repeat

    def __post_init__(self) -> None:
        if self.ranker not in ("cross", "bi"):
            raise ValueError(f"ranker {self.ranker!r}: choose cross or bi")
        if self.adapter not in ADAPTERS:
            raise ValueError(f"adapter {self.adapter!r}: choose one of {', '.join(ADAPTERS)}")
        for name in ("epochs", "batch_size", "patience", "max_length", "learning_rate"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} {getattr(self, name)}: must be above 0")


def finetune(config: FinetuneConfig, samples_folder: str, selection_folder: str, model_folder: str) -> dict:
    """Train a ranker on the rows of one arm and publish it, merged, with the rows it saw.

    Where the task's metric is the log loss, its logits are calibrated as `calibrate` says, whatever the arm.

    Args:
        config: How.
        samples_folder: A sample table; its validation split decides when to stop, and calibrates.
        selection_folder: What `select` wrote.
        model_folder: Gets `ranker/` (safetensors, the adapter merged), `adapter/` (the adapter alone),
            `rows.parquet` (sample_id of every row trained on), `dynamics.parquet` (what `summarise` says).

    Returns:
        The manifest's figures: train_rows, train_steps, history.

    Raises:
        ValueError: The arm has no rows, or rows of another split than its own: `train`, but for `TRUSTED`.
        RuntimeError: The reloaded ranker does not give identical scores.
    """
    train, validation = rows_of_arm(config.arm, samples_folder, selection_folder)
    checkpoint = resolve(config.model)
    facts = read_manifest(samples_folder)
    work = _work_folder(training_key(config, train, facts["sha256"], sha256_of(checkpoint)))
    ranker, trainer = _train(config, checkpoint, train, validation, facts["relevant_at"], work)
    with publishing(model_folder, **asdict(config)) as (folder, manifest):
        if facts["metric"] == "log_loss":
            # Before the adapter is saved: its file holds the head.
            relevant = relevance(validation) >= facts["relevant_at"]
            found = manifest["calibration"] = calibrate(ranker, _pairs(ranker, validation), relevant)
            say(f"finetune {config.arm}", _said(found))
        ranker.network.save_pretrained(folder / "adapter")
        manifest["reload_difference"] = _publish_merged(ranker, validation, folder / "ranker")
        train[["sample_id"]].to_parquet(folder / "rows.parquet", index=False)
        measures = summarise(trainer.dynamics.logits, train["label"].to_numpy())
        measures.insert(0, "sample_id", train["sample_id"].to_numpy())
        measures.to_parquet(folder / "dynamics.parquet", index=False)
        manifest |= {
            "train_rows": len(train),
            "train_steps": int(trainer.state.global_step),
            "history": [entry for entry in trainer.state.log_history if "eval_loss" in entry],
        }
    shutil.rmtree(work, ignore_errors=True)
    return {key: manifest[key] for key in ("train_rows", "train_steps", "history")}


def _said(calibration: dict) -> str:
    """A line about it, for people."""
    if "unchanged" in calibration:
        return f"not calibrated: {calibration['unchanged']}"
    return (
        "calibrated on {rows} validation rows: log odds {scale:.3f} * logit {shift:+.3f}, "
        "log loss {log_loss_before:.4f} -> {log_loss_after:.4f}"
    ).format_map(calibration)


def rows_of_arm(arm: str, samples_folder: str, selection_folder: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(rows that an arm trains on, validation rows), in `sample_id` order.

    Labels are those of the selection, which may have corrected them; weights those of the samples times the
    selection's.

    Raises:
        ValueError: As `finetune`.
    """
    columns = ["sample_id", "arm", "label", "weight"]
    selection = pd.read_parquet(Path(selection_folder) / "selection.parquet", columns=columns)
    chosen = selection[selection["arm"] == arm].set_index("sample_id")
    if chosen.empty:
        raise ValueError(f"arm {arm!r} has no rows; the selection has {sorted(set(selection['arm']))}")
    splits = TRUSTED.get(parse_arm(arm).name, ["train"])
    samples = read_samples(samples_folder, [*splits, "validation"])
    train = samples[samples["sample_id"].isin(chosen.index) & (samples["split"] != "validation")]
    if len(train) != len(chosen):
        missing = len(chosen) - len(train)
        raise ValueError(f"arm {arm!r}: {missing} of its rows are no rows of {' or '.join(splits)}")
    given = chosen.loc[train["sample_id"]]
    train = train.assign(
        label=given["label"].to_numpy(dtype=np.float32),
        weight=train["weight"].to_numpy() * given["weight"].to_numpy(dtype=np.float32),
    )
    return train, samples[samples["split"] == "validation"]


def finetune_each(
    config: FinetuneConfig,
    arms: Sequence[str],
    samples_folder: str,
    selection_folder: str,
    models_folder: str,
) -> None:
    """Train a ranker on the rows of each arm, and publish them together, a folder an arm.

    Where `ASSAY_WORK` names a folder, each is kept there too (the same files under a second name), so that
    neither a killed task nor a later one with more arms trains any of them again.

    Args:
        config: How, whatever arm it names.
        arms: Which rows of the selection.
        samples_folder: As `finetune` takes it.
        selection_folder: As `finetune` takes it.
        models_folder: Gets a folder an arm, each as `finetune` writes it; its seconds are its own.
    """
    root, base, facts = os.environ.get(WORK), sha256_of(resolve(config.model)), read_manifest(samples_folder)
    spent = 0.0
    with publishing(models_folder, arms=list(arms)) as (folder, _):
        for arm in arms:
            mine, place = replace(config, arm=arm), folder / arm
            if root:
                train, _ = rows_of_arm(arm, samples_folder, selection_folder)
                place = Path(root) / DONE / training_key(mine, train, facts["sha256"], base)
            if (place / MANIFEST).is_file():
                say(f"finetune {arm}", "trained before")
            else:
                finetune(mine, samples_folder, selection_folder, str(place))
                manifest = read_manifest(place)
                manifest["seconds"] = round(manifest["seconds"] - spent, 3)
                write_json(place / MANIFEST, manifest)
            spent = cpu_seconds()
            if root:
                shutil.copytree(place, folder / arm, copy_function=_linked)


def _linked(source: str, target: str) -> str:
    """One file under two names, where the disk can; else a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target


def _train(
    config: FinetuneConfig,
    checkpoint: Path,
    train: pd.DataFrame,
    validation: pd.DataFrame,
    relevant_at: float,
    work: Path,
) -> tuple[Ranker, RankerTrainer]:
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    set_seed(config.own_seed)
    ranker = new_ranker(config.ranker, checkpoint, config.own_seed, config.max_length).to(device())
    wrap(ranker, config.adapter)
    say(f"finetune {config.arm}", f"{len(train)} rows, {config.epochs} epochs, {config.ranker}-encoder")
    arguments = TrainingArguments(
        output_dir=str(work),
        num_train_epochs=config.epochs,
        per_device_train_batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=0.1,
        weight_decay=0.01,
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="eval_auc",
        greater_is_better=True,
        bf16=has_bf16(),
        seed=config.own_seed,
        data_seed=config.own_seed,
        dataloader_num_workers=0,
        remove_unused_columns=False,
        report_to=[],
        disable_tqdm=True,
        logging_strategy="epoch",
        use_cpu=device().type == "cpu",
    )
    trainer = RankerTrainer(
        ranker,
        _pairs(ranker, train),
        _pairs(ranker, validation),
        relevance(validation) >= relevant_at,
        DynamicsLog(len(train), config.epochs),
        args=arguments,
        callbacks=[EarlyStoppingCallback(config.patience), SayProgress(f"finetune {config.arm}")],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.remove_callback(ProgressCallback)
    trainer.train(resume_from_checkpoint=any(work.glob("checkpoint-*")))
    # It trains in bfloat16 where the device has it; what scores from here on is in single precision again.
    ranker.network = trainer.accelerator.unwrap_model(ranker.network, keep_fp32_wrapper=False)
    return ranker, trainer


def _pairs(ranker: Ranker, frame: pd.DataFrame):
    columns = (frame[c].tolist() for c in ("context", "item"))
    return ranker.tokenise(*columns, frame["label"].to_numpy(), frame["weight"].to_numpy())


def training_key(config: FinetuneConfig, train: pd.DataFrame, samples_sha256: str, base_sha256: str) -> str:
    """Digest of all that a training's outcome is a function of, 16 hex digits.

    Args:
        config: How.
        train: Its rows, as `rows_of_arm` gives them: labels and weights are the selection's.
        samples_sha256: Of the sample table, whose validation split decides when to stop.
        base_sha256: Of the checkpoint it starts from.
    """
    about = [asdict(config), samples_sha256, base_sha256, code_version()]
    key = hashlib.sha256(json.dumps(about).encode())
    key.update("".join(train["sample_id"]).encode())
    key.update(np.ascontiguousarray(train[["label", "weight"]].to_numpy(dtype="<f4")).tobytes())
    return key.hexdigest()[:16]


def _work_folder(key: str) -> Path:
    """Where checkpoints of exactly this training go, so that only the same training resumes from them."""
    root = os.environ.get(WORK)
    folder = Path(root) / key if root else Path(tempfile.mkdtemp(prefix="assay-finetune-"))
    folder.mkdir(parents=True, exist_ok=True)
    for checkpoint in folder.glob("checkpoint-*"):
        # Written last: without it, the process was killed while it saved.
        if not (checkpoint / "trainer_state.json").is_file():
            shutil.rmtree(checkpoint)
    return folder


def _publish_merged(ranker: Ranker, validation: pd.DataFrame, folder: Path) -> float:
    """Merge, save, reload, and compare scores; returns the largest difference seen after the reload."""
    probe = _pairs(ranker, validation.head(PROBE))
    adapted = ranker.score(probe)
    merge(ranker)
    merged = ranker.score(probe)
    ranker.save(folder)
    reloaded = open_ranker(folder).score(probe)
    difference = float(np.abs(reloaded - merged).max())
    # One unit in the last place is what the memory alignment of two loads can change.
    if difference > 1e-5 or not np.allclose(merged, adapted, atol=1e-4):
        raise RuntimeError(
            f"the reloaded ranker scores otherwise than the trained one (by {difference:.1e}; merging "
            f"changed {np.abs(merged - adapted).max():.1e}): a layer was trained but not saved"
        )
    return difference
