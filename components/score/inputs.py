"""What scores are computed from: rows, features, the target, and two warm-up rankers that cross-score."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from assay.components.core.progress import steps
from assay.components.core.samples import hash_unit, relevance
from assay.components.score.grades import Grades, grades_of

if TYPE_CHECKING:
    from assay.components.core.ranker import Pairs, Ranker

DRAWN = 512
"""Training rows a warm-up ranker that its methods may look at beside those to be scored."""


@dataclass
class WarmUp:
    """A ranker that was trained on a random share of the rows.

    Attributes:
        name: `a`, `b`, or `target`.
        seen: sample_id of the rows it trained on.
        open: Opens the ranker, its adapter merged.
        open_adapter: Opens it with its adapter apart, if it was trained with one.
        digest: Says a hash of its weights, for a store.
    """

    name: str
    seen: frozenset[str]
    open: Callable[[], Ranker]
    open_adapter: Callable[[], Ranker] | None = None
    digest: Callable[[], str] | None = None


@dataclass
class Part:
    """The rows that one warm-up scores, tokenised for it.

    Attributes:
        warm_up: Which.
        ranker: It, open.
        index: (m,) numbers of the rows.
        rows: They themselves.
        target: All rows of the target.
    """

    warm_up: WarmUp
    ranker: Ranker
    index: np.ndarray
    rows: Pairs
    target: Pairs

    @cached_property
    def logits(self) -> np.ndarray:
        """(m,) float64: the rows' logits, by a ranker that did not train on them."""
        shown = lambda batches: steps(batches, f"score, warm-up {self.warm_up.name}", "batch")  # noqa: E731
        return self.ranker.score(self.rows, progress=shown).astype(np.float64)


@dataclass
class Inputs:
    """All that a score may look at. Rows are in `sample_id` order.

    Attributes:
        samples: (n,) rows to score; where they are but some of a table, with a column `block`, the number of
            each row's block in it, so that batches are the same as if all were scored together.
        target: (t,) trusted rows.
        features: (n, k) float32.
        target_features: (t, k) float32.
        warm_ups: Rankers, of which one scores each row it did not see.
        relevant_at: Grade from which a row is relevant.
        seed: Of random draws.
        tuned: Ranker that was trained on the target, for `learnability` alone.
        words: k names of the features, in words; columns of one name count as one.
        traits: (n, m) float32, what the surrogate is told beside the features.
        trait_words: m names of them.
        facts: What methods have to say about themselves; goes into the manifest.
        kept: What several methods share, by name.
        draw: Name of a warm-up -> its DRAWN training rows, where `samples` are not all the training rows.
        reference: What `draw` gave, by name.
        ways: (method, warm-up, group of the target) -> how a derivative was measured, or is to be.
    """

    samples: pd.DataFrame
    target: pd.DataFrame
    features: np.ndarray
    target_features: np.ndarray
    warm_ups: list[WarmUp]
    relevant_at: float
    seed: int
    tuned: WarmUp | None = None
    words: list[str] = field(default_factory=list)
    traits: np.ndarray | None = None
    trait_words: list[str] = field(default_factory=list)
    facts: dict = field(default_factory=dict)
    kept: dict = field(default_factory=dict)
    draw: Callable[[str], pd.DataFrame] | None = None
    reference: dict[str, pd.DataFrame] = field(default_factory=dict)
    ways: dict[tuple[str, str, str], dict] = field(default_factory=dict)

    @cached_property
    def labels(self) -> np.ndarray:
        """(n,) float64 in [0, 1], as given, wrong ones included."""
        return self.samples["label"].to_numpy(dtype=np.float64)

    @cached_property
    def relevant(self) -> np.ndarray:
        """(n,) bool: whether a row, as labelled, is relevant."""
        return relevance(self.samples) >= self.relevant_at

    @cached_property
    def target_relevant(self) -> np.ndarray:
        """(t,) bool."""
        return relevance(self.target) >= self.relevant_at

    @property
    def grades(self) -> Grades:
        """Labels of rows and target as classes."""
        if "grades" not in self.kept:
            given = (frame["label"].to_numpy(dtype=np.float64) for frame in (self.samples, self.target))
            values = (relevance(self.samples), relevance(self.target))
            self.kept["grades"] = grades_of(*values, *given, self.relevant_at)
        return self.kept["grades"]

    @cached_property
    def scorer(self) -> np.ndarray:
        """(n,) which warm-up scores each row: the first that did not train on it.

        Raises:
            ValueError: A row was seen by all of them.
        """
        names = scorers(self.samples["sample_id"].to_numpy(), self.warm_ups)
        if (names == "").any():
            raise ValueError(
                f"{int((names == '').sum())} rows were seen by every warm-up ranker: shares must be disjoint"
            )
        return names

    def scored_by(self, warm_up: WarmUp) -> np.ndarray:
        """Numbers of the rows that a warm-up scores."""
        return np.flatnonzero(self.scorer == warm_up.name)

    @cached_property
    def parts(self) -> list[Part]:
        """The rows by the warm-up that scores them; those that score none are left out."""
        found = []
        for warm_up in self.warm_ups:
            index = self.scored_by(warm_up)
            if len(index):
                ranker = warm_up.open()
                rows = rows_of(ranker, self.samples.iloc[index])
                # A tokenizer refuses an empty list; not every method needs a target.
                target = rows_of(ranker, self.target) if len(self.target) else rows.subset([])
                found.append(Part(warm_up, ranker, index, rows, target))
        return found

    @cached_property
    def logits(self) -> np.ndarray:
        """(n,) float64: each row's logit under a ranker that did not train on it."""
        return self.by_part(lambda part: part.logits)

    def by_part(self, compute: Callable[[Part], np.ndarray]) -> np.ndarray:
        """(n,) float64 put together from each part's (m,)."""
        out = np.zeros(len(self.samples))
        for part in self.parts:
            out[part.index] = compute(part)
        return out

    def only(self, rows: np.ndarray) -> Inputs:
        """The same with some of the rows, by their numbers; methods report to the same facts."""
        samples = self.samples.iloc[rows].reset_index(drop=True)
        traits = None if self.traits is None else self.traits[rows]
        draw = self.draw or partial(drawn_from, self.samples, self.warm_ups, self.seed)
        return replace(self, samples=samples, features=self.features[rows], traits=traits, kept={}, draw=draw)

    def drawn(self, part: Part, count: int) -> Pairs:
        """At most DRAWN training rows that a warm-up scores, tokenised: those of the smallest hashes.

        The same rows whichever of the table are scored, so that what is fitted or checked on them is too.
        """
        name = part.warm_up.name
        if name not in self.reference:
            draw = self.draw or partial(drawn_from, self.samples, self.warm_ups, self.seed)
            self.reference[name] = draw(name)
        return rows_of(part.ranker, self.reference[name].head(count).sort_values("sample_id"))

    def random(self) -> np.ndarray:
        """(n,) uniform draws, a function of each row's id and the seed."""
        return hash_unit(self.samples["sample_id"].tolist(), f"assay-random-{self.seed}")


def scorers(ids: np.ndarray, warm_ups: list[WarmUp]) -> np.ndarray:
    """(n,) name of the first warm-up that did not train on each row; "" where all of them did.

    Raises:
        ValueError: There is no warm-up.
    """
    if not warm_ups:
        raise ValueError("no warm-up ranker was given: train one on a share of the rows, or two")
    names = np.full(len(ids), "", dtype=object)
    for warm_up in reversed(warm_ups):
        names[~np.isin(ids, list(warm_up.seen))] = warm_up.name
    return names


def drawn_from(samples: pd.DataFrame, warm_ups: list[WarmUp], seed: int, name: str) -> pd.DataFrame:
    """Of the rows that a warm-up scores, the DRAWN with the smallest hashes, in the order of these.

    Args:
        samples: (n,) all training rows.
        warm_ups: All of them.
        seed: Of the hash.
        name: Of the warm-up.

    Returns:
        Columns sample_id and, where `samples` has them, context, item, label.
    """
    ids = samples["sample_id"].to_numpy()
    mine = np.flatnonzero(scorers(ids, warm_ups) == name)
    order = np.argsort(hash_unit(ids[mine].tolist(), f"assay-drawn-{seed}"), kind="stable")
    columns = [c for c in ("sample_id", "context", "item", "label") if c in samples]
    return samples.iloc[mine[order[:DRAWN]]][columns].reset_index(drop=True)


def rows_of(ranker: Ranker, frame: pd.DataFrame) -> Pairs:
    """Rows tokenised for a ranker, with their labels, and their blocks where they have any."""
    blocks = frame["block"].to_numpy() if "block" in frame else None
    columns = (frame[c].tolist() for c in ("context", "item"))
    return ranker.tokenise(*columns, frame["label"].to_numpy(), blocks=blocks)
