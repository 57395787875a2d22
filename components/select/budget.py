"""Budgets: how many of n rows to keep."""

from __future__ import annotations

import math

from assay.components.core.errors import BadInput


def parse_budget(text: str) -> float | int:
    """A budget as written: a float in (0, 1] is a fraction, an integer >= 2 a count; 1 is all.

    Raises:
        BadInput: It is neither.
    """
    hint = "write a fraction in (0, 1], e.g. 0.3, or a count of rows from 2 up, e.g. 5000"
    try:
        value = float(text)
    except ValueError:
        raise BadInput(f"--budget {text}: not a number; {hint}") from None
    if math.isfinite(value) and 0 < value <= 1:
        return value
    if math.isfinite(value) and value >= 2 and value == int(value):
        return int(value)
    raise BadInput(f"--budget {text}: {hint}")


def rows_of_budget(budget: float | int, rows: int) -> int:
    """How many of `rows` training rows a budget keeps: floor(B n + 0.5) of a fraction, a count as it is.

    Raises:
        BadInput: It keeps none, or more than there are.
    """
    kept = budget if isinstance(budget, int) else math.floor(budget * rows + 0.5)
    if kept > rows:
        raise BadInput(f"--budget {budget}: there are only {rows} training rows")
    if kept < 1:
        raise BadInput(f"--budget {budget}: keeps none of {rows} training rows")
    return kept
