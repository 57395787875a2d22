"""Length-bucketed batches under a token budget: padding is the largest waste on short e-commerce texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

TOKEN_BUDGET = 2048 if torch.cuda.is_available() else 512
"""Tokens of a scoring batch, padding included: rows times the longest row.

On a processor what a batch's layers write should fit its caches, and a small table needs more than one batch
if short rows are not to be padded up to its longest; its products are as fast from 256 tokens on."""


@dataclass(frozen=True)
class Batch:
    """Some samples, tokenised and padded.

    Attributes:
        inputs: Model inputs by name; each value int64, (b, t), one dict a text tower.
        labels: (b,) float32 in [0, 1].
        weights: (b,) float32 > 0.
        index: (b,) int64, where the rows stand in the `Pairs` they came from.
    """

    inputs: tuple[dict[str, Tensor], ...]
    labels: Tensor
    weights: Tensor
    index: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same batch on a device."""
        inputs = tuple({k: v.to(device) for k, v in tower.items()} for tower in self.inputs)
        return Batch(inputs, self.labels.to(device), self.weights.to(device), self.index.to(device))

    def __len__(self) -> int:
        return len(self.labels)


class Pairs:
    """Tokenised (context, item) rows with labels and weights; texts are tokenised once.

    Args:
        towers: One list of token-id encodings a text tower: each a list of n dicts of int lists.
        pad: `tokenizer.pad`, which fills rows up to the longest.
        labels: (n,) in [0, 1]; zeros if None.
        weights: (n,) > 0; ones if None.
        blocks: (n,) number of each row's block: rows of different blocks share no batch. If None, 4,096
            rows after one another are a block.
    """

    def __init__(self, towers, pad, labels=None, weights=None, blocks=None):
        self.towers = towers
        self._pad = pad
        self.blocks = None if blocks is None else np.asarray(blocks, dtype=np.int64)
        n = len(towers[0])
        self.labels = torch.as_tensor(
            np.zeros(n) if labels is None else np.array(labels), dtype=torch.float32
        )
        self.weights = torch.as_tensor(
            np.ones(n) if weights is None else np.array(weights), dtype=torch.float32
        )
        self.lengths = np.max([[len(row["input_ids"]) for row in tower] for tower in towers], axis=0)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> int:
        # A Trainer's data loader asks for rows and collates them: the row number is all `batch` needs.
        return int(row)

    def subset(self, rows: Sequence[int]) -> Pairs:
        """Some of the rows, in the order given, as `Pairs` of their own."""
        index = np.asarray(rows, dtype=np.int64)
        towers = [[tower[i] for i in index] for tower in self.towers]
        blocks = None if self.blocks is None else self.blocks[index]
        return Pairs(towers, self._pad, self.labels.numpy()[index], self.weights.numpy()[index], blocks)

    def batch(self, rows: Sequence[int]) -> Batch:
        """Pad some rows into a batch, in the order given."""
        index = torch.as_tensor(np.asarray(rows, dtype=np.int64))
        inputs = tuple(
            dict(self._pad([tower[i] for i in rows], return_tensors="pt")) for tower in self.towers
        )
        return Batch(inputs, self.labels[index], self.weights[index], index)

    def batches(self, token_budget: int = TOKEN_BUDGET) -> Iterator[Batch]:
        """All rows once, in length-bucketed batches; `Batch.index` says where each row belongs."""
        for rows in bucketed(self.lengths, token_budget, blocks=self.blocks):
            yield self.batch(rows)


def bucketed(
    lengths: Sequence[int],
    token_budget: int = TOKEN_BUDGET,
    block: int = 4096,
    blocks: np.ndarray | None = None,
) -> Iterator[list[int]]:
    """Group rows of similar length so that rows times longest stays within the budget.

    Rows are bucketed within fixed blocks, so a row's batch does not depend on how the table was sharded.

    Args:
        lengths: (n,) tokens a row.
        token_budget: Tokens a batch, padding included; a longer row is a batch of its own.
        block: Rows after one another that may share batches.
        blocks: (n,) number of each row's block, where blocks are not so regular.

    Yields:
        Row numbers of a batch, longest batch of the block first.
    """
    sizes = np.asarray(lengths)
    numbers = np.arange(len(sizes)) // block if blocks is None else np.asarray(blocks)
    for number in np.unique(numbers):
        mine = np.flatnonzero(numbers == number)
        order = mine[np.argsort(-sizes[mine], kind="stable")]
        rows: list[int] = []
        for row in order.tolist():
            if rows and (len(rows) + 1) * int(sizes[rows[0]]) > token_budget:
                yield rows
                rows = []
            rows.append(row)
        if rows:
            yield rows
