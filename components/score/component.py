"""Kubeflow face of `score`."""

from typing import Dict, List

from assay.components.core.images import component
from kfp import dsl


@component
def score(
    samples: dsl.Input[dsl.Dataset],
    vectors: dsl.Input[dsl.Dataset],
    warm_ups: dsl.Input[List[dsl.Model]],
    scores: dsl.Output[dsl.Dataset],
    methods: List[str],
    names: List[str],
    weights: Dict[str, float] = {},  # noqa: B006 - kfp copies defaults into the IR
    learn_weights: bool = False,
    measured: str = "1.0",
    seed: int = 0,
):
    """Score the importance of every training row; no row by a ranker that trained on it.

    Args:
        samples: Sample table.
        vectors: Vectors and features.
        warm_ups: Rankers trained on the shares, and on the target where a method needs that.
        scores: One row a training row.
        methods: Which methods.
        names: Of the warm-ups, in their order: a row of share a is scored by b, all others by a.
        weights: {method: weight} of importance; empty is the default.
        learn_weights: Learn them on the target instead.
        measured: Share of the rows on which methods that need a ranker are measured; the rest by a surrogate.
        seed: Of random draws.
    """
    from assay.components.score.score import score as run

    rankers = {name: model.path for name, model in zip(names, warm_ups, strict=True)}
    folders = (samples.path, vectors.path, rankers, scores.path)
    found = run(*folders, methods, weights or None, int(seed), float(measured), bool(learn_weights))
    scores.metadata.update(found)
