"""The probe: a few rows of the canary set, scored again in the process that is to answer with the version."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
from assay.components.core.manifest import write_json
from assay.serving.versions.bundle import PROBE, Bundle
from assay.serving.versions.opened import Opened, full_precision

ROWS = 32
"""Rows of a probe: it shows that a model is the one that was checked, the whole set shows that it is good."""


@dataclass(frozen=True)
class Probe:
    """Rows and the scores they must get.

    Attributes:
        rows: (context, item) texts.
        registered: (n,) what the ranker scored when it was registered, in full precision.
        backend: With which the version was checked on this machine; "" before.
        scores: (n,) what that gave.
    """

    rows: tuple[tuple[str, str], ...]
    registered: tuple[float, ...]
    backend: str = ""
    scores: tuple[float, ...] = ()

    def write(self, bundle: Bundle) -> None:
        """Put it into a bundle's folder."""
        write_json(bundle.folder / PROBE, {"schema": 1, **vars(self)})

    @classmethod
    def read(cls, bundle: Bundle) -> Probe | None:
        """That of a bundle; None where it has none."""
        try:
            found = json.loads((bundle.folder / PROBE).read_text())
        except FileNotFoundError:
            return None
        rows = tuple((context, item) for context, item in found["rows"])
        return cls(rows, tuple(found["registered"]), found["backend"], tuple(found["scores"]))

    def objection(self, model: Opened, difference: float) -> str:
        """Why a model is not the one that was registered and checked; "" where it is.

        Args:
            model: It, open.
            difference: Of two scores that still count as one.
        """
        scores = model.score(self.rows)
        if objection := odd(scores, self.registered):
            return objection
        if model.backend == self.backend:
            expected, whose = self.scores, "when it was checked"
        elif full_precision(model.backend):
            expected, whose = self.registered, "when it was registered"
        else:
            return ""
        if not full_precision(model.backend):
            # Lower precision rounds by what else is in the batch.
            difference *= 50
        apart = float(np.abs(scores - np.asarray(expected)).max())
        if apart > difference:
            return f"a canary row scores {apart:.2g} away from what it did {whose}; {difference:g} is allowed"
        return ""


def odd(scores: np.ndarray, registered: np.ndarray | tuple[float, ...]) -> str:
    """Why scores cannot be a ranker's; "" where they can.

    Args:
        scores: (n,) now.
        registered: (n,) when the version was registered.
    """
    if not np.isfinite(scores).all():
        return f"{int((~np.isfinite(scores)).sum())} of {len(scores)} canary rows score no finite number"
    if len(scores) > 1 and np.ptp(scores) == 0 and np.ptp(registered) > 0:
        return f"all {len(scores)} canary rows get the same score"
    return ""
