"""What a row costs in tokens: a column that says it, or an estimate from the lengths of its texts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq
from assay.components.core.samples import shard_files

BYTES = 4
"""UTF-8 bytes a token. WordPiece of MiniLM: 3.6 to 4.9 on English shop titles, queries and reviews, 3.0 on
Chinese reviews, so that an estimate may be a quarter off; the same for every arm of a set."""
SPECIAL = 3
"""Tokens around and between the two texts."""
COLUMN = "tokens"
ESTIMATE = f"an estimate: ceil(bytes / {BYTES}) of the context and of the item, and {SPECIAL}"


def tokens_of_rows(samples_folder: str, scores_folder: str) -> tuple[np.ndarray, str]:
    """Tokens of each training row, in `sample_id` order, and how they are known.

    Args:
        samples_folder: A sample table; its texts are read block by block.
        scores_folder: Scores; where they have a column `tokens`, it is believed.

    Returns:
        (n,) int64, and a line for the manifest.
    """
    file = Path(scores_folder) / "scores.parquet"
    if COLUMN in pq.ParquetDataset(file).schema.names:
        table = pd.read_parquet(file, columns=["sample_id", COLUMN]).sort_values("sample_id")
        return table[COLUMN].to_numpy(dtype=np.int64), "column tokens of the scores"
    parts = []
    for shard in shard_files(samples_folder):
        for batch in pq.ParquetFile(shard).iter_batches(columns=["split", "context", "item"]):
            batch = batch.filter(pc.equal(batch["split"].cast("string"), "train"))
            lengths = [pc.binary_length(batch[text]).to_numpy() for text in ("context", "item")]
            parts.append(sum(-(-each.astype(np.int64) // BYTES) for each in lengths) + SPECIAL)
    return np.concatenate(parts), ESTIMATE
