"""Kubeflow face of `embed`."""

from typing import List

from assay.components.core.images import component
from kfp import dsl


@component
def embed(
    samples: dsl.Input[dsl.Dataset],
    texts: dsl.Input[dsl.Dataset],
    vectors: dsl.Output[dsl.Dataset],
    encoder: dsl.Output[dsl.Model],
    model: str = "minilm",
    model_sha256: str = "",
    pooling: str = "",
    traits: List[str] = [],  # noqa: B006 - kfp copies defaults into the IR
    tagger: str = "",
    tagger_sha256: str = "",
    seed: int = 0,
):
    """Encode each distinct text once and make the features of every sample.

    Args:
        samples: Sample table.
        texts: Table of distinct texts.
        vectors: Vectors of texts, features of samples.
        encoder: The encoder that made them.
        model: `minilm`, a folder, a hub id or a models:/ URI.
        model_sha256: Of its weights; part of the cache key.
        pooling: `mean` or `last`; "" is what fits the model.
        traits: Families of traits: category, tags, behaviour.
        tagger: A token-classification checkpoint; "" learns one from the items' attributes.
        tagger_sha256: Of its weights; part of the cache key.
        seed: Of the reductions.
    """
    from assay.components.embed.embed import embed as run

    folders = (samples.path, texts.path, vectors.path, encoder.path)
    facts = run(*folders, model, seed, pooling, traits, tagger)
    vectors.metadata.update({"texts": facts["texts"]})
