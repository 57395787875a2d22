"""What is ranked over a whole catalogue: its items, what users did in training, and what they know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

_FILES = ("catalogue.parquet", "interactions.parquet", "seen.parquet")


@dataclass(frozen=True)
class Catalogue:
    """Beside the shards of a sample table.

    Attributes:
        items: item_id, item (its text), popularity (float64), text (int64: its row in the table of distinct
            texts), by item_id.
        interactions: user_id, item_id of training.
        seen: group_id of a test list, item_id that is no candidate there.
    """

    items: pd.DataFrame
    interactions: pd.DataFrame
    seen: pd.DataFrame


def write_ranking(
    folder: Path,
    catalogue: pd.DataFrame,
    interactions: pd.DataFrame,
    seen: pd.DataFrame,
    texts: Sequence[str],
) -> None:
    """Write the three tables.

    Args:
        folder: Of the sample table.
        catalogue: item_id, item, popularity.
        interactions: user_id, item_id.
        seen: group_id, item_id.
        texts: The distinct texts, in the order of their table.
    """
    place = {text: number for number, text in enumerate(texts)}
    items = catalogue.assign(text=catalogue["item"].map(place))
    for name, table in zip(_FILES, (items, interactions, seen), strict=True):
        table.to_parquet(folder / name, index=False)


def read_ranking(folder: str | Path) -> Catalogue | None:
    """The catalogue of a sample table; None where its test lists hold all their rows."""
    if not (Path(folder) / _FILES[0]).is_file():
        return None
    return Catalogue(*(pd.read_parquet(Path(folder) / name) for name in _FILES))
