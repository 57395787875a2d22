"""The challenger's rows: the cut, near-duplicates, quotas or constraints, coverage, exploration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from assay.components.core.vectors import row_vectors
from assay.components.select import why
from assay.components.select.constraints import columns_of, parse_constraint, read_attributes
from assay.components.select.decisions import soft_weights
from assay.components.select.lists import whole_lists
from assay.components.select.rules import Rules
from assay.components.select.scored import at, draws
from assay.components.select.shares import Shares, by_constraints, by_quotas
from assay.components.select.strata import places, quotas

CODE = {reason: np.int8(code) for code, reason in enumerate(why.LINES)}
"""Numbers of reasons: a text for each of millions of rows is memory."""
NONE = -1
"""Place of nothing."""


@dataclass(frozen=True)
class Choice:
    """What was chosen.

    Attributes:
        taken: (k,) places of the rows, ascending.
        reason: (n,) categories, of every row.
        fields: What the lines of `why` are filled with, (n,) or for all.
        facts: For the manifest.
    """

    taken: np.ndarray
    reason: pd.Series
    fields: dict[str, Any]
    facts: dict[str, Any]


def columns_read(rules: Rules) -> list[str]:
    """Columns of the sample table that the rules are about."""
    attributes = read_attributes(rules.attributes) if rules.attributes else None
    found = columns_of([parse_constraint(line) for line in rules.constraints], attributes)
    return [*found, *(["segment"] if rules.by_segment or rules.floor else [])]


class Pool:
    """Scored rows, of which any number can be chosen.

    Args:
        rows: (n,) what `read_scored` read.
        treated: (n,) what `treat` says of each row.
        rules: How to choose.
        vectors_folder: What `embed` wrote; for a coverage that looks at vectors.
        twin: (n,) place of the row that stands for each, -1 where it stands for itself; None: for all.

    Attributes:
        free: (n,) which rows may be chosen.
    """

    def __init__(
        self,
        rows: pd.DataFrame,
        treated: pd.DataFrame,
        rules: Rules,
        vectors_folder: str = "",
        twin: np.ndarray | None = None,
    ) -> None:
        self.rows, self.treated, self.rules, self.vectors_folder = rows, treated, rules, vectors_folder
        self.worth = self.treated["worth"].to_numpy()
        self.twin = np.full(len(rows), NONE, dtype=np.int64) if twin is None else twin
        self.free = self.treated["plausible"].to_numpy() & (self.twin < 0)
        self.attributes = read_attributes(rules.attributes) if rules.attributes else None
        self.trained = rows.assign(label=self.treated["label"])
        self.of_strata = self.trained[[name for name in ("task", "label", "segment") if name in rows]]

    def choose(self, count: int, seed: int = 0) -> Choice:
        """The rows of the challenger, and for each row why it is in or out.

        Only a budget of more rows than there are to choose from reaches for those that were cut: first
        near-duplicates, the most important first, then what looks mislabelled, the least suspicious first.

        Args:
            count: Rows to take, 1 to n.
            seed: Of what is drawn at random.

        Raises:
            BadInput: Floors or constraints cannot be held.
        """
        if self.rules.group == "whole":
            return self._choose_lists(count)
        refill = self._refill(count)
        may = self.free.copy()
        # What a user demands is demanded of all rows taken.
        may[refill] = bool(self.rules.constraints)
        some = np.flatnonzero(may)
        shares = self._shares(some, min(count, len(some)))
        place = places(shares.code, self.worth[some])
        taken, drawn = self._within(some, shares, place, seed)
        code = self._spread(some, shares.code)
        sizes, facts = np.bincount(shares.code, minlength=len(shares.names)), dict(shares.facts)
        extra = shares.extra
        if self.rules.explore:
            many = np.bincount(shares.code[drawn], minlength=len(shares.names)).tolist()
            extra = [
                f"{a} ({n} of them drawn at random)" if n else a for a, n in zip(extra, many, strict=True)
            ]
            facts["explored"] = int(drawn.sum())
        top = place <= shares.quota[shares.code]
        reason = np.full(len(some), CODE["over_budget"])
        reason[taken] = CODE["important"]
        if self.rules.coverage != "top":
            reason[taken] = CODE["covers"]
            reason[~taken & top] = CODE["not_covering"]
        if self.rules.constraints:
            plain = by_quotas(self.of_strata.iloc[some], self.worth[some], int(taken.sum()), Rules())
            by_importance = places(plain.code, self.worth[some]) <= plain.quota[plain.code]
            reason[(taken == top) & (top != by_importance)] = CODE["constraint"]
        reason[shares.lifted] = CODE["floor"]
        reason[drawn] = CODE["exploration"]
        change = (self.treated["treated"].iloc[some] != "").to_numpy()
        if change.any():
            reason[taken & change] = CODE[self.treated["treated"].cat.categories[-1]]
        fields = {
            "place": self._spread(some, place),
            "size": self._spread(some, sizes[shares.code]),
            "quota": self._spread(some, shares.quota[shares.code]),
            "stratum": (code, shares.names),
            "extra": (code, extra),
            "budget": str(count),
            "plausible": str(int(self.free.sum())),
        }
        told = self._reasons(some, reason)
        again = self.twin[refill] >= 0
        told.iloc[refill[again]] = "budget_exceeds_distinct_rows"
        told.iloc[refill[~again]] = "budget_exceeds_plausible_rows"
        return Choice(np.union1d(some[taken], refill), told, fields, facts)

    def trains_on(self, choice: Choice) -> pd.DataFrame:
        """(k,) sample_id, label and weight of the rows taken."""
        rows = at(self.rows, choice.taken)[["sample_id"]]
        label = self.treated["label"].to_numpy()[choice.taken]
        return rows.assign(label=label, weight=self.weights(choice.taken))

    def weights(self, taken: np.ndarray) -> np.ndarray:
        """(k,) float32, what multiplies the weights of the rows taken."""
        weight = self.treated["weight"].to_numpy()[taken]
        return weight * soft_weights(self.worth[taken]).astype(np.float32) if self.rules.soft else weight

    def lines(self, choice: Choice, some: np.ndarray) -> Any:
        """(m,) why each of some rows is in or out, by ascending place."""
        rows = at(self.rows, some)
        fields: dict[str, Any] = {"coverage": self.rules.coverage, "cosine": f"{self.rules.duplicates:g}"}
        for name, value in choice.fields.items():
            if isinstance(value, tuple):
                code, texts = value
                fields[name] = np.asarray([*texts, ""], dtype=object)[code[some]]
            else:
                fields[name] = value if isinstance(value, str) else value[some]
        fields["label"] = why.number(rows["label"].to_numpy())
        fields["noise"] = why.number(rows["noise"].to_numpy())
        fields["rather"] = why.rather(rows["suggested_label"].to_numpy(dtype=np.float64))
        fields["trained"] = why.number(self.treated["label"].to_numpy()[some])
        fields["weight"] = why.number(self.treated["weight"].to_numpy()[some])
        twins, which = np.unique(self.twin[some], return_inverse=True)
        names = ["" if twin < 0 else self.rows["sample_id"].iat[twin] for twin in twins.tolist()]
        fields["twin"] = np.asarray(names, dtype=object)[which]
        return why.lines(choice.reason.iloc[some].to_numpy(dtype=str), fields)

    def _spread(self, some: np.ndarray, values: np.ndarray) -> np.ndarray:
        out = np.full(len(self.rows), NONE, dtype=np.int32)
        out[some] = values
        return out

    def _refill(self, count: int) -> np.ndarray:
        missing = count - int(self.free.sum())
        if missing <= 0:
            return np.empty(0, dtype=np.int64)
        twins = np.flatnonzero(self.twin >= 0)
        cut = np.flatnonzero(~self.treated["plausible"].to_numpy())
        twins = twins[np.argsort(-self.worth[twins], kind="stable")]
        cut = cut[np.argsort(self.rows["noise"].to_numpy()[cut], kind="stable")]
        return np.concatenate([twins, cut])[:missing]

    def _shares(self, some: np.ndarray, count: int) -> Shares:
        if self.rules.constraints:
            return by_constraints(self.trained, some, self.worth[some], count, self.rules, self.attributes)
        return by_quotas(self.of_strata.iloc[some], self.worth[some], count, self.rules)

    def _within(
        self, some: np.ndarray, shares: Shares, place: np.ndarray, seed: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """(m,) which rows are taken to fill the quotas, and which of them were drawn at random."""
        chance = np.zeros(len(shares.quota), dtype=np.int64)
        sure = np.bincount(shares.code[shares.sure], minlength=len(shares.quota))
        if self.rules.explore:
            wanted = int(self.rules.explore * shares.quota.sum() + 0.5)
            chance = np.minimum(quotas(pd.Series(shares.quota), wanted).to_numpy(), shares.quota - sure)
        taken, open_ = shares.sure.copy(), np.flatnonzero(~shares.sure)
        code, best = shares.code[open_], shares.quota - sure - chance
        if self.rules.coverage == "top":
            taken[open_] = places(code, self.worth[some[open_]]) <= best[code]
        else:
            taken[open_] = self._cover(some[open_], code, best, seed)
        drawn = np.zeros(len(some), dtype=bool)
        if chance.any():
            rest = np.flatnonzero(~taken)
            luck = draws(at(self.rows, some[rest])["sample_id"], f"assay-explore-{seed}")
            drawn[rest] = places(shares.code[rest], -luck) <= chance[shares.code[rest]]
        return taken | drawn, drawn

    def _cover(self, some: np.ndarray, code: np.ndarray, best: np.ndarray, seed: int) -> np.ndarray:
        """(m,) which rows the coverage of the rules takes, `best` of each code."""
        from assay.components.select.coverage import pool
        from assay.components.select.coverage.methods import coverage

        way, taken = coverage(self.rules.coverage), np.zeros(len(some), dtype=bool)
        order = np.argsort(code, kind="stable")
        for mine in np.split(order, np.flatnonzero(np.diff(code[order])) + 1):
            count = int(best[code[mine[0]]]) if len(mine) else 0
            if not 0 < count < len(mine):
                taken[mine] = count > 0
                continue
            ids = self.rows["sample_id"].iloc[some[mine]].tolist()
            seen = way.needs_vectors and self.vectors_folder
            vectors = row_vectors(self.vectors_folder, ids) if seen else None
            cell = pool.Pool(ids, self.worth[some[mine]], vectors)
            taken[mine[way.choose(cell, count, seed)]] = True
        return taken

    def _reasons(self, some: np.ndarray, reason: np.ndarray) -> pd.Series:
        """Those of all rows: of `some`, as numbers of `CODE`; of the others, why they could not be chosen."""
        given = self.rows["reason"].astype("category")
        known = given.cat.categories.union([*CODE])
        every = known.get_indexer(given.cat.categories).astype(np.int16)[given.cat.codes.to_numpy()]
        lookup = known.get_indexer([*CODE]).astype(np.int16)
        every[self.twin >= 0] = lookup[CODE["near_duplicate"]]
        every[some] = lookup[reason]
        return pd.Series(pd.Categorical.from_codes(every, known), index=given.index)

    def _choose_lists(self, count: int) -> Choice:
        some = np.flatnonzero(self.free)
        code, names = pd.factorize(self.rows["group_id"].iloc[some])
        sizes = np.bincount(code)
        mean = np.bincount(code, weights=self.worth[some]) / sizes
        order = np.argsort(-mean, kind="stable")
        chosen = whole_lists(sizes, order, count)
        taken = chosen[code]
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(1, len(order) + 1)
        reason = np.full(len(some), CODE["over_budget_list"])
        reason[taken] = CODE["important_list"]
        rows = int(sizes[chosen].sum())
        fields = {
            "place": self._spread(some, place[code]),
            "size": str(len(names)),
            "quota": str(int(chosen.sum())),
            "taken": str(rows),
            "budget": str(count),
        }
        facts = {"lists": {"taken": int(chosen.sum()), "of": len(names), "rows_short": count - rows}}
        return Choice(some[taken], self._reasons(some, reason), fields, facts)
