"""What a scenario found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Found:
    """Of one scenario, as `record` takes it.

    Attributes:
        figures: What was measured.
        budget: {figure: (value, op, bound)}.
        peers: {peer: what it measured}.
    """

    figures: dict[str, Any]
    budget: dict[str, tuple[float, str, float]] = field(default_factory=dict)
    peers: dict[str, Any] = field(default_factory=dict)
