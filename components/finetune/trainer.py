"""The training loop: Hugging Face `Trainer` over the ranker's own losses and length-bucketed batches."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from assay.components.core.progress import say
from assay.components.core.ranker import Batch, Pairs, Ranker
from assay.components.finetune.dynamics import DynamicsLog
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback

WINDOW = 16
"""Batches that are sorted by length together: enough to save padding, few enough to stay shuffled."""


class BucketedSampler:
    """Shuffled batches of rows of similar length; the order is a function of seed and epoch.

    Args:
        lengths: (n,) tokens a row.
        batch_size: Rows a batch; the last may be smaller.
        seed: Of the shuffle.
    """

    def __init__(self, lengths: np.ndarray, batch_size: int, seed: int):
        self.lengths = lengths
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.lengths) // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        order = rng.permutation(len(self.lengths))
        window = self.batch_size * WINDOW
        sorted_in_windows = np.concatenate(
            [
                part[np.argsort(self.lengths[part], kind="stable")]
                for part in (order[start : start + window] for start in range(0, len(order), window))
            ]
        )
        batches = [
            sorted_in_windows[start : start + self.batch_size].tolist()
            for start in range(0, len(order), self.batch_size)
        ]
        for number in rng.permutation(len(batches)):
            yield batches[number]


class RankerTrainer(Trainer):
    """`Trainer` whose loss is the weighted mean of `Ranker.losses` and whose evaluation is the ranker's own.

    Args:
        ranker: Its `network` is what is trained.
        train: Rows to train on.
        validation: Rows that decide when to stop; their unweighted mean loss is `eval_loss`.
        relevant: (rows of validation,) bool, which of them are relevant; for `eval_auc`.
        dynamics: Gets every training row's logit; nothing is logged if None.
        **kwargs: Of `Trainer`.
    """

    def __init__(
        self,
        ranker: Ranker,
        train: Pairs,
        validation: Pairs,
        relevant: np.ndarray,
        dynamics: DynamicsLog | None = None,
        **kwargs,
    ):
        super().__init__(model=ranker.network, train_dataset=train, eval_dataset=validation, **kwargs)
        self.dynamics = dynamics
        if dynamics is not None:
            self.add_callback(dynamics)
        # The trainer may have moved or wrapped the network; losses go through what it trains.
        self.ranker = ranker
        self.relevant = relevant

    def get_train_dataloader(self) -> DataLoader:
        """Length-bucketed batches."""
        pairs: Pairs = self.train_dataset
        sampler = BucketedSampler(pairs.lengths, self.args.per_device_train_batch_size, self.args.seed)
        loader = DataLoader(
            pairs, batch_sampler=sampler, collate_fn=lambda rows: {"batch": pairs.batch(rows)}
        )
        return self.accelerator.prepare(loader)

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """Mean of per-sample losses, weighted by the samples' weights."""
        batch: Batch = inputs["batch"].to(self.args.device)
        logits = self.ranker.logits(batch)
        if self.dynamics is not None and model.training:
            self.note(self.dynamics, batch, logits)
        losses = self.ranker.losses(batch, logits)
        loss = (losses * batch.weights).sum() / batch.weights.sum()
        return (loss, losses) if return_outputs else loss

    def note(self, log: DynamicsLog, batch: Batch, logits: Tensor) -> None:
        """Write down what a batch of training was scored."""
        log.seen(self.state.epoch, batch.index.cpu().numpy(), logits.detach().cpu().numpy())

    def evaluate(self, eval_dataset=None, ignore_keys=None, metric_key_prefix="eval") -> dict[str, float]:
        """Mean loss and AUC on the validation rows.

        Training stops by AUC: clean rows make a ranker sure of itself, which raises its loss while it still
        learns to rank.
        """
        pairs: Pairs = self.eval_dataset
        logits, labels = self.ranker.score(pairs), pairs.labels.numpy()
        one_class = self.relevant.all() or not self.relevant.any()
        metrics = {
            f"{metric_key_prefix}_loss": float(np.mean(np.logaddexp(0, logits) - labels * logits)),
            f"{metric_key_prefix}_auc": 0.5 if one_class else float(roc_auc_score(self.relevant, logits)),
        }
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics


class SayProgress(TrainerCallback):
    """A progress line now and then and one an epoch, in place of the trainer's own bar."""

    def __init__(self, step: str):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        """Every twentieth of the way."""
        if state.global_step % max(1, state.max_steps // 20) == 0:
            say(self.step, f"step {state.global_step} of {state.max_steps}")

    def on_evaluate(self, args, state, control, metrics=None, **kwargs):
        """The figures of the validation rows."""
        found = metrics or {}
        shown = ", ".join(f"{name.removeprefix('eval_')} {value:.4f}" for name, value in found.items())
        say(self.step, f"epoch {state.epoch:.0f}: validation {shown}")
