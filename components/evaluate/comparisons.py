"""What the arms reached, all trainings of each together, and how far each is from the challenger."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from assay.components.core.arms import parse_arm
from assay.components.core.metrics import (
    ALSO,
    METRICS,
    Lists,
    gained,
    interval,
    list_draws,
    over_trainings,
    paired_bootstrap,
)

CHAMPION = "champion"
OWN = ("control", "challenger", "full")
"""Trained arms that are no baseline."""
UNTRAINED = ("random", "lexical", "base")
"""What needs no training."""
PLAIN = ("tfidf_lr", "popularity", "item_knn")
"""What a shop would have without any of this; trained on all training rows, where there."""
NAMES = (*UNTRAINED, *OWN, CHAMPION)
"""Models that always have a line, None where there is none."""
AGAINST = ("control", "base", "full", CHAMPION)
"""What the challenger is compared with before the baselines."""


def trainings(arms: Iterable[str]) -> dict[str, dict[int, str]]:
    """{arm without its repeat: {repeat: the arm as written}}, repeats in order."""
    found: dict[str, dict[int, str]] = {}
    for arm in sorted(map(parse_arm, arms), key=lambda arm: arm.repeat):
        found.setdefault(arm.name, {})[arm.repeat] = str(arm)
    return found


@dataclass(frozen=True)
class Judged:
    """Predictions on the test rows, and what they are worth.

    Attributes:
        lists: The test rows.
        table: A column of scores a model.
        arms: As `trainings` gives them.
        metric: A name of `METRICS`.
        seed: Of the bootstrap.
        also: Metrics beside it.
    """

    lists: Lists
    table: pd.DataFrame
    arms: dict[str, dict[int, str]]
    metric: str
    seed: int
    also: tuple[str, ...] = ALSO["search"]

    @property
    def plain(self) -> list[str]:
        """Models of `PLAIN` that are there."""
        return [name for name in PLAIN if name in self.table]

    @property
    def baselines(self) -> list[str]:
        """Arms that somebody would train instead, in the order they were given."""
        return [arm for arm in self.arms if arm not in OWN]

    @property
    def resampled(self) -> str:
        """What an interval is over."""
        several = len(self.arms["challenger"]) > 1
        return "over seeds and test lists" if several else "over test lists, not over retraining"

    def results(self, manifests: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any] | None]:
        """Each model's metrics, the mean of its trainings; None of what there is not.

        Args:
            manifests: {arm as written: manifest of its ranker}.

        Returns:
            {model: the metric, those beside it, `train_rows` and `train_steps` of its first training; and of
            several, `seeds`, how many, `sd`, the metric's standard deviation between them, and `first`, the
            metric of the first, which of the challenger's is the one that is registered}.
        """
        out: dict[str, dict[str, Any] | None] = {}
        for model in (*UNTRAINED, *self.plain, *OWN, CHAMPION, *self.baselines):
            columns = self._columns(model)
            if not columns:
                out[model] = None
                continue
            found = [
                self.lists.results(self.table[column].to_numpy(), self.metric, self.also)
                for column in columns
            ]
            trained = manifests.get(columns[0], {})
            spread: dict[str, Any] = {}
            if len(columns) > 1:
                sd = float(np.std([one[self.metric] for one in found], ddof=1))
                spread = {"seeds": len(columns), "sd": sd, "first": found[0][self.metric]}
            out[model] = {
                **{key: float(np.mean([one[key] for one in found])) for key in found[0]},
                "train_rows": trained.get("train_rows", 0),
                "train_steps": trained.get("train_steps", 0),
                **spread,
            }
        return out

    def comparisons(self) -> dict[str, dict[str, float] | None]:
        """{challenger-OTHER: challenger minus OTHER}; None of what there is not."""
        return {
            f"challenger-{other}": self._minus("challenger", other)
            for other in (*AGAINST, *self.plain, *self.baselines)
        }

    def once(self, other: str) -> dict[str, float]:
        """The challenger's first training, which is the one that is registered, minus a model."""
        first, second = (self.table[name].to_numpy() for name in ("challenger", other))
        return paired_bootstrap(self.lists, first, second, self.metric, self.seed)

    def points(self, manifests: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
        """Trained arms as points of a curve over rows: `arm`, `rows`, `metric`, `low`, `high` (95 %)."""
        out = []
        for arm in self.arms:
            columns = self._columns(arm)
            values, draws = list_draws(self.lists, self.table[columns].to_numpy().T, self.metric, self.seed)
            low, high = interval(over_trainings(values, draws, self.seed))
            rows = manifests[columns[0]]["train_rows"]
            out.append({"arm": arm, "rows": rows, "metric": float(values.mean()), "low": low, "high": high})
        return out

    def _columns(self, model: str) -> list[str]:
        """Columns of a model's trainings; of what is not trained its one, if it is there."""
        return [name for name in self.arms.get(model, {0: model}).values() if name in self.table]

    def _minus(self, one: str, two: str) -> dict[str, float] | None:
        """One arm minus another model, over the repeats of both; what has no repeats is each time itself."""
        mine, other = self.arms[one], self.arms.get(two)
        if other:
            both = sorted(set(mine) & set(other))
            first, second = [mine[k] for k in both], [other[k] for k in both]
        else:
            first, second = list(mine.values()), self._columns(two)
        if not first or not second:
            return None
        mine_scores, other_scores = (self.table[columns].to_numpy().T for columns in (first, second))
        return paired_bootstrap(self.lists, mine_scores, other_scores, self.metric, self.seed)


def best_arm(results: dict[str, dict[str, Any] | None], arms: Iterable[str], metric: str) -> str:
    """The trained arm of the best metric; the challenger where it is a tie."""
    sign = 1 if METRICS[metric].greater_is_better else -1
    return max(arms, key=lambda arm: (sign * (results[arm] or {})[metric], arm == "challenger"))


def baselines_of(
    comparisons: dict[str, dict[str, float] | None], words: dict[str, str], metric: str = "ndcg@10"
) -> dict[str, dict[str, Any]]:
    """The trained baselines, each against the challenger.

    Args:
        comparisons: As `Judged` gives them.
        words: {baseline: which rows these are}, for all that were trained.
        metric: What is compared.

    Returns:
        {baseline: difference (challenger minus it), low, high and p; `wins`, whether it beats the challenger
        with the whole interval; `words`}.
    """
    found = {name: comparisons[f"challenger-{name}"] or {} for name in words}
    return {name: c | {"wins": gained(c, metric)[2] < 0, "words": words[name]} for name, c in found.items()}


def says(baselines: dict[str, dict[str, Any]], metric: str = "ndcg@10") -> list[str]:
    """Which baselines beat the challenger, which it beats, and which it cannot be told from: sentences."""
    lost = [name for name, c in baselines.items() if c["wins"]]
    beaten = [name for name, c in baselines.items() if gained(c, metric)[1] > 0]
    open_ = [name for name in baselines if name not in {*lost, *beaten}]
    lines = [
        f"The baseline {name} ({c['words']}) beats the challenger by {-c['difference']:.4f} "
        f"[{-c['high']:.4f}, {-c['low']:.4f}]."
        for name, c in baselines.items()
        if c["wins"]
    ]
    if baselines and not beaten:
        lines.append("The challenger beats none of the baselines with certainty.")
    if beaten:
        lines.append(f"The challenger beats {', '.join(beaten)} with certainty.")
    if open_:
        lines.append(f"It cannot be told from {', '.join(open_)}.")
    return lines
