"""The encoder that the small peers share: the least that gives a text its vector with transformers."""

from __future__ import annotations

import torch
from transformers import AutoModel, AutoTokenizer

MAX_LENGTH = 256


class MiniLM:
    """Mean of the last layer over the tokens of a text, of length 1.

    Args:
        folder: Of the weights.
    """

    def __init__(self, folder: str):
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()

    @torch.inference_mode()
    def encode(self, texts: list[str]) -> list[list[float]]:
        """Vectors of texts, in one batch."""
        inputs = self.tokenizer(
            texts, padding=True, truncation=True, max_length=MAX_LENGTH, return_tensors="pt"
        )
        states, mask = self.model(**inputs).last_hidden_state, inputs["attention_mask"][..., None]
        return torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=1).tolist()
