"""What scores are computed from: rows, features, the target, and two warm-up rankers that cross-score."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import pandas as pd
from assay.components.core.manifest import read_manifest
from assay.components.core.progress import steps
from assay.components.core.ranker import Pairs, Ranker, open_ranker
from assay.components.core.samples import hash_unit, read_samples, relevance
from assay.components.score.grades import Grades, grades_of

TUNED = "target"
"""Among the warm-ups, the one that was trained on the target instead of on a share of the rows."""


@dataclass
class WarmUp:
    """A ranker that was trained on a random share of the rows.

    Attributes:
        name: `a`, `b`, or `target`.
        seen: sample_id of the rows it trained on.
        open: Opens the ranker, its adapter merged.
        open_adapter: Opens it with its adapter apart, if it was trained with one.
    """

    name: str
    seen: frozenset[str]
    open: Callable[[], Ranker]
    open_adapter: Callable[[], Ranker] | None = None


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
        samples: (n,) training rows.
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
        names = np.full(len(self.samples), "", dtype=object)
        ids = self.samples["sample_id"].to_numpy()
        for warm_up in reversed(self.warm_ups):
            names[~np.isin(ids, list(warm_up.seen))] = warm_up.name
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
                rows, target = rows_of(ranker, self.samples.iloc[index]), rows_of(ranker, self.target)
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
        return replace(self, samples=samples, features=self.features[rows], traits=traits, kept={})

    def random(self) -> np.ndarray:
        """(n,) uniform draws, a function of each row's id and the seed."""
        return hash_unit(self.samples["sample_id"].tolist(), f"assay-random-{self.seed}")


def rows_of(ranker: Ranker, frame: pd.DataFrame) -> Pairs:
    """Rows tokenised for a ranker, with their labels."""
    return ranker.tokenise(frame["context"].tolist(), frame["item"].tolist(), frame["label"].to_numpy())


def adapter_of(folder: Path) -> Callable[[], Ranker] | None:
    """Opens the ranker of a model folder with its adapter apart; None where it was trained without one."""
    adapter = folder / "adapter"
    return partial(open_ranker, folder / "ranker", adapter) if adapter.is_dir() else None


def read_inputs(
    samples_folder: str, vectors_folder: str, warm_up_folders: dict[str, str], relevant_at: float, seed: int
) -> Inputs:
    """Inputs from what `ingest`, `embed` and the warm-ups wrote.

    Raises:
        ValueError: The vectors are of other samples.
    """
    samples = read_samples(samples_folder)
    ids = pd.read_parquet(Path(vectors_folder) / "sample_ids.parquet")["sample_id"]
    if not ids.equals(samples["sample_id"].astype(ids.dtype)):
        raise ValueError(
            f"{vectors_folder} holds vectors of other samples than {samples_folder}: embed again"
        )
    features = np.load(Path(vectors_folder) / "features.npy", mmap_mode="r")
    about = read_manifest(vectors_folder)
    train, target = (np.flatnonzero((samples["split"] == s).to_numpy()) for s in ("train", "target"))
    rankers = {
        name: WarmUp(
            name,
            frozenset(pd.read_parquet(Path(folder) / "rows.parquet")["sample_id"]),
            partial(open_ranker, Path(folder) / "ranker"),
            adapter_of(Path(folder)),
        )
        for name, folder in warm_up_folders.items()
    }
    tuned = rankers.pop(TUNED, None)
    return Inputs(
        samples.iloc[train].reset_index(drop=True),
        samples.iloc[target].reset_index(drop=True),
        np.asarray(features[train]),
        np.asarray(features[target]),
        list(rankers.values()),
        relevant_at,
        seed,
        tuned,
        about["feature_words"],
        np.load(Path(vectors_folder) / "traits.npy")[train],
        about["trait_words"],
    )
