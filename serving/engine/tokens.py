"""Token ids of texts, as the core gives them, by the `tokenizers` library alone.

The core tokenises through transformers, whose import takes seconds and brings torch along; a worker that runs
ONNX networks needs neither. A part of a bundle says all that is needed in its own files.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from assay.components.core.checkpoints import DESCRIPTION
from assay.components.core.errors import BadInput

_WITH_TYPE_IDS = ("Bert", "Deberta", "DebertaV2", "Electra", "FNet")
"""Tokenizer classes of transformers that give type ids where the checkpoint does not say what it wants."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """One row of a network's input.

    Attributes:
        ids: Token ids, marks such as [CLS] included; empty only for an empty text without marks.
        type_ids: As many: 0 for the first text of a pair, 1 for the second.
        truncated: Whether the text, or one of the pair, was cut.
    """

    ids: list[int]
    type_ids: list[int]
    truncated: bool


class Tokenizer:
    """The tokenizer of a ranker or of an encoder; calls from several threads do not disturb each other.

    A text is tokenised without marks, cut here, and put between the marks: the library's own cutting makes an
    object for each two pieces of a pair that are cut off, and 20 pairs of 10,000 characters cost it 2.3 CPU
    seconds, against 0.05 this way.

    Args:
        part: Folder that `Ranker.save` or `TextEncoder.save` wrote.

    Attributes:
        max_length: Tokens of a row; what is longer is cut, the longer text of a pair first.
        names: Inputs that the network takes, in order.

    Raises:
        BadInput: A file of the tokenizer is missing or cannot be read, there is no token to pad with, or
            `max_length` leaves no room for text.
    """

    def __init__(self, part: str | Path):
        import tokenizers

        part = Path(part)
        try:
            about = json.loads((part / "tokenizer_config.json").read_text(encoding="utf-8"))
            ranker = (part / DESCRIPTION).is_file()
            said = part / (DESCRIPTION if ranker else "sentence_bert_config.json")
            self.max_length = int(json.loads(said.read_text())["max_length" if ranker else "max_seq_length"])
            self._inner = tokenizers.Tokenizer.from_file(str(part / "tokenizer.json"))
        except Exception as error:  # The library raises bare exceptions.
            raise BadInput(f"{part}: its tokenizer cannot be read: {error!r}") from error
        self._inner.no_padding()
        self._inner.no_truncation()
        self._inner.encode_special_tokens = bool(about.get("split_special_tokens", False))
        pad = _content(about.get("pad_token")) or _content(about.get("eos_token"))
        pad_id = None if pad is None else self._inner.token_to_id(pad)
        if pad_id is None:
            raise BadInput(
                f"{part}: its tokenizer has neither a padding nor an end token, so no batch is made"
            )
        self.pad_id = int(pad_id)
        self._pad_type_id = int(about.get("pad_token_type_id", 0))
        if ranker:
            self.names = tuple(about.get("model_input_names") or _names(about.get("tokenizer_class") or ""))
            self._left = about.get("padding_side", "right") == "left"
            self._empty: list[int] = []
        else:
            # As `TextEncoder` has it: an encoder is given ids alone, and an empty text is one pad token.
            self.names, self._left, self._empty = ("input_ids", "attention_mask"), False, [self.pad_id]
        self._keeps_end = about.get("truncation_side", "right") == "left"
        self._one = _layout(self._inner.encode("a"))
        self._two = _layout(self._inner.encode("a", "a"))
        if self.max_length <= len(self._two):
            raise BadInput(f"{part}: {self.max_length} tokens a row leave no room for text")

    def texts(self, texts: Sequence[str]) -> list[Tokens]:
        """Tokens of texts, each alone, in their order."""
        ids = self._ids(texts)
        return [self._row(self._one, (ids[text],)) for text in texts]

    def pairs(self, contexts: Sequence[str], items: Sequence[str]) -> list[Tokens]:
        """Tokens of contexts and items joined by the tokenizer's marks, in their order.

        Raises:
            ValueError: There are not as many items as contexts.
        """
        ids = self._ids([*contexts, *items])
        return [
            self._row(self._two, (ids[context], ids[item]))
            for context, item in zip(contexts, items, strict=True)
        ]

    def pad(self, rows: Sequence[Tokens]) -> dict[str, np.ndarray]:
        """Rows filled up to the longest: a network's inputs by name, each (b, t) int64.

        Args:
            rows: b >= 1 rows.
        """
        width = max(1, max(len(row.ids) for row in rows))
        arrays = {
            "input_ids": np.full((len(rows), width), self.pad_id, dtype=np.int64),
            "attention_mask": np.zeros((len(rows), width), dtype=np.int64),
            "token_type_ids": np.full((len(rows), width), self._pad_type_id, dtype=np.int64),
        }
        for number, row in enumerate(rows):
            n = len(row.ids)
            place = slice(width - n, width) if self._left else slice(0, n)
            arrays["input_ids"][number, place] = row.ids
            arrays["attention_mask"][number, place] = 1
            arrays["token_type_ids"][number, place] = row.type_ids
        return {name: arrays[name] for name in self.names}

    def _ids(self, texts: Sequence[str]) -> dict[str, list[int]]:
        # A request's query stands in all its pairs.
        distinct = list(dict.fromkeys(texts))
        found = self._inner.encode_batch_fast(distinct, add_special_tokens=False)
        return {text: row.ids for text, row in zip(distinct, found, strict=True)}

    def _row(self, layout: list[_Piece], texts: tuple[list[int], ...]) -> Tokens:
        room = self.max_length - (len(layout) - len(texts))
        lengths = _longest_first([len(text) for text in texts], room)
        ids: list[int] = []
        type_ids: list[int] = []
        for piece in layout:
            if piece.text is None:
                ids.append(piece.mark)
                type_ids.append(piece.type_id)
            else:
                text, kept = texts[piece.text], lengths[piece.text]
                ids += text[len(text) - kept :] if self._keeps_end else text[:kept]
                type_ids += [piece.type_id] * kept
        if not ids:
            ids, type_ids = self._empty, [0] * len(self._empty)
        return Tokens(ids, type_ids, sum(lengths) < sum(map(len, texts)))


@dataclass(frozen=True, slots=True)
class _Piece:
    """A mark, or the place of a text."""

    text: int | None
    mark: int
    type_id: int


def _layout(encoding: Any) -> list[_Piece]:
    """What a tokenizer puts around texts, learnt from one of "a" or of "a" and "a"."""
    found: list[_Piece] = []
    for text, mark, type_id in zip(encoding.sequence_ids, encoding.ids, encoding.type_ids, strict=True):
        if text is None or not found or found[-1].text != text:
            found.append(_Piece(text, mark, type_id))
    return found


def _longest_first(lengths: list[int], room: int) -> list[int]:
    """How much of each text is kept: the shorter whole where it fits, else both to the same length."""
    if len(lengths) == 1:
        return [min(lengths[0], room)]
    if sum(lengths) <= room:
        return lengths
    short = min(lengths)
    short = short if 2 * short <= room else room // 2
    kept = [short, room - short]
    return kept if lengths[0] <= lengths[1] else kept[::-1]


def _content(token: Any) -> str | None:
    # Older files have a token's properties where newer ones have its text.
    return token["content"] if isinstance(token, dict) else token


def _names(tokenizer_class: str) -> tuple[str, ...]:
    kind = tokenizer_class.removesuffix("Fast").removesuffix("Tokenizer")
    with_types = kind in _WITH_TYPE_IDS
    return (
        ("input_ids", "token_type_ids", "attention_mask") if with_types else ("input_ids", "attention_mask")
    )
