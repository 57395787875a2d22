"""Budgets: how many rows to keep, said as a share, a count, tokens, minutes of training, or `auto`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from assay.components.core.errors import BadInput

HINT = (
    "write a fraction in (0, 1], e.g. 0.3, a count of rows from 2 up, e.g. 5000, tokens, e.g. 200000tokens, "
    "minutes of training, e.g. 30gpu-min, or auto"
)
_SHAPE = re.compile(r"(?P<amount>.+?)\s*(?P<unit>tokens|gpu-min)")


@dataclass(frozen=True)
class Measured:
    """A budget that is no number of rows.

    Attributes:
        unit: `tokens`, `gpu-min`, or `auto`.
        amount: How many; 0 for `auto`.
    """

    unit: str
    amount: float = 0.0

    def __str__(self) -> str:
        """As `parse_budget` reads it."""
        return "auto" if self.unit == "auto" else f"{self.amount:.15g}{self.unit}"


def parse_budget(text: str) -> float | int | Measured:
    """A budget as written: a float in (0, 1] is a fraction, an integer >= 2 a count; 1 is all.

    `200000tokens` is so many tokens, `30gpu-min` so many minutes of training, `auto` what a curve of cheap
    rankers says.

    Raises:
        BadInput: It is none of these.
    """
    written = text.strip()
    if written == "auto":
        return Measured("auto")
    found = _SHAPE.fullmatch(written)
    try:
        value = float(found["amount"] if found else written)
    except ValueError:
        raise BadInput(f"--budget {text}: not a number; {HINT}") from None
    if found and math.isfinite(value) and value > 0:
        return Measured(found["unit"], value)
    if not found and math.isfinite(value) and 0 < value <= 1:
        return value
    if not found and math.isfinite(value) and value >= 2 and value == int(value):
        return int(value)
    raise BadInput(f"--budget {text}: {HINT}")


def rows_of_budget(budget: float | int | Measured, rows: int, seconds_per_row: float = 0.0) -> int:
    """How many of `rows` training rows a budget keeps: floor(B n + 0.5) of a fraction, a count as it is.

    Minutes are turned into rows by what a row costs, and are a cap: with more than enough of them, all rows
    are kept. Tokens and `auto` depend on which rows these are; of them this is the most there can be, `rows`.

    Args:
        budget: What `parse_budget` read.
        rows: Training rows there are.
        seconds_per_row: What training on a row takes, all epochs together; for minutes.

    Raises:
        BadInput: It keeps none, or more than there are, or the cost of a row is not given.
    """
    kept: int
    if isinstance(budget, Measured) and budget.unit == "gpu-min":
        if not seconds_per_row > 0:
            raise BadInput(
                f"--budget {budget}: what a row costs is not known; set seconds_per_row to the measured "
                "seconds that training takes a row, all epochs together"
            )
        kept = min(rows, math.floor(budget.amount * 60 / seconds_per_row))
    elif isinstance(budget, Measured):
        kept = rows
    else:
        kept = budget if isinstance(budget, int) else math.floor(budget * rows + 0.5)
    if kept > rows:
        raise BadInput(f"--budget {budget}: there are only {rows} training rows")
    if kept < 1:
        raise BadInput(f"--budget {budget}: keeps none of {rows} training rows")
    return kept


def rows_within(cost: Callable[[int], float], rows: int, budget: Measured) -> int:
    """The most rows whose cost is within a budget, where the rows of an arm are a function of their number.

    A larger choice may leave out a row that a smaller one holds, so that cost rises almost always but not
    always: the search ends at a number that fits while the next, as far as it looked, does not.

    Args:
        cost: Rows -> what they cost together, in the budget's unit.
        rows: The most there can be.
        budget: `amount` is the most they may cost.

    Raises:
        BadInput: Not even one row fits.
    """
    low, high, guess, halve = 0, rows + 1, rows, False
    while high - low > 1:
        found = cost(guess)
        low, high = (guess, high) if found <= budget.amount else (low, guess)
        # A row costs about what the others do; halving in between bounds the number of steps.
        aimed = math.floor(guess * budget.amount / found) if found else high
        guess = (low + high) // 2 if halve else min(max(aimed, low + 1), high - 1)
        halve = not halve
    if low < 1:
        raise BadInput(f"--budget {budget}: not even one row of {rows} fits")
    return low
