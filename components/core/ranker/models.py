"""Rankers: a cross-encoder and a bi-encoder behind one protocol.

Everything else (training, influence, dynamics) is built on `losses(batch) -> (n,)`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from assay.components.core.checkpoints import DESCRIPTION
from assay.components.core.ranker.batches import TOKEN_BUDGET, Batch, Pairs, bucketed
from assay.components.core.ranker.encoder import mean_pool, write_modules
from assay.components.core.ranker.first_token import read_first_token_only
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

MAX_LENGTH = 128
"""Tokens of a row (cross-encoder) or of a text (bi-encoder); what is longer is cut by the tokenizer."""

SCALED_COSINE = "scaled_cosine.safetensors"
"""A bi-encoder's head; so named, neither transformers nor sentence-transformers takes it for the model."""


def device() -> torch.device:
    """CUDA if there, else the processor: the same code on both."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def has_bf16() -> bool:
    """Whether this device computes in bfloat16 (about 2x) rather than emulating it (10x slower)."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported()
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.is_file() and "avx512_bf16" in cpuinfo.read_text()


class Ranker(nn.Module):
    """What scores (context, item) rows: the protocol of both shapes.

    Attributes:
        network: The module that adapters wrap; everything trainable is in it.
        head: Name of the submodule of `network` that starts untrained. An adapter must train and save it
            whole, or scores change after reload.
        kind: `cross` or `bi`.
    """

    kind: str
    head: str

    def __init__(self, network: nn.Module, tokenizer, max_length: int = MAX_LENGTH):
        super().__init__()
        # Any: what torch says of submodules (Tensor or Module) helps no reader.
        self.network: Any = network
        self.tokenizer = tokenizer
        self.max_length = max_length

    def towers(self, contexts: Sequence[str], items: Sequence[str]) -> list[list[dict]]:
        """Token ids of rows, one list a text tower. To be given by each shape."""
        raise NotImplementedError

    def logits(self, batch: Batch) -> Tensor:
        """Differentiable scores of a batch, (b,) float32; higher is more relevant."""
        return self.network(*batch.inputs).float()

    def losses(self, batch: Batch, logits: Tensor | None = None) -> Tensor:
        """Per-sample, unreduced, unweighted binary cross-entropy to the label in [0, 1]. Returns (b,).

        Args:
            batch: The rows.
            logits: Theirs, if they were computed.
        """
        logits = self.logits(batch) if logits is None else logits
        return F.binary_cross_entropy_with_logits(logits, batch.labels, reduction="none")

    forward = losses

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.network.parameters()).device

    @property
    def last_layer(self) -> nn.Linear:
        """The layer that the logit comes out of."""
        head = next(m for name, m in self.network.named_modules() if name.split(".")[-1] == self.head)
        # Under an adapter the head is there twice: as it began, then as it was trained.
        return [module for module in head.modules() if isinstance(module, nn.Linear)][-1]

    def tokenise(
        self, contexts: Sequence[str], items: Sequence[str], labels=None, weights=None, blocks=None
    ) -> Pairs:
        """Rows ready to be batched: texts tokenised once. `labels`, `weights`, `blocks`: (n,) or None."""
        # Lengths differ on purpose here; `pad` fills each batch up to its own longest row.
        return Pairs(self.towers(contexts, items), self.tokenizer.pad, labels, weights, blocks)

    @torch.inference_mode()
    def score(
        self,
        pairs: Pairs,
        token_budget: int = TOKEN_BUDGET,
        progress: Callable[[Iterator], Iterator] = iter,
    ) -> np.ndarray:
        """Scores of all rows without dropout, in the order of `pairs`. Returns (n,) float32."""
        was_training = self.training
        self.eval()
        out = np.empty(len(pairs), dtype=np.float32)
        for batch in progress(pairs.batches(token_budget)):
            out[batch.index.numpy()] = self.logits(batch.to(self.device)).cpu().numpy()
        self.train(was_training)
        return out

    def save(self, folder: str | Path) -> None:
        """Write safetensors, tokenizer and description into a folder."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self._save_network(folder)
        self.tokenizer.save_pretrained(folder)
        description = {"kind": self.kind, "max_length": self.max_length}
        (folder / DESCRIPTION).write_text(json.dumps(description) + "\n")

    def _save_network(self, folder: Path) -> None:
        raise NotImplementedError


class CrossEncoder(Ranker):
    """Both texts in one pass, one logit. Opens in sentence-transformers as `CrossEncoder(folder)`."""

    kind = "cross"

    def __init__(self, model: nn.Module, tokenizer, max_length: int = MAX_LENGTH):
        super().__init__(_OneLogit(model), tokenizer, max_length)
        # BERT-like heads are called `classifier`, decoder heads `score`.
        self.head = next(name for name in ("classifier", "score") if hasattr(model, name))

    def towers(self, contexts: Sequence[str], items: Sequence[str]) -> list[list[dict]]:
        """One tower: context and item joined by the tokenizer's separator; the item is cut first."""
        return [
            _rows(self.tokenizer(list(contexts), list(items), truncation=True, max_length=self.max_length))
        ]

    def _save_network(self, folder: Path) -> None:
        self.network.model.save_pretrained(folder)


class BiEncoder(Ranker):
    """Each text alone, mean pooling, scaled cosine. Opens in sentence-transformers."""

    kind = "bi"
    head = "head"

    def __init__(self, encoder: nn.Module, tokenizer, max_length: int = MAX_LENGTH):
        super().__init__(_ScaledCosine(encoder), tokenizer, max_length)

    def towers(self, contexts: Sequence[str], items: Sequence[str]) -> list[list[dict]]:
        """Two towers: contexts, items."""
        cut = {"truncation": True, "max_length": self.max_length}
        return [_rows(self.tokenizer(list(contexts), **cut)), _rows(self.tokenizer(list(items), **cut))]

    @torch.inference_mode()
    def score(
        self,
        pairs: Pairs,
        token_budget: int = TOKEN_BUDGET,
        progress: Callable[[Iterator], Iterator] = iter,
    ) -> np.ndarray:
        """As `Ranker.score`, each distinct text of a block encoded once: a query stands in many rows."""
        was_training = self.training
        self.eval()
        blocks = np.zeros(len(pairs), dtype=np.int64) if pairs.blocks is None else pairs.blocks
        distinct: dict[tuple[int, tuple[int, ...]], int] = {}
        texts: list[dict] = []
        places = np.empty((len(pairs.towers), len(pairs)), dtype=np.int64)
        for tower, rows in enumerate(pairs.towers):
            for row, (text, block) in enumerate(zip(rows, blocks.tolist(), strict=True)):
                place = places[tower, row] = distinct.setdefault(
                    (block, tuple(text["input_ids"])), len(texts)
                )
                if place == len(texts):
                    texts.append(text)
        vectors = torch.empty(len(texts), self.network.encoder.config.hidden_size, device=self.device)
        lengths = [len(text["input_ids"]) for text in texts]
        of_text = None if pairs.blocks is None else np.asarray([block for block, _ in distinct])
        for index in progress(bucketed(lengths, token_budget, blocks=of_text)):
            inputs = self.tokenizer.pad([texts[i] for i in index], return_tensors="pt").to(self.device)
            vectors[index] = self.network.pooled(inputs)
        out = np.empty(len(pairs), dtype=np.float32)
        for block in np.unique(blocks):
            # Block by block: a product's last digit may change with the number of rows it is taken of.
            mine = np.flatnonzero(blocks == block)
            left, right = (vectors[place] for place in torch.as_tensor(places[:, mine]))
            out[mine] = self.network.compare(left, right).float().cpu().numpy()
        self.train(was_training)
        return out

    def _save_network(self, folder: Path) -> None:
        self.network.encoder.save_pretrained(folder)
        save_file(self.network.head.state_dict(), folder / SCALED_COSINE)
        write_modules(folder, self.network.encoder.config.hidden_size, "mean", normalised=False)


class _OneLogit(nn.Module):
    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model
        read_first_token_only(model)

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        return self.model(**inputs).logits[:, 0]


class _ScaledCosine(nn.Module):
    """logit = scale * cosine + shift; the head starts so that cosine 0.5 is a coin toss."""

    def __init__(self, encoder: nn.Module):
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(1, 1)
        with torch.no_grad():
            self.head.weight.fill_(10.0)
            self.head.bias.fill_(-5.0)

    def forward(self, contexts: dict[str, Tensor], items: dict[str, Tensor]) -> Tensor:
        return self.compare(self.pooled(contexts), self.pooled(items))

    def pooled(self, tower: dict[str, Tensor]) -> Tensor:
        return mean_pool(self.encoder(**tower).last_hidden_state, tower["attention_mask"])

    def compare(self, left: Tensor, right: Tensor) -> Tensor:
        return self.head(F.cosine_similarity(left, right).unsqueeze(1))[:, 0]


def _rows(encoding) -> list[dict]:
    names = list(encoding)
    return [
        dict(zip(names, values, strict=True)) for values in zip(*(encoding[n] for n in names), strict=True)
    ]


def new_ranker(kind: str, checkpoint: str | Path, seed: int, max_length: int = MAX_LENGTH) -> Ranker:
    """A ranker over a pretrained encoder; what the checkpoint lacks (a head) is drawn by the seed.

    Args:
        kind: `cross` or `bi`.
        checkpoint: A local folder.
        seed: Of the head.
        max_length: Tokens of a row or text.

    Raises:
        ValueError: The kind is neither.
    """
    torch.manual_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    if kind == "cross":
        # In a checkpoint with a head of another width, the head is new; a ranker's own is kept.
        model = AutoModelForSequenceClassification.from_pretrained(
            checkpoint, num_labels=1, ignore_mismatched_sizes=True, dtype=torch.float32
        )
        return _padded(CrossEncoder(model, tokenizer, max_length), model)
    if kind == "bi":
        model = AutoModel.from_pretrained(checkpoint, dtype=torch.float32)
        ranker = BiEncoder(model, tokenizer, max_length)
        if (Path(checkpoint) / SCALED_COSINE).is_file():
            ranker.network.head.load_state_dict(load_file(Path(checkpoint) / SCALED_COSINE))
        return _padded(ranker, model)
    raise ValueError(f"ranker kind {kind!r}: choose cross or bi")


def open_ranker(folder: str | Path, adapter: str | Path | None = None) -> Ranker:
    """Open a ranker that `Ranker.save` wrote, in evaluation mode, on the device at hand.

    Args:
        folder: Of the ranker, its adapter merged.
        adapter: Of that adapter, as peft saved it: the ranker then has it apart again, and scores the same.

    Raises:
        FileNotFoundError: The folder has no description: it is an encoder, not a ranker.
    """
    folder = Path(folder)
    description = json.loads((folder / DESCRIPTION).read_text())
    ranker = new_ranker(description["kind"], folder, seed=0, max_length=description["max_length"])
    if adapter is not None:
        ranker.network = _apart(ranker.network, adapter)
    return ranker.eval().to(device())


def _apart(network: nn.Module, adapter: str | Path) -> nn.Module:
    """A merged network as adapter and what the adapter was put on."""
    from peft import PeftModel
    from peft.tuners.tuners_utils import BaseTunerLayer

    wrapped = PeftModel.from_pretrained(network, str(adapter), is_trainable=True)
    for module in wrapped.modules():
        if isinstance(module, BaseTunerLayer):
            # What was opened is the sum of both: tell peft so, and it takes the adapter's part away.
            module.merged_adapters = list(module.active_adapters)
            module.unmerge()
    return wrapped


def _padded(ranker: Ranker, model: Any) -> Ranker:
    # Decoder checkpoints often name no pad token, and batches cannot be made without one.
    if ranker.tokenizer.pad_token is None:
        ranker.tokenizer.pad_token = ranker.tokenizer.eos_token
    if model.config.pad_token_id is None:
        model.config.pad_token_id = ranker.tokenizer.pad_token_id
    return ranker
