"""Training dynamics: what each row's logit did from epoch to epoch, as training saw it anyway."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from transformers import TrainerCallback

FILE = "dynamics.npy"


class DynamicsLog(TrainerCallback):
    """The logit of every training row in every epoch, as it was when the row's turn came: no extra pass.

    It is saved with each checkpoint and read again on resume, so that no epoch is lost with a killed process.

    Args:
        rows: Of the training set.
        epochs: At most.

    Attributes:
        logits: (epochs, rows) float32; NaN where a row's turn did not come.
    """

    def __init__(self, rows: int, epochs: int):
        self.logits = np.full((epochs, rows), np.nan, dtype=np.float32)

    def seen(self, epoch: float | None, index: np.ndarray, logits: np.ndarray) -> None:
        """Write a batch down.

        Args:
            epoch: As the trainer counts: 1.25 is a quarter of the second.
            index: (b,) numbers of rows.
            logits: (b,) theirs.
        """
        self.logits[int(epoch or 0), index] = logits

    def on_save(self, args, state, control, **kwargs):
        """With the checkpoint just written."""
        np.save(Path(args.output_dir) / f"checkpoint-{state.global_step}" / FILE, self.logits)

    def on_train_begin(self, args, state, control, **kwargs):
        """From the checkpoint that training goes on from."""
        file = Path(args.output_dir) / f"checkpoint-{state.global_step}" / FILE
        if state.global_step and file.is_file():
            self.logits[:] = np.load(file)


def summarise(logits: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    """The measures of the literature, one row a training row.

    Args:
        logits: (epochs, n), NaN where not seen.
        labels: (n,) in [0, 1].

    Returns:
        Columns: `loss`, mean cross-entropy; `el2n`, mean |p - y| (Paul et al. 2021, "Deep Learning on a Data
        Diet"); `aum`, mean margin (2y - 1) f (Pleiss et al. 2020, "Identifying Mislabeled Data using the Area
        Under the Margin Ranking"); `forgetting`, how often it went from right to wrong (Toneva et al. 2019);
        `confidence`, `variability`, `correctness`: mean and standard deviation of the probability of the
        label, share of epochs in which it was right (Swayamdipta et al. 2020, "Dataset Cartography");
        `epochs` in which it was seen.
    """
    f = np.asarray(logits, dtype=np.float64)
    f = f[~np.isnan(f).all(axis=1)] if len(f) else f
    if not len(f):
        raise ValueError("no epoch was logged")
    y = np.asarray(labels, dtype=np.float64)
    positive = 1 / (1 + np.exp(-np.clip(f, -60, 60)))
    given = y * positive + (1 - y) * (1 - positive)
    right = np.where(np.isnan(f), np.nan, (f > 0) == (y > 0.5))
    forgotten = (right[:-1] == 1) & (right[1:] == 0)
    return pd.DataFrame(
        {
            "loss": np.nanmean(np.logaddexp(0, f) - y * f, axis=0),
            "el2n": np.nanmean(np.abs(positive - y), axis=0),
            "aum": np.nanmean((2 * y - 1) * f, axis=0),
            "forgetting": forgotten.sum(axis=0).astype(np.int32),
            "confidence": np.nanmean(given, axis=0),
            "variability": np.nanstd(given, axis=0),
            "correctness": np.nanmean(right, axis=0),
            "epochs": (~np.isnan(f)).sum(axis=0).astype(np.int32),
        }
    )
