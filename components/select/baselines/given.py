"""What a baseline may look at; read once, and what is dear only when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from assay.components.core.errors import BadInput
from assay.components.core.manifest import read_manifest
from assay.components.core.samples import hash_unit, read_samples
from assay.components.core.vectors import SAMPLE_IDS, row_vectors

FEATURES = "features.npy"
COLUMNS = ("sample_id", "task", "group_id", "context", "item", "item_id", "label", "grade", "segment")
"""Of samples and target."""

Rows = Callable[[Sequence[str]], np.ndarray]
"""(n,) sample ids -> (n, d) float32."""


@dataclass(frozen=True)
class Given:
    """All that a baseline may look at, in `sample_id` order whatever the order it came in.

    Attributes:
        samples: (n,) training rows, the columns of `COLUMNS`.
        target: (t,) rows of the target, the same.
        relevant_at: Grade from which a row is relevant.
        scores: (n,) sample_id and a column a method; None where nothing was scored.
        vectors: Gives the unit vectors of rows, of training and target alike; None where there are none.
        features: Gives the features of rows, likewise.
    """

    samples: pd.DataFrame
    target: pd.DataFrame
    relevant_at: float
    scores: pd.DataFrame | None = None
    vectors: Rows | None = None
    features: Rows | None = None

    def __post_init__(self) -> None:
        for name in ("samples", "target"):
            ordered = getattr(self, name).sort_values("sample_id").reset_index(drop=True)
            object.__setattr__(self, name, ordered)

    @property
    def ids(self) -> np.ndarray:
        """(n,) sample ids of the training rows."""
        return self.samples["sample_id"].to_numpy(dtype=object)

    @property
    def target_ids(self) -> np.ndarray:
        """(t,) sample ids of the target's rows."""
        return self.target["sample_id"].to_numpy(dtype=object)

    def draws(self, salt: str) -> np.ndarray:
        """(n,) float64 in [0, 1), a function of each training row's id and the salt."""
        return hash_unit(self.ids.tolist(), salt)

    def score(self, name: str) -> np.ndarray:
        """(n,) float64 of one method.

        Raises:
            BadInput: It was not computed, or not of these rows.
        """
        if self.scores is None or name not in self.scores:
            raise BadInput(
                f"arm {name}: no score {name} was computed; add it to the methods, or leave the arm out"
            )
        found = self.scores.set_index("sample_id")[name].reindex(self.ids).to_numpy(dtype=np.float64)
        if np.isnan(found).any():
            raise BadInput(
                f"arm {name}: {int(np.isnan(found).sum())} of {len(found)} training rows have no score; "
                "score these samples again"
            )
        return found


def row_features(vectors_folder: str | Path, ids: Sequence[str]) -> np.ndarray:
    """The features of some rows.

    Args:
        vectors_folder: What `embed` wrote.
        ids: (n,) sample ids.

    Returns:
        (n, k) float32.

    Raises:
        KeyError: There are no features of a row.
    """
    known = pd.Index(pd.read_parquet(Path(vectors_folder) / SAMPLE_IDS)["sample_id"])
    place = known.get_indexer(pd.Index(ids))
    if (place < 0).any():
        raise KeyError(f"{vectors_folder} holds no features of {int((place < 0).sum())} of {len(place)} rows")
    return np.asarray(np.load(Path(vectors_folder) / FEATURES, mmap_mode="r")[place])


def read_given(samples_folder: str, scores_folder: str = "", vectors_folder: str = "") -> Given:
    """What `ingest`, `score` and `embed` wrote; vectors and features are left on disk until asked for.

    Args:
        samples_folder: A sample table.
        scores_folder: What `score` wrote; "" is nothing.
        vectors_folder: What `embed` wrote; "" is nothing.
    """
    return Given(
        read_samples(samples_folder, ["train"], COLUMNS),
        read_samples(samples_folder, ["target"], COLUMNS),
        read_manifest(samples_folder)["relevant_at"],
        pd.read_parquet(Path(scores_folder) / "scores.parquet") if scores_folder else None,
        partial(row_vectors, vectors_folder) if vectors_folder else None,
        partial(row_features, vectors_folder) if vectors_folder else None,
    )
