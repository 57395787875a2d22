"""Claim: logging the dynamics of training costs the training next to nothing.

Work: a LoRA fine-tune of a MiniLM cross-encoder by the trainer that `finetune` uses, real titles, batches
of 16, one epoch. What logging does is timed where it is done: each batch's logits taken from the graph and
written down, the log saved with a checkpoint, and summed up at the end. The figure is that over the wall
clock of the rest of the run, the median of the runs. Runs with and without it, compared as wholes, differ by
more than it takes.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import numpy as np
from assay.components.core.checkpoints import ENCODER, resolve
from assay.components.core.progress import say
from assay.components.core.ranker import new_ranker
from assay.components.finetune.adapters import wrap
from assay.components.finetune.dynamics import DynamicsLog, summarise
from assay.components.finetune.trainer import RankerTrainer
from pairs import rows_of, texts
from record import record
from transformers import PrinterCallback, ProgressCallback, TrainingArguments

BATCH = 16


class Timed(RankerTrainer):
    """The trainer, with a clock on its logging."""

    spent = 0.0

    def note(self, log, batch, logits):
        """As the trainer does."""
        started = time.perf_counter()
        super().note(log, batch, logits)
        self.spent += time.perf_counter() - started


def trained(rows, validation, folder: str) -> tuple[float, float, float]:
    """Wall seconds of an epoch, of them of logging, and of what is done once at its end."""
    ranker = new_ranker("cross", resolve(ENCODER), 0)
    wrap(ranker, "lora")
    log = DynamicsLog(len(rows), 1)
    trainer = Timed(
        ranker, rows, validation, validation.labels.numpy() > 0, dynamics=log,
        args=TrainingArguments(
            output_dir=folder, per_device_train_batch_size=BATCH, num_train_epochs=1, learning_rate=2e-3,
            save_strategy="no", report_to=[], disable_tqdm=True, use_cpu=True, remove_unused_columns=False,
            label_names=[], logging_strategy="no", seed=0,
        ),
    )  # fmt: skip
    for callback in (ProgressCallback, PrinterCallback):
        trainer.remove_callback(callback)
    started = time.perf_counter()
    trainer.train()
    whole = time.perf_counter() - started
    assert not np.isnan(log.logits).any()
    started = time.perf_counter()
    np.save(Path(folder) / "dynamics.npy", log.logits)
    summarise(log.logits, rows.labels.numpy())
    return whole, trainer.spent, time.perf_counter() - started


def main() -> None:
    """Measure, print, write."""
    runs, steps = (1, 10) if os.environ.get("QUICK") else (3, 100)
    frame = texts()
    ranker = new_ranker("cross", resolve(ENCODER), 0)
    rows = rows_of(ranker, frame.head(BATCH * steps))
    validation = rows_of(ranker, frame.iloc[BATCH * steps :].head(64))
    found = []
    with tempfile.TemporaryDirectory() as folder:
        # The first run of a process pays for all that is loaded on the way.
        trained(rows.subset(range(BATCH * 4)), validation, folder)
        for number in range(runs):
            found.append(trained(rows, validation, folder))
            say(
                "dynamics",
                "run {}: {:.1f} s, {:.4f} of logging, {:.4f} at the end".format(number, *found[-1]),
            )
    whole, spent, at_end = np.asarray(found).T
    over = (whole + at_end) / (whole - spent)
    figures = {
        "steps": steps,
        "seconds": whole.tolist(),
        "logging": spent.tolist(),
        "at_end": at_end.tolist(),
    }
    record("dynamics", figures, {"with logging / without, wall": (float(np.median(over)), "<=", 1.02)})


if __name__ == "__main__":
    main()
