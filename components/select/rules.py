"""The settings of a selection beside its budget; they check themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from assay.components.core.errors import BadInput
from assay.components.select.constraints import parse_constraint
from assay.components.select.decisions import NOISY

GROUP = ("rows", "whole")


@dataclass(frozen=True)
class Rules:
    """How the challenger's rows are chosen; the defaults are the plainest of each.

    Attributes:
        noisy: What becomes of rows that look mislabelled: `drop`, `relabel`, `downweight`, `keep`.
        soft: Rows count by their importance, 1 on average, rather than 1 each.
        duplicates: Cosine from which rows are near-duplicates, one of which is kept; 0 is none.
        by_segment: Quotas by (task, label, segment) rather than by (task, label).
        floor: What each segment keeps at least of its own plausible rows: a share in (0, 1), or so many rows,
            from 1 up; 0 is nothing.
        group: `rows`, or `whole`: lists are taken or left whole.
        constraints: Lines such as `category >= 5%`; see `parse_constraint`.
        attributes: File of attributes that constraints may name: see `attribute_codes`; "" is none.
        coverage: How rows are chosen within a stratum, a name of `COVERAGE`; `top` is by importance alone.
        explore: Share of the rows that are drawn at random.
        seconds_per_row: Seconds that training takes a row, all epochs together; for a budget in minutes.
        least: Rows below which the budget `auto` tries none: for rankers that start with a new head.

    Raises:
        BadInput: A setting is none, or two do not go together.
    """

    noisy: str = "drop"
    soft: bool = False
    duplicates: float = 0.0
    by_segment: bool = False
    floor: float = 0.0
    group: str = "rows"
    constraints: tuple[str, ...] = ()
    attributes: str = ""
    coverage: str = "top"
    explore: float = 0.0
    seconds_per_row: float = 0.0
    least: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "constraints", tuple(self.constraints))
        object.__setattr__(self, "coverage", self.coverage or "top")
        _one_of("noisy", self.noisy, NOISY)
        _one_of("group", self.group, GROUP)
        if self.coverage != "top":
            from assay.components.select.coverage.methods import coverage

            coverage(self.coverage)
        for name in ("duplicates", "explore"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadInput(f"rules: {name} {getattr(self, name)}: write a number in [0, 1]")
        if not (0 <= self.floor < 1 or self.floor == int(self.floor) > 0):
            raise BadInput(
                f"rules: floor {self.floor}: write a share in [0, 1) of each segment's rows, or a whole "
                "number of rows"
            )
        if not self.seconds_per_row >= 0:
            raise BadInput(f"rules: seconds_per_row {self.seconds_per_row}: write seconds, 0 or more")
        if self.least < 0:
            raise BadInput(f"rules: least {self.least}: write a number of rows, 0 or more")
        for line in self.constraints:
            parse_constraint(line)
        if self.attributes and not self.constraints:
            raise BadInput("rules: attributes are there for constraints, and there are none")
        alone = [name for name in ("floor", "explore", "by_segment", "constraints") if getattr(self, name)]
        alone += ["coverage"] if self.coverage != "top" else []
        if self.group == "whole" and alone:
            raise BadInput(
                f"rules: group whole takes whole lists by their mean importance, and {', '.join(alone)} "
                "would take some of their rows; leave one out"
            )

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Rules:
        """Rules from names and values, e.g. of a YAML file.

        Raises:
            BadInput: There is no such setting, or as the class says.
        """
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(given) - set(known))
        if unknown:
            raise BadInput(f"rules: no setting {', '.join(unknown)}; there are {', '.join(known)}")
        return cls(**given)


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise BadInput(f"rules: {name} {value!r}: write one of {', '.join(known)}")
