"""Traits of rows: features in plain words for the surrogate and for people, beside those of `features`.

Other steps judge labels by `features`, which look at no label; traits may look at labels of other rows, so
they are a table of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
from assay.components.core.checkpoints import resolve
from assay.components.core.errors import BadInput
from assay.components.core.progress import say
from assay.components.core.ranker import TextEncoder
from assay.components.core.samples import hash_unit
from assay.components.embed.agreement import tag_agreement
from assay.components.embed.behaviour import behaviour
from assay.components.embed.categories import agreement, categories
from assay.components.embed.features import standardised
from assay.components.embed.tagger import KINDS, Known, Mentions, learn

FAMILIES = ("category", "tags", "behaviour")
T = TypeVar("T")


@dataclass
class Texts:
    """Texts of rows, and what is known of the items.

    Attributes:
        texts: Each once.
        left: (n,) text of each row's context.
        right: (n,) text of each row's item.
        fit: (n,) bool, training and target rows: all that may be learnt from.
        attributes: {kind: {number of an item's text: value}}.
    """

    texts: list[str]
    left: np.ndarray
    right: np.ndarray
    fit: np.ndarray
    attributes: dict[str, dict[int, str]]

    def known(self) -> dict[int, Known]:
        """{number of an item's text: {kind: value}} of the kinds that are tagged."""
        found: dict[int, Known] = {}
        for kind in KINDS:
            for i, value in self.attributes.get(kind, {}).items():
                found.setdefault(i, {})[kind] = value
        return found

    def in_draw_order(self, numbers: np.ndarray) -> list[int]:
        """Distinct numbers of texts, by a hash of the text: the same on every machine."""
        distinct = np.unique(numbers)
        place = hash_unit([self.texts[i] for i in distinct], "assay-traits")
        return distinct[np.argsort(place, kind="stable")].tolist()


@dataclass
class Said:
    """What every text says, as the pass that makes the vectors goes over it.

    Attributes:
        kinds: What is tagged.
        by: What tags: `attributes`, or the checkpoint.
        mentions: One a text.
        each: For `TextEncoder.encode`.
    """

    kinds: Sequence[str]
    by: str
    mentions: list[Mentions]
    each: Callable | None = None


def read_attributes(texts_folder: str | Path, row: dict[str, int]) -> dict[str, dict[int, str]]:
    """{kind: {number of an item's text: value}} of what `ingest` found; none where it found nothing.

    Args:
        texts_folder: What `ingest` wrote.
        row: {text: its number}.
    """
    file = Path(texts_folder) / "attributes.parquet"
    if not file.is_file():
        return {}
    table = pd.read_parquet(file)
    return {
        kind: {row[t]: v for t, v in zip(table["item"], table[kind], strict=True) if isinstance(v, str) and v}
        for kind in table.columns.drop("item")
    }


def start_tagging(about: Texts, encoder: TextEncoder, checkpoint: str) -> Said:
    """Tag by a checkpoint, or learn a tagger from what the log says of its items.

    Raises:
        ValueError: There is nothing to learn from.
    """
    if checkpoint:
        from assay.components.embed.token_classifier import tag_by_checkpoint

        kinds, found = tag_by_checkpoint(resolve(checkpoint), about.texts)
        return Said(kinds, checkpoint, found)
    known = about.known()
    titles = {about.texts[i]: known[i] for i in about.in_draw_order(about.right[about.fit]) if i in known}
    queries = [about.texts[i] for i in about.in_draw_order(about.left[about.fit])]
    tagger = learn(encoder, titles, queries)
    said: list[Mentions] = [{} for _ in about.texts]
    return Said(tagger.scheme.kinds, "attributes", said, tagger.watch(encoder, about.texts, said))


def category_traits(
    about: Texts, samples: pd.DataFrame, vectors: np.ndarray
) -> tuple[dict[str, np.ndarray], dict]:
    """Agreement and certainty of categories; labels are the log's categories, else the segments.

    Raises:
        ValueError: As `categories` does.
    """
    labels, source = about.attributes.get("category", {}), "category"
    inside = np.unique(about.right[about.fit])
    if not labels:
        rows = pd.DataFrame({"text": about.right, "segment": samples["segment"].astype(str)})[about.fit]
        labels = rows.groupby("text")["segment"].agg(lambda s: s.mode().iloc[0]).to_dict()
        source = "segment"
    told, facts = categories(about.texts, vectors, {i: labels[i] for i in inside.tolist() if i in labels})
    return agreement(told, about.left, about.right), {"from": source} | facts


def tag_traits(about: Texts, said: Said) -> tuple[dict[str, np.ndarray], dict]:
    """What query and title say of each kind, and how many of them do."""
    columns = tag_agreement(said.kinds, said.mentions, about.known(), about.left, about.right)
    share = {
        who: {
            kind: float(np.mean([kind in said.mentions[i] for i in np.unique(side)])) for kind in said.kinds
        }
        for who, side in (("queries", about.left), ("titles", about.right))
    }
    return columns, {"by": said.by, "share_that_says": share}


def behaviour_traits(
    about: Texts, samples: pd.DataFrame, vectors: np.ndarray
) -> tuple[dict[str, np.ndarray], dict]:
    """What people did with the item, by other rows."""
    columns = behaviour(samples, vectors, about.right, about.fit)
    return columns, {"features": list(columns)}


class Traits:
    """Columns by family; a family that cannot be had is left out with its reason.

    Args:
        families: Of `FAMILIES`.
        about: The texts.
        samples: n rows.

    Attributes:
        columns: {words: (n,) float64}, NaN where a row has none.
        facts: What goes into the manifest, by family.

    Raises:
        ValueError: A family is unknown.
    """

    def __init__(self, families: Sequence[str], about: Texts, samples: pd.DataFrame):
        unknown = sorted(set(families) - set(FAMILIES))
        if unknown:
            raise ValueError(f"unknown traits {', '.join(unknown)}; known: {', '.join(FAMILIES)}")
        self.families, self.about, self.samples = families, about, samples
        self.columns: dict[str, np.ndarray] = {}
        self.facts: dict[str, dict] = {}
        self._said: Said | None = None

    def start(self, encoder: TextEncoder, checkpoint: str) -> Callable | None:
        """Learn or open the tagger; returns what the pass over the texts has to call, if anything.

        Args:
            encoder: Gives the token vectors.
            checkpoint: Of a token classifier; "" learns one from the items' attributes.
        """
        if "tags" in self.families:
            self._said = self._tried("tags", lambda: start_tagging(self.about, encoder, checkpoint))
        return self._said.each if self._said is not None else None

    def finish(self, vectors: np.ndarray) -> tuple[np.ndarray, list[str]]:
        """The table, once the vectors (texts, d) are there: (n, m) float32 and m words.

        Standardised over the rows that may be learnt from; what is constant there is left out, and a missing
        value is the mean.
        """
        about, samples = self.about, self.samples
        makers = {
            "category": lambda: category_traits(about, samples, vectors),
            "tags": lambda: tag_traits(about, self._said) if self._said is not None else None,
            "behaviour": lambda: behaviour_traits(about, samples, vectors),
        }
        for family in (f for f in FAMILIES if f in self.families):
            made = self._tried(family, makers[family])
            if made is not None:
                columns, self.facts[family] = made
                self.columns |= columns
        kept, words = [], []
        for name, column in self.columns.items():
            there = np.isfinite(column)
            inside = column[about.fit & there]
            if len(inside) and np.ptp(inside) > 0:
                kept.append(np.where(there, column, inside.mean()))
                words.append(name)
        if not words:
            return np.zeros((len(samples), 0), dtype=np.float32), []
        return standardised(np.column_stack(kept), about.fit), words

    def _tried(self, family: str, make: Callable[[], T]) -> T | None:
        try:
            return make()
        except BadInput:
            raise
        except ValueError as reason:
            say("embed", f"no traits by {family}: {reason}")
            self.facts[family] = {"left_out": str(reason)}
            return None
