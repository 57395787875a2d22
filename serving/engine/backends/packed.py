"""BERT-like networks that compute no padding: written out for export.

Of 20 product titles padded to the longest, a third of the tokens is padding. Here the layers work on the real
tokens of all rows, one after another, (n, d); only attention sees them as padded rows, (b, t, d), and it is a
tenth of the work. The last layer of a cross-encoder is computed for the first tokens alone, see
`core/ranker/first_token.py`. Numbers are those of the network, but for rounding.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from assay.components.core.ranker.first_token import CLASSIFIERS
from torch import Tensor, nn

_MODELS = {name.replace("ForSequenceClassification", "Model"): layer for name, layer in CLASSIFIERS.items()}
_FAR = -1e4
"""Added to attention's scores of padding: exp of it is 0 in float32."""


def can_pack(model: Any) -> bool:
    """Whether this is a model of transformers that is written out here; any other is exported as it is."""
    kind = type(model)
    layer = {**CLASSIFIERS, **_MODELS}.get(kind.__name__)
    return (
        kind.__module__.startswith("transformers.models.")
        and layer is not None
        # A class made of it by `read_first_token_only` has its name too.
        and all(type(each).__name__ == layer for each in model.base_model.encoder.layer)
        and not model.config.is_decoder
        and model.config.hidden_size == model.base_model.embeddings.word_embeddings.embedding_dim
    )


class PackedLogit(nn.Module):
    """A cross-encoder: inputs by position, each (b, t) int64 -> (b, 1) logits."""

    def __init__(self, model: Any, names: tuple[str, ...]):
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *inputs: Tensor) -> Tensor:
        """Logits of a padded batch."""
        rows = _Rows(self.model, dict(zip(self.names, inputs, strict=True)))
        layers = self.model.base_model.encoder.layer
        for layer in layers[:-1]:
            rows.attend(layer)
        first = rows.first(layers[-1])[:, None]
        pooler = getattr(self.model.base_model, "pooler", None)
        return self.model.classifier(first if pooler is None else pooler(first))


class PackedMean(nn.Module):
    """An encoder with mean pooling: inputs by position, each (b, t) int64 -> (b, d) vectors.

    Args:
        model: Of transformers.
        names: Of the inputs.
        unit: Whether the vectors get length 1.
    """

    def __init__(self, model: Any, names: tuple[str, ...], unit: bool):
        super().__init__()
        self.model, self.names, self.unit = model, names, unit

    def forward(self, *inputs: Tensor) -> Tensor:
        """Vectors of a padded batch."""
        given = dict(zip(self.names, inputs, strict=True))
        rows = _Rows(self.model, given)
        for layer in self.model.encoder.layer:
            rows.attend(layer)
        summed = rows.padded(rows.hidden).sum(1)
        pooled = summed / given["attention_mask"].sum(1, keepdim=True).float().clamp(min=1e-9)
        return F.normalize(pooled, dim=1) if self.unit else pooled


class _Rows:
    """The hidden states of a batch's real tokens, (n, d), and where they stand."""

    def __init__(self, model: Any, inputs: dict[str, Tensor]):
        mask = inputs["attention_mask"]
        self._shape = mask.shape
        flat = mask.flatten()
        self._real = torch.nonzero(flat)[:, 0]
        place = torch.cumsum(flat, 0) - 1
        self._first = place.view(self._shape)[:, 0]
        # Padding is given a row of zeros, behind the last real token.
        self._place = torch.where(flat > 0, place, torch.zeros_like(place) + self._real.shape[0])
        self._far = (1.0 - mask[:, None, None].float()) * _FAR
        embedded = model.base_model.embeddings(**{k: v for k, v in inputs.items() if k != "attention_mask"})
        self.hidden = F.embedding(self._real, embedded.flatten(0, 1))

    def padded(self, packed: Tensor) -> Tensor:
        """(n, d) -> (b, t, d)."""
        longer = torch.cat([packed, packed.new_zeros(1, packed.shape[1])])
        return F.embedding(self._place, longer).view(*self._shape, -1)

    def attend(self, layer: Any) -> None:
        """One layer."""
        attended = self._attended(layer, self.padded(layer.attention.self.query(self.hidden)))
        packed = F.embedding(self._real, attended.flatten(0, 1))
        self.hidden = layer.feed_forward_chunk(layer.attention.output(packed, self.hidden))

    def first(self, layer: Any) -> Tensor:
        """The last layer, for the first token of each row: (b, d)."""
        first = F.embedding(self._first, self.hidden)
        attended = self._attended(layer, layer.attention.self.query(first)[:, None])[:, 0]
        return layer.feed_forward_chunk(layer.attention.output(attended, first))

    def _attended(self, layer: Any, query: Tensor) -> Tensor:
        attention = layer.attention.self
        key, value = (self.padded(part(self.hidden)) for part in (attention.key, attention.value))
        query, key, value = (
            each.unflatten(-1, (-1, attention.attention_head_size)).transpose(1, 2)
            for each in (query, key, value)
        )
        scores = query @ key.transpose(2, 3) * attention.scaling + self._far
        return (torch.softmax(scores, -1) @ value).transpose(1, 2).flatten(2)
