"""The rows of most importance that hold what was demanded, or the demands that cannot hold together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from assay.components.select.constraints import Attribute, Demand
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import csr_array, hstack, vstack

STRATUM = "stratum"
"""Attribute whose values are names of their own."""
PIECES = 32
"""Into which the worth of a large cell is cut at first, before it is cut finer where the answer lies."""
ROUNDS = 60
SHOWN = 3
"""Values that an error names."""
WHOLE = 1e-6
"""How far from a whole number is whole."""
NODES = 10_000
"""Of the search of the integer program: a number, as seconds would not be the same twice."""


@dataclass(frozen=True)
class Cells:
    """Rows of equal values of all that is asked about.

    Attributes:
        code: (m,) int64 cell of each row.
        names: Of the cells.
        sizes: (cells,) int64.
        lines: Of each bound, the line that asks for it.
        what: Of each bound, of which value.
        member: (bounds, cells) 0 or 1.
        low: (bounds,) rows at least.
        high: (bounds,) rows at most.
    """

    code: np.ndarray
    names: list[str]
    sizes: np.ndarray
    lines: list[str]
    what: list[str]
    member: csr_array
    low: np.ndarray
    high: np.ndarray


def cells_of(demands: Sequence[Demand], attributes: Mapping[str, Attribute], count: int) -> Cells:
    """Put rows into cells. A bound that cannot be broken is left out, and what nothing asks about is one.

    Args:
        demands: What is asked.
        attributes: {name: values of the m rows that may be chosen}.
        count: Rows to take.
    """
    m = len(next(iter(attributes.values())).code) if attributes else 0
    there = {
        name: np.bincount(of.code[of.code >= 0], minlength=len(of.values)) for name, of in attributes.items()
    }
    binding = [(d.low > 0) | (d.high < np.minimum(there[d.name], count)) for d in demands]
    code = np.zeros(m, dtype=np.int64)
    parts: list[dict[str, int]] = [{}]
    for name, of in attributes.items():
        asked = [mask for d, mask in zip(demands, binding, strict=True) if d.name == name]
        values = np.flatnonzero(np.any(asked, axis=0)) if asked else np.empty(0, dtype=np.int64)
        if not len(values):
            continue
        short = np.zeros(len(of.values) + 1, dtype=np.int64)
        short[values] = np.arange(1, len(values) + 1)
        joint, code = np.unique(code * (len(values) + 1) + short[of.code], return_inverse=True)
        parts = [
            parts[at // (len(values) + 1)]
            | ({name: int(values[at % (len(values) + 1) - 1])} if at % (len(values) + 1) else {})
            for at in joint.tolist()
        ]
    lines: list[str] = []
    what: list[str] = []
    rows: list[int] = []
    columns: list[int] = []
    low: list[int] = []
    high: list[int] = []
    of_value: dict[tuple[str, int], list[int]] = {}
    for cell, part in enumerate(parts):
        for key in part.items():
            of_value.setdefault(key, []).append(cell)
    for d, mask in zip(demands, binding, strict=True):
        for value in np.flatnonzero(mask).tolist():
            mine = of_value.get((d.name, value), [])
            rows += [len(lines)] * len(mine)
            columns += mine
            lines.append(d.line)
            what.append(_told(d.name, attributes[d.name].values[value]))
            low.append(int(d.low[value]))
            high.append(int(d.high[value]))
    names = [
        ", ".join(_told(name, attributes[name].values[value]) for name, value in part.items()) or "all"
        for part in parts
    ]
    member = csr_array((np.ones(len(rows)), (rows, columns)), shape=(len(lines), len(parts)))
    sizes = np.bincount(code, minlength=len(parts))
    return Cells(code, names, sizes, lines, what, member, np.asarray(low), np.asarray(high))


def _told(name: str, value: str) -> str:
    return value if name == STRATUM else f"{name}={value}"


def holds(cells: Cells, count: int, lines: Sequence[str]) -> bool:
    """Whether `count` rows can be taken so that the bounds of some lines hold."""
    return _shortfall(cells, count, lines, most=0) is not None


def _shortfall(cells: Cells, count: int, lines: Sequence[str], most: float = np.inf) -> np.ndarray | None:
    """Least sum of rows by which bounds must be missed, bound by bound; None if more than `most` each."""
    mine = np.flatnonzero([line in lines for line in cells.lines])
    k, c = len(mine), len(cells.sizes)
    total = csr_array(np.concatenate([np.ones(c), np.zeros(2 * k)])[None, :])
    eye = csr_array((np.ones(k), (range(k), range(k))), shape=(k, k))
    ties = [LinearConstraint(total, count, count)]
    if k:
        # What is missing to the least is added, what is too much for the most is taken away.
        ties.append(
            LinearConstraint(hstack([cells.member[mine], eye, -eye]), cells.low[mine], cells.high[mine])
        )
    found = milp(
        np.concatenate([np.zeros(c), np.ones(2 * k)]),
        constraints=ties,
        bounds=Bounds(0, np.concatenate([cells.sizes, np.full(2 * k, most)])),
        integrality=np.concatenate([np.ones(c), np.zeros(2 * k)]),
    )
    if found.x is None:
        return None
    slack = np.zeros(len(cells.lines))
    slack[mine] = found.x[c : c + k] + found.x[c + k :]
    return slack.round()


def conflict(cells: Cells, count: int) -> str:
    """Why no `count` rows hold all bounds: lines that cannot hold together, any of which could be let go.

    The deletion filter of Chinneck and Dravnieks 1991, "Locating minimal infeasible constraint sets in linear
    programs": a line without which the rest still cannot hold is left out.
    """
    lines = list(dict.fromkeys(cells.lines))
    for line in list(lines):
        rest = [other for other in lines if other != line]
        if rest and not holds(cells, count, rest):
            lines = rest
    slack = _shortfall(cells, count, lines)
    assert slack is not None, "any number of rows may be missed"
    worst = np.argsort(-slack, kind="stable")[: int((slack > 0).sum())].tolist()
    missed = [
        f"{cells.what[at]} by {int(slack[at])} (asked: {_asked(cells, at, count)}; may be chosen: "
        f"{int((cells.member[[at]] @ cells.sizes)[0])})"
        for at in worst[:SHOWN]
    ]
    more = f", and {len(worst) - SHOWN} more" if len(worst) > SHOWN else ""
    quoted = " and ".join(repr(line) for line in lines)
    how, what = ("cannot hold", "it") if len(lines) == 1 else ("cannot hold together", "one of them")
    return (
        f"constraints: {quoted} {how} in {count} rows; at best they miss by {int(slack.sum())} rows: "
        f"{', '.join(missed)}{more}; loosen {what}, or change the budget"
    )


def _asked(cells: Cells, at: int, count: int) -> str:
    low, high = int(cells.low[at]), int(cells.high[at])
    return f"{low} at least" if high >= count else f"{high} at most" if low <= 0 else f"{low} to {high}"


def most_worth(cells: Cells, worth: np.ndarray, count: int) -> tuple[np.ndarray, float]:
    """How many rows of each cell to take, the best of each, so that their worth in sum is the greatest.

    A linear program over pieces of the cells, each worth the mean of its rows; pieces are halved around the
    answer until they are single rows there. Where its answer is not whole, an integer program over the same
    pieces has the last word. The worth is compared with the Lagrangian bound at the prices of the linear
    program, which no choice can exceed.

    Args:
        cells: That hold, together.
        worth: (m,) of each row, 0 or more.
        count: Rows to take.

    Returns:
        (cells,) int64 rows of each, and the gap: how much of the bound is missing, at most, as a share of it.
    """
    order = np.lexsort((-worth, cells.code))
    starts = np.cumsum(cells.sizes) - cells.sizes
    # sums[base[c] + x] is the worth of the best x rows of cell c.
    base = starts + np.arange(len(starts))
    sums = np.zeros(len(worth) + len(starts))
    for start, at, size in zip(starts.tolist(), base.tolist(), cells.sizes.tolist(), strict=True):
        np.cumsum(worth[order[start : start + size]], out=sums[at + 1 : at + 1 + size])
    few = len(worth) <= 64 * PIECES
    cuts = [_cut(size, size if few else PIECES) for size in cells.sizes.tolist()]
    for _ in range(ROUNDS):
        program = _Program.of(cells, cuts, sums, base, count)
        taken, price, constant = program.solve()
        finer = [_finer(cut, x) for cut, x in zip(cuts, taken.tolist(), strict=True)]
        if all(len(new) == len(old) for new, old in zip(finer, cuts, strict=True)):
            break
        cuts = finer
    if np.abs(taken - taken.round()).max(initial=0) > WHOLE:
        taken = program.solve_whole()
    found = taken.round().astype(np.int64)
    value = sums[base + found].sum()
    # Worth falls within a cell, so that the rows above its price are its first.
    dear = np.cumsum(np.append(0, worth[order] > np.repeat(price, cells.sizes)))
    many = dear[starts + cells.sizes] - dear[starts]
    bound = (sums[base + many] - price * many).sum() + constant
    return found, max(0.0, float((bound - value) / bound)) if bound > 0 else 0.0


def _cut(size: int, pieces: int) -> np.ndarray:
    return np.unique(np.linspace(0, size, min(size, pieces) + 1).astype(np.int64))


def _finer(cut: np.ndarray, x: float) -> np.ndarray:
    """Single rows around `x`, and the pieces beside them halved; the same where they are single already."""
    at = int(x + WHOLE)
    near = np.clip(np.arange(at - 1, at + 3), 0, cut[-1])
    if np.isin(near, cut).all():
        return cut
    before, behind = cut[cut < near[0]][-1:], cut[cut > near[-1]][:1]
    return np.unique(np.concatenate([cut, near, (before + near[0]) // 2, (behind + near[-1]) // 2]))


@dataclass(frozen=True)
class _Program:
    """A piece of a cell is a variable: how many of its rows are taken.

    Attributes:
        mean: (pieces,) worth of a row.
        length: (pieces,) rows.
        to_cell: (cells, pieces) 0 or 1.
        sides: (bounds, cells) what is bounded from above.
        most: (bounds,) by what.
        count: Rows to take.
    """

    mean: np.ndarray
    length: np.ndarray
    to_cell: csr_array
    sides: csr_array
    most: np.ndarray
    count: int

    @classmethod
    def of(
        cls, cells: Cells, cuts: list[np.ndarray], sums: np.ndarray, base: np.ndarray, count: int
    ) -> _Program:
        cell = np.repeat(np.arange(len(cuts)), [len(cut) - 1 for cut in cuts])
        start, end = (np.concatenate([cut[part] for cut in cuts]) for part in (slice(-1), slice(1, None)))
        mean = (sums[base[cell] + end] - sums[base[cell] + start]) / (end - start)
        to_cell = csr_array((np.ones(len(cell)), (cell, range(len(cell)))), shape=(len(cuts), len(cell)))
        above, below = np.flatnonzero(cells.high < count), np.flatnonzero(cells.low > 0)
        sides = csr_array(vstack([cells.member[above], -cells.member[below]]))
        most = np.concatenate([cells.high[above], -cells.low[below]])
        return cls(mean, end - start, to_cell, sides, most, count)

    def solve(self) -> tuple[np.ndarray, np.ndarray, float]:
        """Rows of each cell, fractions perhaps; the price of a row of it; and what the bounds are worth."""
        found = linprog(
            -self.mean,
            A_ub=self.sides @ self.to_cell if len(self.most) else None,
            b_ub=self.most if len(self.most) else None,
            A_eq=np.ones((1, len(self.mean))),
            b_eq=[self.count],
            bounds=np.column_stack([np.zeros(len(self.length)), self.length]),
            method="highs-ds",
        )
        if found.x is None:
            raise RuntimeError(f"the linear program of the constraints was not solved: {found.message}")
        alpha = -found.ineqlin.marginals if len(self.most) else np.empty(0)
        total = -found.eqlin.marginals[0]
        price = total + (self.sides.T @ alpha if len(self.most) else np.zeros(self.to_cell.shape[0]))
        return self.to_cell @ found.x, price, float(total * self.count + alpha @ self.most)

    def solve_whole(self) -> np.ndarray:
        """Rows of each cell, whole; the best that was found in `NODES` steps."""
        ties = [LinearConstraint(np.ones((1, len(self.mean))), self.count, self.count)]
        if len(self.most):
            ties.append(LinearConstraint(self.sides @ self.to_cell, -np.inf, self.most))
        found = milp(
            -self.mean,
            constraints=ties,
            bounds=Bounds(0, self.length),
            integrality=np.ones(len(self.mean)),
            options={"node_limit": NODES, "mip_rel_gap": WHOLE},
        )
        if found.x is None:
            raise RuntimeError(f"the integer program of the constraints was not solved: {found.message}")
        return self.to_cell @ found.x
