"""The last layer of a BERT-like cross-encoder for the first token alone, when nobody reads the others.

The head of such a classifier looks at one token of the last layer's output. Keys and values are still needed
of all tokens, so that the first attends as before; its query, its attention output and its feed-forward are
all that is left to compute. That saves 10 of the layer's 12 d x d products a token, 14 % of a six-layer
encoder's forward pass, and changes logits by rounding only.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

CLASSIFIERS = {
    "BertForSequenceClassification": "BertLayer",
    "ElectraForSequenceClassification": "ElectraLayer",
    "RobertaForSequenceClassification": "RobertaLayer",
    "XLMRobertaForSequenceClassification": "XLMRobertaLayer",
}
"""{transformers' model whose head reads the first token: its layer}; the layers are alike in all but name."""


def read_first_token_only(model: Any) -> bool:
    """Let the last layer compute what the head reads; any other model is left as it is.

    Weights, their names and their gradients stay what they were; adapters may be put on later. In training
    mode the layer works as ever, so that dropout draws what it always drew.

    Args:
        model: A transformers model for sequence classification.

    Returns:
        Whether it is a model that this is known to be right for.
    """
    kind = type(model)
    if not kind.__module__.startswith("transformers.models.") or kind.__name__ not in CLASSIFIERS:
        return False
    last = model.base_model.encoder.layer[-1]
    if type(last).__name__ != CLASSIFIERS[kind.__name__] or model.config.is_decoder:
        return False
    last.__class__ = _for_first_token(type(last))
    return True


def _for_first_token(layer: type[nn.Module]) -> type[nn.Module]:
    def forward(self: Any, hidden: Tensor, mask: Tensor | None = None, *args, **kwargs) -> Tensor:
        # Attention that takes another form of mask has its own way with queries too.
        if self.training or not (mask is None or (isinstance(mask, Tensor) and mask.dim() == 4)):
            return layer.forward(self, hidden, mask, *args, **kwargs)
        attention, first = self.attention.self, hidden[:, :1]
        query, key, value = (
            part(given).unflatten(-1, (-1, attention.attention_head_size)).transpose(1, 2)
            for part, given in (
                (attention.query, first),
                (attention.key, hidden),
                (attention.value, hidden),
            )
        )
        mask = None if mask is None else mask[:, :, :1]
        attended = F.scaled_dot_product_attention(query, key, value, mask, scale=attention.scaling)
        return self.feed_forward_chunk(self.attention.output(attended.transpose(1, 2).flatten(2), first))

    return type(layer.__name__, (layer,), {"forward": forward, "__module__": layer.__module__})
