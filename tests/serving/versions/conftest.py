"""Versions of one narrow ranker each, as bundles with canary sets that their own rankers have scored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from assay.components.core.manifest import publishing, write_json
from assay.components.core.ranker import new_ranker, open_ranker
from assay.serving.versions.bundle import Bundle, write_bundle
from assay.serving.versions.canary_set import CanarySet

from tests.serving.versions.registry import NAME

CANARY_ROWS = [
    (f"red shoe {g}", f"shoe {'red' if i % 2 else 'blue'} {g} {i * 'x'}") for g in range(8) for i in range(6)
]


@pytest.fixture(scope="session")
def rankers(tiny, tmp_path_factory) -> Callable[[int], Path]:
    """`rankers(seed)`: folder of a cross-encoder of that seed; each is made once.

    That of `-seed` scores the opposite: heads of two seeds may by chance put the same rows first.
    """
    made: dict[int, Path] = {7: tiny.ranker}

    def ranker(seed: int) -> Path:
        if seed not in made:
            made[seed] = tmp_path_factory.mktemp("rankers") / str(seed) / "ranker"
            new = new_ranker("cross", tiny.encoder, seed=abs(seed))
            for weights in new.network.model.classifier.parameters() if seed < 0 else ():
                weights.data.neg_()
            new.save(made[seed])
        return made[seed]

    return ranker


def scored(ranker: Path) -> np.ndarray:
    """(n,) what a ranker makes of the canary rows."""
    opened = open_ranker(ranker)
    contexts, items = zip(*CANARY_ROWS, strict=True)
    return opened.score(opened.tokenise(contexts, items)).astype(np.float64)


def write_canary_set(folder: Path, scores: np.ndarray, graded_by: np.ndarray | None = None) -> Path:
    """A canary set with these scores; the upper half by `graded_by` (or by `scores`) is relevant."""
    graded_by = scores if graded_by is None else graded_by
    rows = pd.DataFrame(CANARY_ROWS, columns=["context", "item"]).assign(
        task="search", score=scores, item_id=[f"i{n}" for n in range(len(scores))]
    )
    rows["group_id"] = rows["context"]
    rows["sample_id"] = [f"{n:032x}" for n in range(len(rows))]
    rows["label"] = (
        rows.assign(by=graded_by)
        .groupby("group_id")["by"]
        .transform(lambda by: by > by.median())
        .astype(float)
    )
    about = {
        "schema": 1,
        "task": "search",
        "metric": "ndcg@10",
        "gain": "linear",
        "relevant_at": 1.0,
        "scale": 0.0,
    }
    with publishing(folder) as (beside, _):
        rows.to_parquet(beside / "canary.parquet", index=False)
        write_json(beside / "canary.json", about)
    return folder


@pytest.fixture
def bundles(rankers, tiny, tmp_path) -> Callable[..., Bundle]:
    """`bundles(version, seed)`: a bundle with canary set and probe; with `canary=None` without."""

    def bundle(version: str, seed: int = 7, canary: Path | None | str = "own") -> Bundle:
        if canary == "own":
            canary = write_canary_set(tmp_path / "sets" / version / "canary", scored(rankers(seed)))
        made = write_bundle(
            tmp_path / "bundles" / version, NAME, version, rankers(seed), tiny.encoder, canary
        )
        if found := CanarySet.read(made):
            found.probe().write(made)
        return made

    return bundle
