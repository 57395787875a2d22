"""A version with a canary set, prepared once: an export takes seconds."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from assay.components.core.manifest import write_json
from assay.serving.engine.backends.choose import BackendSettings
from assay.serving.engine.backends.cosine import ScaledCosine
from assay.serving.engine.backends.network import open_network
from assay.serving.engine.backends.prepare import prepare
from assay.serving.engine.backends.scoring import scored
from assay.serving.engine.tokens import Tokenizer
from assay.serving.versions.bundle import Bundle, write_bundle
from assay.serving.versions.canary_set import FACTS, FILE

WORDS = ["red", "blue", "steel", "shoe", "kettle", "lamp", "tent", "winter", "42", "of", "children", "漢字"]


def texts(n: int, seed: int) -> list[str]:
    """Texts of 1 to 12 words."""
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, rng.integers(1, 13))) for _ in range(n)]


def with_canary(bundle: Bundle, groups: int = 16, rows: int = 10) -> Bundle:
    """The bundle with a canary set whose labels follow the ranker's own order: another one is worse."""
    n = groups * rows
    pairs = list(zip(np.repeat(texts(groups, 1), rows).tolist(), texts(n, 2), strict=True))
    head = ScaledCosine.open(bundle.ranker) if bundle.kind == "bi" else None
    network = open_network(bundle.ranker, bundle.kind, "torch-fp32")
    scores = scored(network, Tokenizer(bundle.ranker), head, pairs).reshape(groups, rows)
    best = scores.argsort(axis=1).argsort(axis=1) >= rows - 3
    table = pd.DataFrame(pairs, columns=["context", "item"])
    table["group_id"] = np.repeat([f"g{number}" for number in range(groups)], rows)
    table["label"] = best.ravel().astype(float)
    table["sample_id"] = [f"{number:09}" for number in range(n)]
    table["score"] = scores.ravel().astype(float)
    with tempfile.TemporaryDirectory() as beside:
        table.to_parquet(Path(beside) / FILE)
        write_json(
            Path(beside) / FACTS,
            {"metric": "ndcg@10", "relevant_at": 0.5, "gain": "exponential", "scale": 0.0},
        )
        return write_bundle(
            bundle.folder, bundle.name, bundle.version, bundle.ranker, bundle.encoder, Path(beside)
        )


@dataclass(frozen=True)
class Prepared:
    """A bundle that was prepared, to be copied by those who change it."""

    bundle: Bundle

    def copy(self, folder: Path) -> Bundle:
        """Another one like it."""
        return Bundle.open(shutil.copytree(self.bundle.folder, folder / "bundle"))


@pytest.fixture(scope="session")
def small(tiny, tmp_path_factory) -> Prepared:
    """The tiny cross-encoder with a canary set, prepared for `auto`."""
    folder = tmp_path_factory.mktemp("small") / "1"
    bundle = with_canary(write_bundle(folder, "assay-search", "1", tiny.ranker, tiny.encoder))
    prepare(bundle.folder, BackendSettings())
    return Prepared(bundle)
