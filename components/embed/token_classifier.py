"""Tags by any Hugging Face token-classification checkpoint."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from assay.components.core.errors import BadInput
from assay.components.core.ranker.batches import TOKEN_BUDGET, bucketed
from assay.components.embed.labelling import Scheme, words_of
from assay.components.embed.tagger import Mentions, mentions
from transformers import AutoModelForTokenClassification, AutoTokenizer

ALIASES = {"color": "colour", "product": "type", "producttype": "type", "product_type": "type"}
_PREFIX = re.compile(r"^([BIESLU])[-_](.+)$", re.IGNORECASE)
_BEGIN, _INSIDE = "BSU", "IEL"


def kind_of(label: str) -> tuple[str, str]:
    """Part and kind of a checkpoint's label: `B-COLOR` is ("B", "colour"), `O` is ("O", "")."""
    if label.upper() in ("O", "OUTSIDE"):
        return "O", ""
    match = _PREFIX.match(label)
    part, kind = (match[1].upper(), match[2]) if match else ("", label)
    kind = kind.lower()
    return ("B" if part in _BEGIN else "I") if part else "", ALIASES.get(kind, kind)


@torch.inference_mode()
def tag_by_checkpoint(
    folder: str | Path, texts: Sequence[str], max_length: int = 128
) -> tuple[tuple[str, ...], list[Mentions]]:
    """What texts say, by a checkpoint: its own kinds, in the order of letters.

    A word has the label of its first token. Labels without B- and I- are taken for entities that go on
    for as long as the label does.

    Args:
        folder: A local checkpoint whose labels are named.
        texts: n texts.
        max_length: Tokens of a text; what is longer is cut.

    Raises:
        BadInput: The labels have no names.
    """
    tokenizer = AutoTokenizer.from_pretrained(folder)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = AutoModelForTokenClassification.from_pretrained(folder, dtype=torch.float32).eval().to(device)
    labels = [kind_of(model.config.id2label[i]) for i in range(model.config.num_labels)]
    kinds = tuple(sorted({kind for _, kind in labels if kind}))
    if not kinds or all(re.fullmatch(r"label_\d+", kind) for kind in kinds):
        raise BadInput(f"tagger {folder}: its labels have no names; give id2label in its config.json")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "right"
    scheme = Scheme(kinds)
    cut = tokenizer(list(texts), truncation=True, max_length=max_length, return_offsets_mapping=True)
    rows = [{"input_ids": ids or [tokenizer.pad_token_id]} for ids in cut["input_ids"]]
    said: list[Mentions] = [{}] * len(texts)
    for index in bucketed([len(row["input_ids"]) for row in rows], TOKEN_BUDGET):
        inputs = tokenizer.pad([rows[i] for i in index], return_tensors="pt").to(device)
        told = model(**inputs).logits.log_softmax(-1).double().cpu().numpy()
        for i, one in zip(index, told, strict=True):
            scores = _of_words(words_of(texts[i]), cut["offset_mapping"][i], one)
            said[i] = mentions(texts[i], scheme, _tags(scores, labels, scheme))
    return kinds, said


def _of_words(spans: list[tuple[int, int]], offsets: list[tuple[int, int]], told: np.ndarray) -> np.ndarray:
    """(w, labels) of each word's first token; 0 everywhere where the text was cut before it."""
    out = np.zeros((len(spans), told.shape[1]))
    for place, (start, end) in enumerate(spans):
        token = next((t for t, (a, b) in enumerate(offsets) if a < end and b > start), None)
        out[place] = 0.0 if token is None else told[token]
    return out


def _tags(scores: np.ndarray, labels: list[tuple[str, str]], scheme: Scheme) -> np.ndarray:
    plain = all(part in ("O", "") for part, _ in labels)
    if plain:
        chosen = [labels[i][1] for i in scores.argmax(1)] if len(scores) else []
        entities: list[tuple[int, int, str]] = []
        for place, kind in enumerate(chosen):
            if kind and entities and entities[-1][1:] == (place, kind):
                entities[-1] = (entities[-1][0], place + 1, kind)
            elif kind:
                entities.append((place, place + 1, kind))
        return scheme.tags(len(chosen), entities)
    out = np.full((len(scores), scheme.size), -1e9)
    for column, (part, kind) in enumerate(labels):
        tag = 0 if part == "O" else 1 + 2 * scheme.kinds.index(kind) + (part == "I")
        out[:, tag] = np.maximum(out[:, tag], scores[:, column])
    return scheme.decode(out)
