"""The text encoder: one vector a text, by mean pooling."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from assay.components.core.ranker.batches import TOKEN_BUDGET, bucketed
from torch import Tensor
from transformers import AutoModel, AutoTokenizer


def mean_pool(hidden: Tensor, mask: Tensor) -> Tensor:
    """Mean of token vectors where the mask is 1. (b, t, d), (b, t) -> (b, d)."""
    kept = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * kept).sum(1) / kept.sum(1).clamp(min=1e-9)


class TextEncoder:
    """A pretrained encoder as it came: mean-pooled, unit-length vectors.

    Args:
        folder: A local checkpoint.
        max_length: Tokens of a text; what is longer is cut.
    """

    def __init__(self, folder: str | Path, max_length: int = 128):
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval().to(device)
        self.max_length = max_length

    @torch.inference_mode()
    def encode(
        self,
        texts: Sequence[str],
        token_budget: int = TOKEN_BUDGET,
        progress: Callable[[Iterator[list[int]]], Iterator[list[int]]] = iter,
    ) -> np.ndarray:
        """Vectors of texts, in their order. Returns (n, d) float32 of length 1."""
        if not len(texts):
            return np.zeros((0, self.model.config.hidden_size), dtype=np.float32)
        rows = [{"input_ids": ids} for ids in self._token_ids(texts)]
        out = np.empty((len(texts), self.model.config.hidden_size), dtype=np.float32)
        for index in progress(bucketed([len(r["input_ids"]) for r in rows], token_budget)):
            inputs = self.tokenizer.pad([rows[i] for i in index], return_tensors="pt").to(self.model.device)
            pooled = mean_pool(self.model(**inputs).last_hidden_state, inputs["attention_mask"])
            out[index] = torch.nn.functional.normalize(pooled, dim=1).float().cpu().numpy()
        return out

    def _token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        return self.tokenizer(list(texts), truncation=True, max_length=self.max_length)["input_ids"]

    def save(self, folder: str | Path) -> None:
        """Write safetensors and tokenizer into a folder."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
