"""The work of `influence` and `memory`: real graded pairs, and a ranker that has learnt a little of them."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
import torch
from assay.components.core.checkpoints import ENCODER, resolve
from assay.components.core.ranker import Pairs, Ranker, new_ranker


def texts() -> pd.DataFrame:
    """Real graded pairs: context, item, label. MSRD where ASSAY_DATA is, else the simulated store."""
    folder = os.environ.get("ASSAY_DATA", "")
    if folder:
        pairs = pd.read_parquet(f"{folder}/search_msrd_movies/pairs.parquet")
        found = pairs[["query", "product_title", "grade"]]
    else:
        from assay.examples.store.config import StoreConfig
        from assay.examples.store.simulate import simulate

        found = simulate(StoreConfig()).judgments[["query", "title", "grade"]]
    found = found.set_axis(["context", "item", "label"], axis=1).dropna().sample(frac=1, random_state=0)
    # Both classes alike, so that the target's gradient is not that of one class.
    parts = [part.head(60_000) for _, part in found.groupby(found["label"] > 0)]
    n = min(map(len, parts))
    return pd.concat([part.head(n) for part in parts]).sample(frac=1, random_state=1).reset_index(drop=True)


def rows_of(ranker: Ranker, frame: pd.DataFrame) -> Pairs:
    """Tokenised, longest first within the whole, so that every batch of any size is of one length."""
    pairs = ranker.tokenise(
        frame["context"].tolist(), frame["item"].tolist(), (frame["label"] > 0).to_numpy()
    )
    return pairs.subset(np.argsort(-pairs.lengths, kind="stable"))


def warmed(frame: pd.DataFrame) -> Ranker:
    """A ranker that has learnt a little: gradients of an untrained head are noise."""
    ranker = new_ranker("cross", resolve(ENCODER), 0)
    optimiser = torch.optim.AdamW(ranker.parameters(), lr=5e-5)
    pairs = rows_of(ranker, frame)
    for number in np.random.default_rng(0).permutation(len(pairs)).reshape(-1, 16):
        optimiser.zero_grad()
        ranker.losses(pairs.batch(number.tolist())).mean().backward()
        optimiser.step()
    return ranker.eval()
