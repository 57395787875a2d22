"""What scores are computed from, read from what `ingest`, `embed` and the warm-ups wrote."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from assay.components.core.manifest import read_manifest, sha256_of
from assay.components.core.samples import read_samples, read_shard
from assay.components.score.inputs import Inputs, WarmUp, drawn_from

if TYPE_CHECKING:
    from assay.components.core.ranker import Ranker

TUNED = "target"
"""Among the warm-ups, the one that was trained on the target instead of on a share of the rows."""


def opened(folder: Path, adapter: Path | None = None) -> Ranker:
    """As `open_ranker`; what it stands on is loaded by those alone that open one."""
    from assay.components.core.ranker import open_ranker

    return open_ranker(folder, adapter)


def adapter_of(folder: Path) -> Callable[[], Ranker] | None:
    """Opens the ranker of a model folder with its adapter apart; None where it was trained without one."""
    adapter = folder / "adapter"
    return partial(opened, folder / "ranker", adapter) if adapter.is_dir() else None


def folders_of(warm_ups: str) -> dict[str, str]:
    """{name: model folder} of what `warm_up` wrote, by name: share a's ranker comes first."""
    return {folder.name: str(folder) for folder in sorted(Path(warm_ups).iterdir()) if folder.is_dir()}


def read_warm_ups(folders: dict[str, str]) -> list[WarmUp]:
    """Warm-ups from what `finetune` wrote, {name: folder}; the first scores every row it has not seen."""
    return [
        WarmUp(
            name,
            frozenset(pd.read_parquet(Path(folder) / "rows.parquet")["sample_id"]),
            partial(opened, Path(folder) / "ranker"),
            adapter_of(Path(folder)),
            partial(_digest, Path(folder)),
        )
        for name, folder in folders.items()
    ]


def _digest(folder: Path) -> str:
    """Of ranker and adapter alone: the folder's own also holds how the training went."""
    return "-".join(sha256_of(path) for path in (folder / "ranker", folder / "adapter") if path.is_dir())


def read_inputs(
    samples_folder: str,
    vectors_folder: str,
    warm_up_folders: dict[str, str],
    relevant_at: float,
    seed: int,
    splits: Sequence[str] = ("train",),
    shard: str = "",
) -> Inputs:
    """Inputs from what `ingest`, `embed` and the warm-ups wrote.

    Args:
        samples_folder: A sample table.
        vectors_folder: What `embed` wrote.
        warm_up_folders: {name: model folder of `finetune`}.
        relevant_at: Grade from which a row is relevant.
        seed: Of random draws.
        splits: Rows of which splits are to be scored.
        shard: Of which shard; "" is the whole table.

    Raises:
        ValueError: The vectors are of other samples, or there is no such shard.
    """
    ids = pd.read_parquet(Path(vectors_folder) / "sample_ids.parquet")["sample_id"]
    if not ids.equals(read_samples(samples_folder, columns=["sample_id"])["sample_id"].astype(ids.dtype)):
        raise ValueError(
            f"{vectors_folder} holds vectors of other samples than {samples_folder}: embed again"
        )
    features = np.load(Path(vectors_folder) / "features.npy", mmap_mode="r")
    samples = read_shard(samples_folder, shard)
    samples = samples[samples["split"].isin(list(splits))]
    target = read_samples(samples_folder, ["target"])
    folders = dict(warm_up_folders)
    tuned = read_warm_ups({TUNED: folders.pop(TUNED)}) if TUNED in folders else [None]
    warm_ups, about = read_warm_ups(folders), read_manifest(vectors_folder)

    def draw(name: str) -> pd.DataFrame:
        train = read_samples(samples_folder, ["train"], ["sample_id"])
        chosen = drawn_from(train, warm_ups, seed, name)
        texts = read_samples(
            samples_folder, columns=["sample_id", "context", "item", "label"], ids=chosen["sample_id"]
        )
        return chosen.merge(texts, on="sample_id")

    return Inputs(
        samples.reset_index(drop=True),
        target,
        np.asarray(features[samples.index.to_numpy()]),
        np.asarray(features[ids.isin(target["sample_id"]).to_numpy()]),
        warm_ups,
        relevant_at,
        seed,
        tuned[0],
        about["feature_words"],
        np.load(Path(vectors_folder) / "traits.npy", mmap_mode="r")[samples.index.to_numpy()],
        about["trait_words"],
        draw=draw,
    )
