"""Scored rows in, a selection out: numbers of all rows in memory, texts and lines block by block."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from assay.components.core.manifest import publishing
from assay.components.core.samples import hash_unit, read_samples

SELECTION, CONFLICTS = "selection.parquet", "conflicts.parquet"
IDS = ["sample_id", "group_id", "item_id"]
SCORED = ["sample_id", "importance", "noise", "decision", "reason", "suggested_label"]
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in [*IDS, "arm"]),
        ("label", pa.float32()),
        ("weight", pa.float32()),
        ("importance", pa.float64()),
        *((name, pa.string()) for name in ["decision", "reason", "why"]),
    ]
)
"""Of a selection: `label` is what the row is trained on, `weight` what its own weight is multiplied by, `why`
a line for people."""
ROWS = 1 << 16
"""Of a block, which is a row group of the selection."""


def read_scored(samples_folder: str, scores_folder: str, columns: Sequence[str]) -> pd.DataFrame:
    """Training rows and their scores, in `sample_id` order whatever the order and shards of either.

    Args:
        samples_folder: A sample table.
        scores_folder: What `score` wrote; `scores.parquet` may be a folder of shards.
        columns: Of the sample table, beside ids, task and label.

    Returns:
        Index 0..n-1; ids, task, label, `columns`, and of `SCORED` what there is.

    Raises:
        ValueError: The scores are of other rows.
    """
    wanted = list(dict.fromkeys([*IDS, "task", "label", *columns]))
    samples = read_samples(samples_folder, ["train"], wanted)
    # What reading needed for a while is twice what is kept.
    pa.default_memory_pool().release_unused()
    file = Path(scores_folder) / "scores.parquet"
    there = set(pq.ParquetDataset(file).schema.names)
    read = [name for name in SCORED if name in there]
    scores = pq.read_table(file, columns=read, read_dictionary=["decision", "reason"]).to_pandas()
    if not _same(samples, scores):
        scores = scores.sort_values("sample_id").reset_index(drop=True)
        if not _same(samples, scores):
            raise ValueError(f"{scores_folder} scores other rows than {samples_folder}: score again")
    for name in read[1:]:
        samples[name] = scores[name].astype("category") if name in ("decision", "reason") else scores[name]
    del scores
    pa.default_memory_pool().release_unused()
    return samples if "suggested_label" in there else samples.assign(suggested_label=np.nan)


def _same(samples: pd.DataFrame, scores: pd.DataFrame) -> bool:
    return samples["sample_id"].equals(scores["sample_id"].astype(samples["sample_id"].dtype))


def at(rows: pd.DataFrame, some: np.ndarray) -> pd.DataFrame:
    """Some rows, by ascending place. Sliced first: taking from a long text column would copy all of it."""
    first = int(some[0]) if len(some) else 0
    last = int(some[-1]) + 1 if len(some) else 0
    return rows.iloc[first:last].iloc[some - first]


def draws(ids: pd.Series, salt: str) -> np.ndarray:
    """(n,) float64 in [0, 1), a function of each row's id and the salt; ids are made text block by block."""
    parts = [hash_unit(ids.iloc[start : start + ROWS].tolist(), salt) for start in range(0, len(ids), ROWS)]
    return np.concatenate(parts) if parts else np.empty(0)


def first(values: np.ndarray, count: int) -> np.ndarray:
    """(count,) places of the smallest values, in their order; of equals the first."""
    return np.argsort(values, kind="stable")[:count]


def publish(
    folder: str,
    arms: Mapping[str, Iterable[pd.DataFrame]],
    samples_manifest: Mapping[str, Any],
    about: Mapping[str, Any],
    conflicts: pd.DataFrame | None = None,
) -> None:
    """Write a selection: the blocks of each arm, by its name.

    Args:
        folder: Gets `SELECTION`, and `CONFLICTS` where there are any to tell of.
        arms: {arm: blocks of the columns of `SCHEMA` but arm, in `sample_id` order}.
        samples_manifest: Of the samples.
        about: For the manifest.
        conflicts: Near-duplicates whose labels differ.
    """
    with (
        publishing(folder, samples_sha256=samples_manifest["sha256"], **about) as (beside, _),
        pq.ParquetWriter(beside / SELECTION, SCHEMA) as writer,
    ):
        for arm in sorted(arms):
            for block in arms[arm]:
                filled = block.assign(arm=arm)[SCHEMA.names]
                writer.write_table(pa.Table.from_pandas(filled, schema=SCHEMA, preserve_index=False))
        if conflicts is not None:
            conflicts.to_parquet(beside / CONFLICTS, index=False)
