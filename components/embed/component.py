"""Kubeflow face of `embed`."""

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
        seed: Of the reductions.
    """
    from assay.components.embed.embed import embed as run

    vectors.metadata.update(
        {"texts": run(samples.path, texts.path, vectors.path, encoder.path, model, seed)["texts"]}
    )
