"""The rows of each arm: how many its budget keeps, which they are, and what is said of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from assay.components.core.arms import Arm
from assay.components.core.errors import BadInput
from assay.components.core.samples import read_samples
from assay.components.select.budget import Measured, parse_budget, rows_of_budget, rows_within
from assay.components.select.challenger import Choice, Pool
from assay.components.select.collapse import collapse
from assay.components.select.decisions import treat
from assay.components.select.rules import Rules
from assay.components.select.scored import IDS, ROWS, at, draws, first
from assay.components.select.tokens import tokens_of_rows

if TYPE_CHECKING:
    from assay.components.select.baselines import Given

CHALLENGER = Arm("challenger")

Told = Callable[[np.ndarray], dict[str, Any]]
"""Ascending places of rows -> label, weight, decision, reason and why of each, or of all alike."""


def as_it_is(rows: pd.DataFrame, reason: str, why: str) -> Told:
    """What is said of rows that train as they are."""
    label = rows["label"].to_numpy(dtype=np.float32)
    alike = {"weight": np.float32(1), "decision": "keep", "reason": reason, "why": why}
    return lambda some: {"label": label[some], **alike}


def blocks_of(rows: pd.DataFrame, places: np.ndarray, told: Told) -> Iterator[pd.DataFrame]:
    """Blocks of some rows, as `publish` takes them.

    Args:
        rows: (n,) ids, and importance where there is one.
        places: (k,) which of them, ascending.
        told: What is said of them.
    """
    for start in range(0, len(places), ROWS):
        some = places[start : start + ROWS]
        block = at(rows[[*IDS, *(["importance"] if "importance" in rows else [])]], some)
        block = block if "importance" in block else block.assign(importance=np.nan)
        yield block.reset_index(drop=True).assign(**told(some))


class Arms:
    """Every arm of a selection.

    Args:
        folders: Of samples, scores and vectors.
        rows: (n,) what `read_scored` read.
        rules: How the challenger is chosen.
        budget: Of arms without one of their own.
        seed: Of random draws.

    Attributes:
        facts: What was found on the way, for the manifest.
        conflicts: Near-duplicates whose labels differ; None where they were not looked for.
    """

    def __init__(
        self, folders: tuple[str, str, str], rows: pd.DataFrame, rules: Rules, budget: str, seed: int
    ) -> None:
        self.samples, self.scores, self.vectors = folders
        self.rows, self.rules, self.budget, self.seed = rows, rules, budget, seed
        self.facts: dict[str, Any] = {}
        self.conflicts: pd.DataFrame | None = None
        treated, twin = treat(rows, rules.noisy), None
        if rules.duplicates:
            found = collapse(rows, treated, self.samples, self.vectors, rules.duplicates, seed)
            self.facts["duplicates"], self.conflicts, twin = found.facts, found.conflicts, found.twin
        self.pool = Pool(rows, treated, rules, self.vectors, twin)
        self._choices: dict[tuple[int, int], Choice] = {}
        self._sizes: dict[tuple[str, str, int], int] = {}
        self._picks: dict[Arm, np.ndarray] = {}

    def size(self, arm: Arm) -> int:
        """Rows of an arm."""
        if arm.name == "full":
            return len(self.rows)
        if arm.name == "challenger":
            return len(self._choice(arm).taken)
        return self._count(arm) if arm.name == "control" else len(self._picked(arm))

    def blocks(self, arm: Arm) -> Iterator[pd.DataFrame]:
        """Blocks of an arm's rows."""
        if arm.name == "challenger":
            choice = self._choice(arm)
            yield from blocks_of(self.rows, choice.taken, self._told(choice))
        elif arm.name == "full":
            every = np.arange(len(self.rows))
            yield from blocks_of(self.rows, every, as_it_is(self.rows, "all_rows", "all training rows"))
        elif arm.name == "control":
            why = f"drawn at random from all {len(self.rows)} training rows"
            places = np.sort(self._order(arm)[: self._count(arm)])
            yield from blocks_of(self.rows, places, as_it_is(self.rows, "random", why))
        else:
            yield from self._baseline(arm)

    def left_out(self) -> Iterator[pd.DataFrame]:
        """Blocks of the rows that the challenger leaves out, as they are."""
        choice = self._choice(CHALLENGER)
        out = np.ones(len(self.rows), dtype=bool)
        out[choice.taken] = False
        label, decision = self.rows["label"].to_numpy(dtype=np.float32), self.rows["decision"]

        def told(some: np.ndarray) -> dict[str, Any]:
            return {
                "label": label[some],
                "weight": np.float32(1),
                "decision": decision.iloc[some].to_numpy(dtype=object),
                "reason": choice.reason.iloc[some].to_numpy(dtype=object),
                "why": self.pool.lines(choice, some),
            }

        yield from blocks_of(self.rows, np.flatnonzero(out), told)

    def _told(self, choice: Choice) -> Told:
        weights = np.ones(len(self.rows), dtype=np.float32)
        weights[choice.taken] = self.pool.weights(choice.taken)
        treated = self.pool.treated

        def told(some: np.ndarray) -> dict[str, Any]:
            return {
                "label": treated["label"].to_numpy()[some],
                "weight": weights[some],
                "decision": treated["decision"].iloc[some].to_numpy(dtype=object),
                "reason": choice.reason.iloc[some].to_numpy(dtype=object),
                "why": self.pool.lines(choice, some),
            }

        return told

    def _choice(self, arm: Arm) -> Choice:
        return self._choose(self._count(arm), self.seed + arm.repeat)

    def _choose(self, count: int, seed: int) -> Choice:
        # Repeats are other trainings on the same rows, unless exploration is asked for.
        key = (count, seed if self.rules.explore else self.seed)
        if key not in self._choices:
            choice = self._choices[key] = self.pool.choose(*key)
            if choice.facts:
                self.facts.setdefault("challenger", {})[str(count)] = choice.facts
        return self._choices[key]

    def _count(self, arm: Arm) -> int:
        """Rows that an arm's budget keeps; of lists taken whole, the challenger's asks for as many."""
        text = arm.budget or self.budget
        key = (arm.name, text, arm.repeat)
        if key not in self._sizes:
            self._sizes[key] = self._sized(arm, parse_budget(text))
        return self._sizes[key]

    def _sized(self, arm: Arm, budget: float | int | Measured) -> int:
        n = len(self.rows)
        if isinstance(budget, Measured) and budget.unit == "tokens":
            return rows_within(self._cost(arm), n, budget)
        if isinstance(budget, Measured) and budget.unit == "auto":
            count = self._auto
        else:
            count = rows_of_budget(budget, n, self.rules.seconds_per_row)
        if arm.name == "challenger" or self.rules.group == "rows":
            return count
        return len(self._choose(count, self.seed).taken)

    @cached_property
    def _auto(self) -> int:
        from assay.components.select.auto import auto_budget

        if not self.vectors:
            raise BadInput(
                "--budget auto: cheap rankers learn from the vectors: hand over what `embed` wrote"
            )
        found = auto_budget(
            self.samples,
            self.vectors,
            lambda count: self.pool.trains_on(self.pool.choose(count, self.seed)),
            int(self.pool.free.sum()),
            self.seed,
            least=self.rules.least,
        )
        self.facts["auto"] = found.facts
        return found.rows

    @cached_property
    def _tokens_of(self) -> np.ndarray:
        tokens, how = tokens_of_rows(self.samples, self.scores)
        self.facts["tokens"] = how
        return tokens

    def _cost(self, arm: Arm) -> Callable[[int], float]:
        """Tokens of an arm's rows, as a function of their number."""
        tokens = self._tokens_of
        if arm.name == "control":
            sums = np.cumsum(tokens[self._order(arm)])
            return lambda count: sums[count - 1]
        if arm.name == "challenger":
            return lambda count: tokens[self.pool.choose(count, self.seed + arm.repeat).taken].sum()
        return lambda count: tokens[self._places(self._pick(arm, count))].sum()

    def _order(self, arm: Arm) -> np.ndarray:
        """(n,) places of all rows in the order in which the control draws them."""
        salt = f"assay-control-{self.seed + arm.repeat}"
        return first(draws(self.rows["sample_id"], salt), len(self.rows))

    @cached_property
    def _given(self) -> Given:
        from assay.components.select.baselines import read_given

        return read_given(self.samples, self.scores, self.vectors)

    def _pick(self, arm: Arm, count: int) -> np.ndarray:
        from assay.components.select.baselines import pick

        return pick(arm.name, self._given, count, self.seed + arm.repeat)

    def _picked(self, arm: Arm) -> np.ndarray:
        """Ids of the rows of a baseline, ascending."""
        if arm not in self._picks:
            self._picks[arm] = self._pick(arm, self._count(arm))
        return self._picks[arm]

    def _places(self, ids: np.ndarray) -> np.ndarray:
        """Places of the training rows among some ids, ascending."""
        found = pd.Index(self.rows["sample_id"]).get_indexer(pd.Index(ids))
        return found[found >= 0]

    def _baseline(self, arm: Arm) -> Iterator[pd.DataFrame]:
        from assay.components.select.baselines import BASELINES

        ids, words = self._picked(arm), BASELINES[arm.name].words
        rows = at(self.rows[[*IDS, "label", "importance"]], self._places(ids))
        if len(rows) < len(ids):
            target = read_samples(self.samples, ["target"], [*IDS, "label"])
            rows = pd.concat([rows, target[target["sample_id"].isin(ids)]]).sort_values("sample_id")
        rows = rows.reset_index(drop=True)
        yield from blocks_of(rows, np.arange(len(rows)), as_it_is(rows, arm.name, words))
