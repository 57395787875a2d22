"""The canary set of a bundle: test rows of the run that made the version, with what it scored them then."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
from assay.components.core.errors import BadInput
from assay.components.core.metrics import METRICS, Lists
from assay.serving.versions.bundle import Bundle
from assay.serving.versions.probe import ROWS, Probe

FILE, FACTS = "canary.parquet", "canary.json"


@dataclass(frozen=True)
class CanarySet:
    """Test rows of the run that made a version.

    Attributes:
        rows: (context, item) texts.
        registered: (n,) float64 scores of the registered ranker.
        lists: Their lists and grades.
        metric: The primary metric of the task.
    """

    rows: list[tuple[str, str]]
    registered: np.ndarray
    lists: Lists
    metric: str

    @classmethod
    def read(cls, bundle: Bundle) -> CanarySet | None:
        """That of a checked bundle; None where it has none, or all its rows were erased.

        Raises:
            BadInput: It cannot be read.
        """
        if bundle.canary is None:
            return None
        import pandas as pd

        try:
            about = json.loads((bundle.canary / FACTS).read_text())
            table = pd.read_parquet(bundle.canary / FILE)
            metric = about["metric"]
            if metric not in METRICS:
                raise ValueError(f"there is no metric {metric!r}")
            lists = Lists(
                table["group_id"].to_numpy(dtype=str),
                table["label"].to_numpy(dtype=np.float64),
                table["sample_id"].to_numpy(dtype=str),
                about["relevant_at"],
                about["gain"],
                about["scale"],
            )
            rows = list(zip(table["context"].tolist(), table["item"].tolist(), strict=True))
            registered = table["score"].to_numpy(dtype=np.float64)
        except Exception as error:  # Of parquet, JSON or columns: there are many kinds.
            raise BadInput(f"{bundle.canary}: the canary set cannot be read: {error!r}") from error
        return cls(rows, registered, lists, metric) if rows else None

    @property
    def measurable(self) -> bool:
        """Whether the metric says anything: a list can be ranked, or there are rows of both kinds."""
        if METRICS[self.metric].by_list:
            return bool(self.lists.ranked())
        return len(np.unique(self.lists.relevant)) == 2

    def probe(self, backend: str = "", scores: np.ndarray | None = None) -> Probe:
        """Some of the rows, from all over the set.

        Args:
            backend: With which the set was scored.
            scores: (n,) what that gave; None before.
        """
        chosen = np.unique(np.linspace(0, len(self.rows) - 1, min(ROWS, len(self.rows))).astype(int))
        now = () if scores is None else tuple(float(scores[i]) for i in chosen)
        registered = tuple(float(self.registered[i]) for i in chosen)
        return Probe(tuple(self.rows[i] for i in chosen), registered, backend, now)
