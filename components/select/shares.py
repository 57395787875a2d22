"""How many rows each cell gets: by quotas and floors, or by what a user demands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from assay.components.core.errors import BadInput
from assay.components.core.progress import say
from assay.components.select import feasible
from assay.components.select.constraints import (
    Attribute,
    Demand,
    attribute,
    columns_of,
    demand,
    meant,
    parse_constraint,
)
from assay.components.select.rules import Rules
from assay.components.select.strata import Strata, check_floors, places, quotas, segment_floors, strata_of

LABELS, SEGMENTS = ["task", "label"], ["task", "label", "segment"]
FLOOR, STRATUM = "floor of segment", feasible.STRATUM


@dataclass(frozen=True)
class Shares:
    """How many of the rows that may be chosen each cell of them gets.

    Attributes:
        code: (m,) cell of each row.
        names: Of the cells.
        quota: (cells,) int64 rows to take.
        sure: (m,) rows that a floor reserves.
        lifted: (m,) those of them that importance alone would have left out.
        extra: (cells,) what is said of a quota.
        facts: For the manifest.
    """

    code: np.ndarray
    names: list[str]
    quota: np.ndarray
    sure: np.ndarray
    lifted: np.ndarray
    extra: list[str]
    facts: dict[str, Any]


def by_quotas(rows: pd.DataFrame, worth: np.ndarray, count: int, rules: Rules) -> Shares:
    """Quotas in proportion to (task, label), or (task, label, segment), above the floors of segments.

    Args:
        rows: (m,) those that may be chosen: columns task, label, and segment where the rules look at it.
        worth: (m,) of each row.
        count: Rows to take, at most m.
        rules: Which quotas and floors.

    Raises:
        BadInput: The floors need more rows.
    """
    strata = _strata(rows, SEGMENTS if rules.by_segment else LABELS)
    every, sure = np.ones(len(rows), dtype=bool), np.zeros(len(rows), dtype=bool)
    sizes = strata.sizes(every)
    quota, lifted = quotas(sizes, count), sure
    extra, facts = [""] * len(strata.names), {}
    if rules.floor:
        cells = strata if rules.by_segment else _strata(rows, SEGMENTS)
        floors = segment_floors(rules.floor, cells, _strata(rows, ["segment"]), every)
        check_floors(floors, rules.floor, count)
        sure = places(cells.code, worth) <= floors[cells.code]
        lifted = sure & (places(strata.code, worth) > quota.to_numpy()[strata.code])
        quota = quotas(sizes, count, strata.sizes(sure))
        extra = [f" ({n} of them for floors of segments)" if n else "" for n in strata.sizes(lifted)]
        facts = {"floors": {"rows": int(floors.sum()), "lifted": int(lifted.sum())}}
    return Shares(strata.code, strata.names, quota.to_numpy(), sure, lifted, extra, facts)


def by_constraints(
    rows: pd.DataFrame,
    some: np.ndarray,
    worth: np.ndarray,
    count: int,
    rules: Rules,
    attributes: pd.DataFrame | None,
) -> Shares:
    """The shares of most worth in sum that hold constraints and floors.

    Quotas by (task, label) are held as well, unless a constraint is about one of the two, and unless the
    constraints do not allow it: then they are let go, and it is said.

    Args:
        rows: (n,) all training rows, the columns of `columns_of`, task, label, and segment where the rules
            look at it.
        some: (m,) places of those that may be chosen.
        worth: (m,) of each of them.
        count: Rows to take, at most m.
        rules: Which constraints, floors and quotas.
        attributes: What `read_attributes` read.

    Raises:
        BadInput: They cannot be held; it names those that cannot be held together.
    """
    constraints = [parse_constraint(line) for line in rules.constraints]
    about = set(columns_of(constraints, attributes, keys=False))
    demands, of = [], {}
    for constraint in constraints:
        name = meant(constraint.name, attributes)
        values = attribute(name, rows, attributes)
        of[name] = Attribute(values.code[some], values.values)
        demands.append(demand(constraint, name, values, count))
    chosen_from = rows[[name for name in SEGMENTS if name in rows]].iloc[some]
    if rules.floor:
        cells, segments = _strata(chosen_from, SEGMENTS), _strata(chosen_from, ["segment"])
        floors = segment_floors(rules.floor, cells, segments, np.ones(len(some), dtype=bool))
        low = np.zeros(len(segments.names), dtype=np.int64)
        np.add.at(low, cells.home(segments), floors)
        of[FLOOR] = Attribute(segments.code, segments.names)
        demands.append(Demand(f"floor {rules.floor:g}", FLOOR, low, np.full(len(low), count)))
    by = [] if about & set(LABELS) else SEGMENTS if rules.by_segment and "segment" not in about else LABELS
    cells_, kept = feasible.cells_of(demands, of, count), False
    if by:
        strata = _strata(chosen_from, by)
        exact = quotas(strata.sizes(np.ones(len(some), dtype=bool)), count).to_numpy()
        quoted = [*demands, Demand(f"quotas by {', '.join(by)}", STRATUM, exact, exact)]
        strict = feasible.cells_of(quoted, of | {STRATUM: Attribute(strata.code, strata.names)}, count)
        kept = feasible.holds(strict, count, strict.lines)
        cells_ = strict if kept else cells_
    if not kept and not feasible.holds(cells_, count, cells_.lines):
        raise BadInput(feasible.conflict(cells_, count))
    if by and not kept:
        say("select", f"the constraints do not allow quotas by {', '.join(by)}: they are let go")
    quota, gap = feasible.most_worth(cells_, worth, count)
    say("select", f"constraints hold; importance in sum is within {gap:.2g} of the best there can be")
    facts = {"gap": gap, "quotas": by if kept else [], "quotas_let_go": [] if kept else by}
    none = np.zeros(len(some), dtype=bool)
    return Shares(cells_.code, cells_.names, quota, none, none, [""] * len(quota), {"constraints": facts})


def _strata(rows: pd.DataFrame, names: Sequence[str]) -> Strata:
    return strata_of([rows[name] for name in names])
