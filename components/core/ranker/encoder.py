"""The text encoder: one vector a text, by pooling the token vectors of any encoder or decoder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from assay.components.core.errors import BadInput
from assay.components.core.ranker.batches import TOKEN_BUDGET, bucketed
from torch import Tensor
from transformers import AutoModel, AutoTokenizer
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
)

_POOLING = Path("1_Pooling") / "config.json"


def mean_pool(hidden: Tensor, mask: Tensor) -> Tensor:
    """Mean of token vectors where the mask is 1. (b, t, d), (b, t) -> (b, d)."""
    kept = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * kept).sum(1) / kept.sum(1).clamp(min=1e-9)


def last_pool(hidden: Tensor, mask: Tensor) -> Tensor:
    """Vector of the last token where the mask is 1, wherever padding stands. (b, t, d), (b, t) -> (b, d)."""
    last = mask.shape[1] - 1 - mask.flip(1).argmax(1)
    return hidden[torch.arange(len(hidden), device=hidden.device), last]


POOLINGS = {"mean": mean_pool, "last": last_pool}
"""How token vectors become one: in a decoder the last token alone has seen the whole text."""


def pooling_of(folder: str | Path, config: Any) -> str:
    """Pooling of a checkpoint: what it says itself, else `last` for a decoder and `mean` for an encoder.

    Args:
        folder: May hold `1_Pooling/config.json`, as sentence-transformers writes it.
        config: Of the model.
    """
    file = Path(folder) / _POOLING
    said = json.loads(file.read_text()) if file.is_file() else {}
    # Older files have a flag a mode.
    mode = said.get("pooling_mode") or next(
        (key.removeprefix("pooling_mode_") for key, value in said.items() if value is True), ""
    )
    if mode in ("mean", "mean_tokens"):
        return "mean"
    # Models that can be trained both ways (BERT) are encoders unless they say otherwise.
    kind = config.model_type
    causal = kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and kind not in MODEL_FOR_MASKED_LM_MAPPING_NAMES
    return "last" if mode == "lasttoken" or causal or getattr(config, "is_decoder", False) else "mean"


def write_modules(folder: Path, width: int, pooling: str, normalised: bool) -> None:
    """Tell sentence-transformers how the vectors of a checkpoint are pooled."""
    names = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{name}"}
        for i, (path, name) in enumerate(names[: 3 if normalised else 2])
    ]
    flag = {"mean": "pooling_mode_mean_tokens", "last": "pooling_mode_lasttoken"}[pooling]
    about = {"word_embedding_dimension": width, "pooling_mode_mean_tokens": False, flag: True}
    (folder / _POOLING).parent.mkdir(exist_ok=True)
    (folder / _POOLING).write_text(json.dumps(about) + "\n")
    (folder / "modules.json").write_text(json.dumps(modules) + "\n")


class TextEncoder:
    """A pretrained encoder or decoder as it came: pooled, unit-length vectors.

    Args:
        folder: A local checkpoint.
        max_length: Tokens of a text; what is longer is cut.
        pooling: `mean` or `last`; "" is what `pooling_of` says.

    Raises:
        BadInput: There is no such pooling, or the checkpoint has an encoder and a decoder.
    """

    def __init__(self, folder: str | Path, max_length: int = 128, pooling: str = ""):
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        # A decoder counts positions from the left, so padding there would change the vectors.
        self.tokenizer.padding_side = "right"
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval().to(device)
        if hasattr(self.model, "encoder") and hasattr(self.model, "decoder"):
            raise BadInput(f"{folder}: has an encoder and a decoder; give a checkpoint of one of them")
        self.max_length = max_length
        self.pooling = pooling or pooling_of(folder, self.model.config)
        if self.pooling not in POOLINGS:
            raise BadInput(f"pooling {self.pooling!r}: choose {' or '.join(POOLINGS)}")

    @property
    def width(self) -> int:
        """Dimensions of a vector."""
        return int(self.model.config.hidden_size)

    @torch.inference_mode()
    def encode(
        self,
        texts: Sequence[str],
        token_budget: int = TOKEN_BUDGET,
        progress: Callable[[Iterator[list[int]]], Iterator[list[int]]] = iter,
        each: Callable[[list[int], np.ndarray], None] | None = None,
    ) -> np.ndarray:
        """Vectors of texts, in their order.

        Args:
            texts: n texts.
            token_budget: Tokens a batch.
            progress: Shows how many batches are done.
            each: Is given the numbers of each batch's texts and their token vectors, (b, t, d) float32 with
                those of the padding at the end, so that who needs them needs no pass of its own.

        Returns:
            (n, d) float32 of length 1.
        """
        if not len(texts):
            return np.zeros((0, self.width), dtype=np.float32)
        rows = [{"input_ids": ids} for ids in self._token_ids(texts)]
        out = np.empty((len(texts), self.width), dtype=np.float32)
        for index in progress(bucketed([len(r["input_ids"]) for r in rows], token_budget)):
            inputs = self.tokenizer.pad([rows[i] for i in index], return_tensors="pt").to(self.model.device)
            hidden = self.model(**inputs).last_hidden_state
            pooled = POOLINGS[self.pooling](hidden, inputs["attention_mask"])
            out[index] = torch.nn.functional.normalize(pooled, dim=1).float().cpu().numpy()
            if each is not None:
                each(index, hidden.float().cpu().numpy())
        return out

    def offsets(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """Where each token of each text stands in it: (start, end) characters, (0, 0) of marks like [CLS]."""
        cut = {"truncation": True, "max_length": self.max_length}
        return self.tokenizer(list(texts), return_offsets_mapping=True, **cut)["offset_mapping"]

    def _token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        found = self.tokenizer(list(texts), truncation=True, max_length=self.max_length)["input_ids"]
        # Decoders' tokenizers put no marks around a text: an empty one would have no token at all.
        return [ids or [self.tokenizer.pad_token_id] for ids in found]

    def save(self, folder: str | Path) -> None:
        """Write safetensors, tokenizer and pooling into a folder; sentence-transformers opens it too."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        write_modules(Path(folder), self.width, self.pooling, normalised=True)
        about = {"max_seq_length": self.max_length, "do_lower_case": False}
        (Path(folder) / "sentence_bert_config.json").write_text(json.dumps(about) + "\n")
