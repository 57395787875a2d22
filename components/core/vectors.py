"""What `embed` wrote, read again: the vectors of rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

SAMPLE_IDS, TEXTS, PAIRS = "sample_ids.parquet", "texts.npy", "pairs.npy"


def row_vectors(vectors_folder: str | Path, ids: Sequence[str]) -> np.ndarray:
    """The vectors of some rows: those of context and item side by side, each of length sqrt(1/2).

    The cosine of two rows is the mean of their contexts' and of their items' cosine.

    Args:
        vectors_folder: What `embed` wrote.
        ids: (n,) sample ids.

    Returns:
        (n, 2 d) float32, unit length.

    Raises:
        KeyError: There is no vector of a row.
    """
    folder = Path(vectors_folder)
    known = pd.Index(pd.read_parquet(folder / SAMPLE_IDS)["sample_id"])
    place = known.get_indexer(pd.Index(ids))
    if (place < 0).any():
        raise KeyError(f"{folder} holds no vectors of {int((place < 0).sum())} of {len(place)} rows")
    texts = np.load(folder / TEXTS, mmap_mode="r")
    pairs = np.load(folder / PAIRS, mmap_mode="r")[place]
    return np.hstack([texts[pairs[:, 0]], texts[pairs[:, 1]]]) * np.float32(np.sqrt(0.5))
