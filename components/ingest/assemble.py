"""Rows of any task -> samples, part by part: split, merged, checked; nothing holds a whole log in memory."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
from assay.components.core.errors import BadInput
from assay.components.core.metrics import METRICS
from assay.components.core.progress import steps
from assay.components.core.samples import SCHEMA, SPLITS, relevance, text_id
from assay.components.ingest.attributes import attributes_of, attributes_of_all
from assay.components.ingest.building import Built
from assay.components.ingest.clicks.bias import Decision, decide, taken
from assay.components.ingest.folding import fold_texts
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.noise import plant_noise, rows_to_flip
from assay.components.ingest.parts.scattered import SLOTS, Scattered, slots_in_order, slots_of
from assay.components.ingest.search import relied_on, samples_from_impressions, samples_from_judgments
from assay.components.ingest.split import OUT, Groups, alike, apart, check_leaks, groups_of, split_and_sample

_OF_GROUPS = ("group_id", "unit", "split", "click")


@dataclass(frozen=True)
class Rules:
    """What samples are made by, beside the rows.

    Attributes:
        task: Its name.
        source: Name of the log, where rows do not say.
        sample: Rows at most of train, validation and target; 0 is all.
        test_sample: Rows at most of test; 0 is all.
        noise: Share of training labels to flip.
        seed: Of the noise.
        relevant_at: As the user named it, for messages.
    """

    task: str
    source: str
    sample: int
    test_sample: int
    noise: float
    seed: int
    relevant_at: float


@dataclass
class _Totals:
    """What parts add up to.

    Attributes:
        labels: (lowest, highest).
        relevant: {split: [rows that are, all rows]} of train and test.
        lists: Test lists: all, of two rows or more, and of those with a relevant row.
        shown: {times a pair was shown: pairs}.
        samples: {split: samples}.
        groups: {split: groups}.
        tested: First moment of the test split, where a clock is kept for all.
        trained: Last moment of the others.
    """

    labels: tuple[float, float] = (math.inf, -math.inf)
    relevant: dict[str, list[int]] = field(default_factory=lambda: {"train": [0, 0], "test": [0, 0]})
    lists: list[int] = field(default_factory=lambda: [0, 0, 0])
    shown: Counter[float] = field(default_factory=Counter)
    samples: Counter[str] = field(default_factory=Counter)
    groups: Counter[str] = field(default_factory=Counter)
    tested: int = np.iinfo(np.int64).max
    trained: int = np.iinfo(np.int64).min

    def clock(self, rows: pd.DataFrame) -> None:
        """See when the last row to train on, and the first one to test on, happened."""
        tested = (rows["split"] == "test").to_numpy()
        self.tested = min([self.tested, *rows["happened"][tested].tolist()])
        self.trained = max([self.trained, *rows["happened"][~tested].tolist()])

    def count(self, samples: pd.DataFrame) -> None:
        """Count how often a part's pairs were shown."""
        if "shown" in samples:
            times, pairs = np.unique(samples["shown"].to_numpy(np.float64), return_counts=True)
            self.shown.update(dict(zip(times.tolist(), pairs.tolist(), strict=True)))

    def mean_root(self) -> float:
        """Of how often pairs were shown, to two digits; the same whatever parts they came in.

        A log that grows a little leaves all other weights as they were, and the scores that were kept.
        """
        pairs = sum(self.shown.values())
        mean = math.fsum(math.sqrt(times) * n for times, n in sorted(self.shown.items())) / max(pairs, 1)
        return float(f"{mean:.1e}")

    def add(self, samples: pd.DataFrame, relevant_at: float) -> None:
        """Count a part's samples, whose labels stand."""
        label = samples["label"]
        self.labels = (min(self.labels[0], label.min()), max(self.labels[1], label.max()))
        relevant = relevance(samples) >= relevant_at
        for split, counts in self.relevant.items():
            inside = (samples["split"] == split).to_numpy()
            counts[0] += int(relevant[inside].sum())
            counts[1] += int(inside.sum())
        tested = samples.assign(relevant=relevant)[(samples["split"] == "test").to_numpy()]
        lists = tested.groupby("group_id")["relevant"].agg(["size", "any"])
        several = lists["size"] > 1
        for place, among in enumerate((several | True, several, several & lists["any"])):
            self.lists[place] += int(among.sum())
        self.samples.update(samples["split"].value_counts().to_dict())
        self.groups.update(samples.groupby("split")["group_id"].nunique().to_dict())


class Assembly:
    """The rows of a log, as builders give them, on their way to samples."""

    def __init__(self, rules: Rules, ledger: Ledger, folder: Path) -> None:
        """Rows are kept under `folder` once they are many."""
        self._rules, self._ledger, self._folder = rules, ledger, folder
        self._rows = Scattered(folder / "rows")

    def add(self, rows: pd.DataFrame) -> None:
        """Take rows, as `Built.rows` has them; their groups may be in what was added before, or will be."""
        rows = fold_texts(rows, self._ledger)
        if len(rows):
            self._rows.add(rows, slots_of(rows["unit"] if "unit" in rows else _words(rows["group_id"])))

    def finish(self, built: Built, near: str = "") -> Assembled:
        """Split, merge and check what was added.

        Args:
            built: What is known of all rows; its own are not looked at.
            near: Of groups whose texts are all but the same: `together`, they lie in one split; `noted`, it
                is said where they do not; "", nothing is done.

        Raises:
            BadInput: There are no rows, a split is left empty, something leaks, nothing can be learnt, or
                too few lists can be tested.
        """
        if not len(self._rows):
            raise BadInput("no row has item text; name its columns with --columns item=A or item=A+B")
        parts = self._rows.parts()
        sampled = bool(self._rules.sample or self._rules.test_sample)
        found = [
            groups_of(self._read(part, near, _OF_GROUPS), built.keep_unclicked, sampled)[0] for part in parts
        ]
        outcome = split_and_sample(
            Groups.together(found), self._ledger, self._rules.sample, self._rules.test_sample
        )
        ends = np.cumsum([len(groups.unit) for groups in found])
        totals, attributes, training = _Totals(), [], []
        # Cleaning counted them by their ids, where there are any.
        conflicts = "conflicting_grades" not in self._ledger.noted
        samples = Scattered(self._folder / "samples", _TYPES)
        texts = Scattered(self._folder / "texts")
        work = zip(parts, ends.tolist(), found, strict=True)
        for part, end, groups in steps(work, "ingest", "part merged", len(parts)):
            rows = self._split(self._read(part, near), outcome[end - len(groups.unit) : end], built, near)
            if not len(rows):
                continue
            if built.clock == "all":
                totals.clock(rows)
            merged = self._merged(rows, built, conflicts)
            totals.count(merged)
            if built.bias is None:
                totals.add(merged, built.relevant_at)
            attributes.append(attributes_of(rows))
            if self._rules.noise:
                training.append(merged.loc[merged["split"] == "train", "sample_id"])
            samples.add(merged, slots_in_order(merged["sample_id"]))
            _keep_texts(texts, pd.concat([merged["context"], merged["item"]]))
        decision = None
        if built.bias is not None:
            # Held in memory whole, as the rows were that tell of positions.
            every = weighed(samples.read(range(SLOTS)), totals.mean_root())
            decision = decide(every, built.bias, self._ledger)
            totals.add(taken(every, decision), built.relevant_at)
        metric = built.metric or ("ndcg@10" if totals.lists[1] > 0.5 * totals.lists[0] else "auc")
        _check(totals, built, self._rules.relevant_at, metric)
        if built.ranking is not None:
            _keep_texts(texts, built.ranking.catalogue["item"])
        ids = pd.concat(training).tolist() if training else []
        return Assembled(
            metric, totals, attributes_of_all(attributes), built, self._rules,
            rows_to_flip(ids, self._rules.noise, self._rules.seed), decision, samples, texts,
        )  # fmt: skip

    def _read(self, part: range, near: str, columns: Sequence[str] = ()) -> pd.DataFrame:
        rows = self._rows.read(part, columns)
        return rows.assign(unit=apart(rows["group_id"])) if near == "together" else rows

    def _split(self, rows: pd.DataFrame, outcome: np.ndarray, built: Built, near: str) -> pd.DataFrame:
        """Rows that are not left out, each with its split; nothing leaks.

        Args:
            rows: Of a part.
            outcome: (g,) what `split_and_sample` said of its groups, in the order they come in.
            built: As `finish` has it.
            near: As `finish` has it.
        """
        split = outcome[pd.factorize(rows["group_id"])[0]]
        rows = rows[split != OUT].assign(split=np.asarray(SPLITS, dtype=object)[split[split != OUT]])
        if built.keep_unclicked < 1:
            # What is kept stands for what is not.
            one_of = (rows["click"] == 0) & (rows["split"] == "train")
            rows["weight"] = np.where(one_of, 1 / built.keep_unclicked, 1.0)
        if near == "noted":
            torn = rows.groupby(apart(rows["group_id"]))["split"].transform("nunique") > 1
            examples = rows.loc[torn, "group_id"].unique()[:20]
            self._ledger.note("near_duplicate_across_splits", int(torn.sum()), examples)
        check_leaks(rows, built.clock)
        return rows.reset_index(drop=True)

    def _merged(self, rows: pd.DataFrame, built: Built, conflicts: bool) -> pd.DataFrame:
        source, task = self._rules.source, self._rules.task
        if built.label_source == "click":
            return samples_from_impressions(rows, source, self._ledger, task, built.bias)
        return samples_from_judgments(rows, source, built.max_grade, self._ledger, task, conflicts)


@dataclass(frozen=True)
class Assembled:
    """Samples and their texts, still in parts.

    Attributes:
        metric: The primary one.
        totals: Of all parts.
        attributes: What `attributes_of` says of the items.
        built: What is known of all rows.
        rules: What the samples were made by.
        last_flipped: As `rows_to_flip` gives it.
        decision: Whether labels are corrected for positions, where that was asked.
    """

    metric: str
    totals: _Totals
    attributes: pd.DataFrame
    built: Built
    rules: Rules
    last_flipped: float
    decision: Decision | None
    _samples: Scattered
    _texts: Scattered

    def __len__(self) -> int:
        return len(self._samples)

    def samples(self) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
        """(samples, truth of those to train on), part by part in `sample_id` order."""
        mean = self.totals.mean_root()
        for part in self._samples.parts():
            found = self._samples.read(part)
            if not len(found):
                continue
            found = weighed(found, mean)
            if self.decision is not None:
                found = taken(found, self.decision)
            if "position" in found:
                found["position"] = found["position"].astype("Int16")
            built = self.built
            truth = plant_noise(found, self.last_flipped, built.relevant_at, built.max_grade, self.rules.seed)
            yield found, truth

    def texts(self) -> Iterator[pd.DataFrame]:
        """`text_id`, `text` of each distinct context and item, part by part in `text_id` order."""
        for part in self._texts.parts():
            found = self._texts.read(part)
            if len(found):
                yield found.drop_duplicates("text_id").sort_values("text_id", ignore_index=True)


_TYPES = {"features": SCHEMA.field("features").type}


def weighed(samples: pd.DataFrame, mean: float) -> pd.DataFrame:
    """Samples in order, without `shown`: their weights hold it."""
    samples = samples.sort_values("sample_id").reset_index(drop=True)
    if "shown" in samples:
        samples["weight"] *= relied_on(samples.pop("shown").to_numpy(np.float64), mean)
    return samples


def _words(texts: pd.Series) -> pd.Series:
    """What near-duplicates have in common, so that they are in one slot."""
    place, distinct = pd.factorize(texts)
    return pd.Series(alike(pl.Series(distinct, dtype=pl.String)).to_numpy()[place])


def _keep_texts(texts: Scattered, found: pd.Series) -> None:
    distinct = found.unique()
    table = pd.DataFrame({"text_id": [text_id(text) for text in distinct], "text": distinct})
    texts.add(table, slots_in_order(table["text_id"]))


def _check(totals: _Totals, built: Built, named: float, metric: str) -> None:
    relevant_at, max_grade = built.relevant_at, built.max_grade
    lowest, highest = totals.labels
    if lowest == highest:
        raise BadInput(f"all labels equal ({lowest:g}): there is nothing to learn")
    if relevant_at > max_grade:
        raise BadInput(f"--relevant-at {named:g} is above the largest grade {max_grade:g}")
    for split, (relevant, rows) in totals.relevant.items():
        every = relevant == rows
        # A test list that is ranked over a catalogue has its irrelevant rows there.
        if (every and (split == "train" or built.ranking is None)) or not relevant:
            which = "relevant" if every else "irrelevant"
            raise BadInput(
                f"every {split} row is {which} (relevant means grade >= {relevant_at:g}): "
                "give more rows or another --relevant-at"
            )
    if totals.trained >= totals.tested:
        raise BadInput(
            "leak: what is tested comes before something that is trained on; order the log by time, or name "
            "its column"
        )
    by_list = METRICS[metric].by_list and built.ranking is None
    usable = totals.lists[2] if by_list else totals.lists[0]
    if usable < 2:
        raise BadInput(
            f"{usable} of {totals.lists[0]} test lists can be ranked (two rows or more, one of them "
            "relevant): no difference can be told by so few; give more groups, or a larger --test-sample"
        )
