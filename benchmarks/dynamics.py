"""Claim: logging the dynamics of training costs the training next to nothing.

Work: a LoRA fine-tune of a MiniLM cross-encoder by the trainer that `finetune` uses, real titles, batches
of 16. Runs of the same seed, hence of the same batches, come in pairs, one that logs and one that does not,
the first of them by turns. Figures: the median over all steps of the ratio of a step with logging to the same
step without, by wall clock and by CPU seconds; and what is done once (the log saved with a checkpoint, the
summary) over a run. The bar is read at the sum of both by wall clock.
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
from transformers import PrinterCallback, ProgressCallback, TrainerCallback, TrainingArguments

BATCH = 16


class StepTimes(TrainerCallback):
    """Seconds of every step: [(wall, CPU)]."""

    def __init__(self):
        self.seconds: list[tuple[float, float]] = []
        self.begun = (0.0, 0.0)

    def on_step_begin(self, args, state, control, **kwargs):
        """Before the batch's forward pass."""
        self.begun = time.perf_counter(), time.process_time()

    def on_step_end(self, args, state, control, **kwargs):
        """After the optimiser's step."""
        wall, cpu = self.begun
        self.seconds.append((time.perf_counter() - wall, time.process_time() - cpu))


def trained(rows, validation, log: DynamicsLog | None, folder: str) -> np.ndarray:
    """Seconds of the steps of one epoch, (steps, 2)."""
    ranker = new_ranker("cross", resolve(ENCODER), 0)
    wrap(ranker, "lora")
    times = StepTimes()
    trainer = RankerTrainer(
        ranker, rows, validation, validation.labels.numpy() > 0, dynamics=log,
        args=TrainingArguments(
            output_dir=folder, per_device_train_batch_size=BATCH, num_train_epochs=1, learning_rate=2e-3,
            save_strategy="no", report_to=[], disable_tqdm=True, use_cpu=True, remove_unused_columns=False,
            label_names=[], logging_strategy="no", seed=0,
        ),
        callbacks=[times],
    )  # fmt: skip
    for callback in (ProgressCallback, PrinterCallback):
        trainer.remove_callback(callback)
    trainer.train()
    return np.array(times.seconds)


def once(log: DynamicsLog, labels: np.ndarray, folder: str) -> float:
    """Wall seconds of what is done once a checkpoint and once a run."""
    started = time.perf_counter()
    np.save(Path(folder) / "dynamics.npy", log.logits)
    summarise(log.logits, labels)
    return time.perf_counter() - started


def main() -> None:
    """Measure, print, write."""
    pairs, steps = (1, 10) if os.environ.get("QUICK") else (4, 100)
    frame = texts()
    ranker = new_ranker("cross", resolve(ENCODER), 0)
    rows = rows_of(ranker, frame.head(BATCH * steps))
    validation = rows_of(ranker, frame.iloc[BATCH * steps :].head(64))
    ratios, at_end = [], []
    with tempfile.TemporaryDirectory() as folder:
        # The first run of a process pays for all that is loaded on the way.
        trained(rows.subset(range(BATCH * 4)), validation, None, folder)
        for number in range(pairs):
            found = {}
            for logs in (False, True) if number % 2 else (True, False):
                log = DynamicsLog(len(rows), 1) if logs else None
                found[logs] = trained(rows, validation, log, folder)
                if log is not None:
                    assert not np.isnan(log.logits).any()
                    spent = once(log, rows.labels.numpy(), folder)
                    at_end.append(spent / found[logs][:, 0].sum())
            ratios.append(found[True] / found[False])
            say("dynamics", f"pair {number + 1}: {np.median(ratios[-1], axis=0)}")
    wall, cpu = np.median(np.concatenate(ratios), axis=0)
    figures = {
        "steps": pairs * steps,
        "step_with_over_without": {"wall": float(wall), "cpu": float(cpu)},
        "by_pair": [np.median(part, axis=0).tolist() for part in ratios],
        "saved_and_summed_up_over_run": float(np.median(at_end)),
    }
    budget = {"with logging / without, wall": (float(wall + np.median(at_end)), "<=", 1.02)}
    record("dynamics", figures, budget)


if __name__ == "__main__":
    main()
