"""Names of arms: `NAME`, `NAME@BUDGET` for another budget than the run's, `NAME:k` for repeat k of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from assay.components.core.errors import BadInput

_SHAPE = re.compile(r"(?P<name>[a-z][a-z0-9_]*)(@(?P<budget>[^@:]+))?(:(?P<repeat>[0-9]+))?")


@dataclass(frozen=True)
class Arm:
    """What one ranker trains on.

    Attributes:
        name: How its rows are chosen: `challenger`, `control`, `full`, or a baseline's.
        budget: Its own; "" is the run's.
        repeat: Number of the repeat: what is drawn at random, the training's seed among it, is drawn anew.
    """

    name: str
    budget: str = ""
    repeat: int = 0

    def __str__(self) -> str:
        """As `parse_arm` reads it."""
        budget = f"@{self.budget}" if self.budget else ""
        return f"{self.name}{budget}{f':{self.repeat}' if self.repeat else ''}"


def parse_arm(text: str) -> Arm:
    """An arm as written.

    Raises:
        BadInput: It is none.
    """
    found = _SHAPE.fullmatch(text)
    if not found:
        raise BadInput(f"arm {text!r}: write NAME, NAME@BUDGET or NAME@BUDGET:REPEAT, e.g. control@0.1:2")
    return Arm(found["name"], found["budget"] or "", int(found["repeat"] or 0))
