"""Kubeflow faces of `finetune`: one ranker of one arm, and several rankers in one task."""

from typing import List

from assay.components.core.images import component
from kfp import dsl


@component
def finetune(
    samples: dsl.Input[dsl.Dataset],
    selection: dsl.Input[dsl.Dataset],
    model: dsl.Output[dsl.Model],
    arm: str,
    base: str = "minilm",
    base_sha256: str = "",
    ranker: str = "bi",
    adapter: str = "lora",
    epochs: int = 2,
    batch_size: int = 16,
    learning_rate: float = 2e-3,
    seed: int = 0,
):
    """Train a ranker on the rows of one arm of a selection.

    Args:
        samples: Sample table; its validation split decides when to stop.
        selection: Rows of each arm.
        model: The merged ranker, safetensors, and the rows it saw.
        arm: Which rows.
        base: `minilm`, a folder, a hub id or a models:/ URI.
        base_sha256: Of its weights; part of the cache key.
        ranker: `cross` or `bi`.
        adapter: How: `lora`.
        epochs: Passes over the rows, at most.
        batch_size: Rows a step.
        learning_rate: At its peak.
        seed: Of the head, the dropout and the order of rows.
    """
    from assay.components.finetune.finetune import FinetuneConfig
    from assay.components.finetune.finetune import finetune as run

    config = FinetuneConfig(
        arm, base, ranker, adapter, int(epochs), int(batch_size), learning_rate, seed=int(seed)
    )
    figures = run(config, samples.path, selection.path, model.path)
    model.metadata.update(
        {"arm": arm, "train_rows": figures["train_rows"], "train_steps": figures["train_steps"]}
    )


@component
def finetune_each(
    samples: dsl.Input[dsl.Dataset],
    selection: dsl.Input[dsl.Dataset],
    models: dsl.Output[dsl.Model],
    arms: List[str],
    base: str = "minilm",
    base_sha256: str = "",
    ranker: str = "bi",
    adapter: str = "lora",
    epochs: int = 2,
    batch_size: int = 16,
    learning_rate: float = 2e-3,
    seed: int = 0,
):
    """Train a ranker on the rows of each of several arms, one after the other.

    Args:
        samples: Sample table; its validation split decides when to stop.
        selection: Rows of each arm.
        models: A folder an arm, each as `finetune` writes it.
        arms: Which rows; `target` is the target's. None, and the folder stays empty.
        base: `minilm`, a folder, a hub id or a models:/ URI.
        base_sha256: Of its weights; part of the cache key.
        ranker: `cross` or `bi`.
        adapter: How: `lora`.
        epochs: Passes over the rows, at most.
        batch_size: Rows a step.
        learning_rate: At its peak.
        seed: Of the head, the dropout and the order of rows.
    """
    from assay.components.core.manifest import publishing

    if not arms:
        # A plan without warm-ups: torch is not worth its import.
        with publishing(models.path, arms=[]):
            pass
        return
    from assay.components.finetune.finetune import FinetuneConfig
    from assay.components.finetune.finetune import finetune_each as run

    config = FinetuneConfig(
        arms[0], base, ranker, adapter, int(epochs), int(batch_size), learning_rate, seed=int(seed)
    )
    run(config, arms, samples.path, selection.path, models.path)
