"""The ledger: what was dropped or repaired, why, with examples; rows in + added = rows out + dropped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

EXAMPLES = 20


@dataclass
class Ledger:
    """Counts by reason, in snake case.

    Attributes:
        rows_in: Rows of the file.
        added: {reason: samples that no row stands behind}, as negatives that were drawn.
        dropped: {reason: rows that did not become a sample}.
        repaired: {reason: rows that did, changed}.
        noted: {reason: rows that are as they were, but worth a look}.
        examples: {reason: the first few of them}.
    """

    rows_in: int = 0
    added: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    repaired: dict[str, int] = field(default_factory=dict)
    noted: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def _count(self, where: dict[str, int], reason: str, rows: int, examples: Sequence[Any]) -> None:
        if rows:
            where[reason] = where.get(reason, 0) + int(rows)
            if len(examples):
                kept = self.examples.setdefault(reason, [])
                kept.extend(str(e) for e in examples[: EXAMPLES - len(kept)])

    def add(self, reason: str, rows: int) -> None:
        """Count samples that are made, not read."""
        self._count(self.added, reason, rows, ())

    def drop(self, reason: str, rows: int, examples: Sequence[Any] = ()) -> None:
        """Count dropped rows; nothing is counted for none."""
        self._count(self.dropped, reason, rows, examples)

    def repair(self, reason: str, rows: int, examples: Sequence[Any] = ()) -> None:
        """Count repaired rows."""
        self._count(self.repaired, reason, rows, examples)

    def note(self, reason: str, rows: int, examples: Sequence[Any] = ()) -> None:
        """Count rows worth a look."""
        self._count(self.noted, reason, rows, examples)

    def counts(self) -> dict[str, Any]:
        """All of it as JSON, of a part of a log whose rows are not out yet."""
        return asdict(self)

    def take(self, counts: Mapping[str, Any]) -> None:
        """Add what `counts` gave of a part."""
        self.rows_in += counts["rows_in"]
        for kind in ("added", "dropped", "repaired", "noted"):
            for reason, rows in counts[kind].items():
                self._count(getattr(self, kind), reason, rows, counts["examples"].get(reason, ()))

    def as_dict(self, samples: int) -> dict[str, Any]:
        """The ledger as JSON; checks that it reconciles.

        Args:
            samples: How many there are; `rows_out` of them have rows of the log behind them, and
                rows_in = rows_out + what was dropped.

        Raises:
            AssertionError: Rows were lost without a reason, which is a defect of ours.
        """
        rows_out = samples - sum(self.added.values())
        lost = self.rows_in - rows_out - sum(self.dropped.values())
        assert lost == 0, f"{lost} rows of {self.rows_in} vanished without a reason: {self.dropped}"
        return {
            "rows_in": self.rows_in,
            "rows_out": rows_out,
            "added": self.added,
            "dropped": self.dropped,
            "repaired": self.repaired,
            "noted": self.noted,
            "examples": self.examples,
        }
