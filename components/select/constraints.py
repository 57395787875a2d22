"""Constraints that a user writes: a line of them, and how many rows of each value it asks for."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
from assay.components.core.errors import BadInput

COLUMNS = ("segment", "source", "group_id", "item_id", "label", "task")
"""Of the sample table, that a constraint may name."""
ALIASES = {"category": "segment", "user": "group_id", "list": "group_id", "item": "item_id"}
"""What else a column may be called, where the file of attributes has no column of that name."""
KEYS = ("sample_id", "item_id", "group_id")
"""Columns that the file of attributes may tell them by."""
_SHAPE = re.compile(
    r"(?P<name>\w+)\s*(=\s*(?P<value>.+?))?\s*(?P<sign>>=|<=)\s*(?P<amount>[0-9]+(\.[0-9]+)?)\s*(?P<unit>%|rows)"
)
_GRAMMAR = (
    "write ATTRIBUTE >= N% or ATTRIBUTE=VALUE <= N rows, e.g. category >= 5%, user <= 1%, segment=head <= 40%"
)


@dataclass(frozen=True)
class Constraint:
    """What a line asks for.

    Attributes:
        text: As written.
        name: Of the attribute.
        value: Of the attribute; None is each value on its own.
        least: Whether it asks for so many at least, rather than at most.
        amount: Per cent of the rows selected, or rows.
        percent: Which of the two.
    """

    text: str
    name: str
    value: str | None
    least: bool
    amount: Fraction
    percent: bool

    def rows(self, count: int) -> int:
        """Rows it stands for where `count` are selected: rounded up of the least, down of the most."""
        exact = self.amount * count / 100 if self.percent else self.amount
        return math.ceil(exact) if self.least else math.floor(exact)


def parse_constraint(text: str) -> Constraint:
    """A line: `ATTRIBUTE [= VALUE] (>= | <=) NUMBER (% | rows)`.

    Without a value it is about each value that the training rows have.

    Raises:
        BadInput: It is none, or asks for more than all.
    """
    found = _SHAPE.fullmatch(text.strip())
    if not found:
        raise BadInput(f"constraint {text!r}: {_GRAMMAR}")
    amount, percent = Fraction(found["amount"]), found["unit"] == "%"
    if percent and amount > 100:
        raise BadInput(f"constraint {text!r}: more than 100 %")
    if not percent and amount.denominator != 1:
        raise BadInput(f"constraint {text!r}: rows are whole")
    return Constraint(text.strip(), found["name"], found["value"], found["sign"] == ">=", amount, percent)


@dataclass(frozen=True)
class Attribute:
    """Values of n rows.

    Attributes:
        code: (n,) int64, a place in `values`; -1 has none.
        values: As text.
    """

    code: np.ndarray
    values: list[str]

    def place(self, value: str) -> int:
        """Where a value is in `values`; as a number where both are. -1 where it is not."""
        if value in self.values:
            return self.values.index(value)
        try:
            wanted = round(float(value), 2)
            return next(at for at, known in enumerate(self.values) if float(known) == wanted)
        except (ValueError, StopIteration):
            return -1


def read_attributes(file: str) -> pd.DataFrame:
    """The file of attributes: a csv or parquet table, whose first column says whose they are.

    Returns:
        Indexed by its first column, one of `KEYS`; the others as text, null where unknown.

    Raises:
        BadInput: It is none, or says something twice.
    """
    try:
        table = pd.read_parquet(file) if Path(file).suffix == ".parquet" else pd.read_csv(file, dtype=str)
    except (OSError, ValueError) as error:
        raise BadInput(f"attributes {file}: cannot be read as csv or parquet: {error}") from None
    key = str(table.columns[0])
    if key not in KEYS:
        raise BadInput(f"attributes {file}: the first column is {key!r}; it must be one of {', '.join(KEYS)}")
    table = table.set_index(table[key].astype(str).rename(key)).drop(columns=key)
    if table.index.has_duplicates:
        twice = table.index[table.index.duplicated()][0]
        raise BadInput(f"attributes {file}: {key} {twice!r} is there twice; keep one row of it")
    return table


def meant(name: str, attributes: pd.DataFrame | None) -> str:
    """The attribute of a name: one of the file, else a column of the sample table by its own name."""
    return name if attributes is not None and name in attributes else ALIASES.get(name, name)


def columns_of(
    constraints: Sequence[Constraint], attributes: pd.DataFrame | None, keys: bool = True
) -> list[str]:
    """Columns of the sample table that constraints are about; with `keys`, by way of the attributes, too.

    Raises:
        BadInput: One is about no attribute.
    """
    extra = [] if attributes is None else list(attributes)
    wanted = {str(attributes.index.name)} if keys and attributes is not None else set()
    for constraint in constraints:
        name = meant(constraint.name, attributes)
        if name not in [*extra, *COLUMNS]:
            raise BadInput(
                f"constraint {constraint.text!r}: no attribute {name}; there are "
                f"{', '.join([*COLUMNS, *ALIASES, *extra])}"
            )
        if name not in extra:
            wanted.add(name)
    return sorted(wanted)


def attribute(name: str, rows: pd.DataFrame, attributes: pd.DataFrame | None) -> Attribute:
    """The values that rows have of an attribute.

    Args:
        name: As `meant` gives it.
        rows: (n,) the columns of `columns_of`.
        attributes: What `read_attributes` read.
    """
    if attributes is not None and name in attributes:
        at = attributes.index.get_indexer(pd.Index(rows[str(attributes.index.name)]))
        codes, values = pd.factorize(attributes[name].astype("string"))
        return Attribute(np.where(at < 0, -1, codes[at]), [str(value) for value in values])
    column = rows[name]
    codes, values = pd.factorize(column.round(2) if column.dtype.kind == "f" else column)
    return Attribute(codes, pd.Series(values).astype(str).tolist())


@dataclass(frozen=True)
class Demand:
    """What one line asks of each value of one attribute.

    Attributes:
        line: What asks for it, for people.
        name: Of the attribute.
        low: (values,) int64 rows at least.
        high: (values,) int64 rows at most.
    """

    line: str
    name: str
    low: np.ndarray
    high: np.ndarray


def demand(constraint: Constraint, name: str, of: Attribute, count: int) -> Demand:
    """What a constraint asks for where `count` rows are selected.

    Raises:
        BadInput: No training row has the value that it names.
    """
    asked = np.ones(len(of.values), dtype=bool)
    if constraint.value is not None:
        at = of.place(constraint.value)
        if at < 0:
            some = ", ".join(of.values[:8]) + (", ..." if len(of.values) > 8 else "")
            raise BadInput(
                f"constraint {constraint.text!r}: no training row has that value; there are {some}"
            )
        asked = np.arange(len(of.values)) == at
    rows = constraint.rows(count)
    low = np.where(asked & constraint.least, rows, 0)
    high = np.where(asked & (not constraint.least), rows, count)
    return Demand(constraint.text, name, low, high)
