"""The ranker: a cross-encoder and a bi-encoder behind one protocol, and the text encoder beneath."""

from assay.components.core.ranker.batches import Batch, Pairs, bucketed
from assay.components.core.ranker.encoder import TextEncoder
from assay.components.core.ranker.models import BiEncoder, CrossEncoder, Ranker, new_ranker, open_ranker

__all__ = [
    "Batch",
    "BiEncoder",
    "CrossEncoder",
    "Pairs",
    "Ranker",
    "TextEncoder",
    "bucketed",
    "new_ranker",
    "open_ranker",
]
