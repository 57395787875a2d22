"""Samples -> vectors: distinct texts once each, then the features of every sample."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from assay.components.core.checkpoints import resolve
from assay.components.core.manifest import publishing, read_manifest
from assay.components.core.progress import steps
from assay.components.core.ranker import TextEncoder
from assay.components.core.samples import read_samples
from assay.components.core.vectors import PAIRS, SAMPLE_IDS, TEXTS
from assay.components.embed.features import (
    INTERACTION,
    REDUCED,
    SIMILARITIES,
    interactions,
    similarities,
    standardised,
)
from assay.components.embed.texts import reduced, tfidf
from assay.components.embed.traits import Texts, Traits, read_attributes


def embed(
    samples_folder: str,
    texts_folder: str,
    vectors_folder: str,
    encoder_folder: str,
    model: str,
    seed: int,
    pooling: str = "",
    traits: Sequence[str] = (),
    tagger: str = "",
) -> dict:
    """Publish the vectors of texts and the features of samples, and the encoder that made them.

    Args:
        samples_folder: A sample table.
        texts_folder: Holds `texts.parquet`.
        vectors_folder: Gets `texts.npy` (texts, d) float32 in the order of `texts.parquet`; `pairs.npy`
            (n, 2) int32, which of them are each row's context and item; `features.npy`
            (n, k) float32 in `sample_id` order, the first columns being `SIMILARITIES`, standardised, all of
            it fitted on training and target rows alone; `traits.npy` (n, m) float32 likewise;
            `cosine.npy` (n,) float32, the encoder's own opinion of each row; `sample_ids.parquet`.
        encoder_folder: Gets the encoder, safetensors.
        model: What `resolve` opens.
        seed: Of the reductions.
        pooling: `mean` or `last`; "" is what fits the model.
        traits: Families of `FAMILIES` to compute.
        tagger: A token-classification checkpoint; "" learns one from the items' attributes.

    Returns:
        Counts: texts, dimensions, features, traits.

    Raises:
        ValueError: A family of traits is unknown.
    """
    samples = read_samples(samples_folder)
    texts = pd.read_parquet(Path(texts_folder) / "texts.parquet")["text"].tolist()
    encoder = TextEncoder(resolve(model), pooling=pooling)
    row = {text: number for number, text in enumerate(texts)}
    left = samples["context"].map(row).to_numpy()
    right = samples["item"].map(row).to_numpy()
    # A selection that is judged on the test rows may not be shaped by them, not even by their texts.
    fit = samples["split"].isin(["train", "target"]).to_numpy()
    told = Traits(traits, Texts(texts, left, right, fit, read_attributes(texts_folder, row)), samples)
    # The tagger reads the token vectors of the one pass over all texts.
    each = told.start(encoder, tagger)
    vectors = encoder.encode(texts, progress=lambda b: steps(b, "embed", unit="batch"), each=each)
    known = np.unique(np.concatenate([left[fit], right[fit]]))
    word, char = (tfidf(texts, analyzer, known) for analyzer in ("word", "char"))
    lengths = np.asarray([len(t) for t in texts], dtype=np.float64)
    alike = similarities(vectors, word, char, reduced(char, REDUCED, seed, known), lengths, left, right)
    features = np.hstack([standardised(alike, fit), interactions(vectors, left, right, REDUCED, seed, fit)])
    table, trait_words = told.finish(vectors)
    with publishing(encoder_folder, model=model) as (folder, _):
        encoder.save(folder)
    about = {
        "encoder_sha256": read_manifest(encoder_folder)["sha256"],
        "samples_sha256": read_manifest(samples_folder)["sha256"],
        "texts": len(texts),
        "dimensions": int(vectors.shape[1]),
        "features": int(features.shape[1]),
        "pooling": encoder.pooling,
        "feature_words": [*SIMILARITIES.values()] + [INTERACTION] * (features.shape[1] - len(SIMILARITIES)),
        "trait_words": trait_words,
        "traits": told.facts,
    }
    with publishing(vectors_folder, seed=seed, model=model, **about) as (folder, _):
        np.save(folder / TEXTS, vectors)
        np.save(folder / PAIRS, np.column_stack([left, right]).astype(np.int32))
        np.save(folder / "features.npy", features)
        np.save(folder / "traits.npy", table)
        np.save(folder / "cosine.npy", alike[:, 0])
        samples[["sample_id"]].to_parquet(folder / SAMPLE_IDS, index=False)
    return about
