"""Kubeflow face of `score`."""

from typing import Dict, List

from assay.components.core.images import component
from kfp import dsl


@component
def score(
    samples: dsl.Input[dsl.Dataset],
    vectors: dsl.Input[dsl.Dataset],
    warm_up_a: dsl.Input[dsl.Model],
    warm_up_b: dsl.Input[dsl.Model],
    scores: dsl.Output[dsl.Dataset],
    methods: List[str],
    weights: Dict[str, float] = {},  # noqa: B006 - kfp copies defaults into the IR
    measured: str = "1.0",
    seed: int = 0,
):
    """Score the importance of every training row; no row by a ranker that trained on it.

    Args:
        samples: Sample table.
        vectors: Vectors and features.
        warm_up_a: Ranker trained on share a.
        warm_up_b: Ranker trained on share b; scores the rows of a.
        scores: One row a training row.
        methods: Which methods.
        weights: {method: weight} of importance; empty is the default.
        measured: Share of the rows on which methods that need a ranker are measured; the rest by a surrogate.
        seed: Of random draws.
    """
    from assay.components.score.score import score as run

    warm_ups = {"a": warm_up_a.path, "b": warm_up_b.path}
    scores.metadata.update(
        run(
            samples.path,
            vectors.path,
            warm_ups,
            scores.path,
            methods,
            weights or None,
            int(seed),
            float(measured),
        )
    )
