"""Kubeflow faces of `score`: `measure` a shard's rows by the warm-up rankers, then `score` all rows."""

from typing import Dict, List

from assay.components.core.images import component
from kfp import dsl


@component
def measure(
    samples: dsl.Input[dsl.Dataset],
    vectors: dsl.Input[dsl.Dataset],
    warm_ups: dsl.Input[dsl.Model],
    measured: dsl.Output[dsl.Dataset],
    shard: str,
    methods: List[str],
    share: str = "1.0",
    splits: List[str] = ["train"],  # noqa: B006 - kfp copies defaults into the IR
    store: str = "",
    seed: int = 0,
):
    """Measure a shard's rows by the warm-up rankers; no row by a ranker that trained on it.

    Args:
        samples: Sample table.
        vectors: Vectors and features.
        warm_ups: Rankers trained on the shares, and on the target where a method needs that, a folder each:
            a row of share a is scored by b, all others by a.
        measured: One row a row of the shard.
        shard: Name of the shard.
        methods: Which methods; those that need no ranker, or all rows at once, are left to `score`.
        share: Of the rows, which are measured; the rest is left to a surrogate.
        splits: Rows of which splits.
        store: Folder of scores that were measured before, and gets the new ones; "" is none.
        seed: Of random draws.
    """
    from assay.components.score.measure import measure as run
    from assay.components.score.reading import folders_of

    folders = (samples.path, vectors.path, folders_of(warm_ups.path), measured.path)
    found = run(*folders, methods, shard, float(share), splits, store, int(seed))
    measured.metadata.update(found)


@component
def score(
    samples: dsl.Input[dsl.Dataset],
    vectors: dsl.Input[dsl.Dataset],
    warm_ups: dsl.Input[dsl.Model],
    measured: dsl.Input[List[dsl.Dataset]],
    scores: dsl.Output[dsl.Dataset],
    methods: List[str],
    weights: Dict[str, float] = {},  # noqa: B006 - kfp copies defaults into the IR
    learn_weights: bool = False,
    seed: int = 0,
):
    """Score the importance of every training row.

    Args:
        samples: Sample table.
        vectors: Vectors and features.
        warm_ups: As `measure` has them; opened where weights are learned, or a method needs all rows at once.
        measured: What `measure` found, of each shard.
        scores: One row a training row; where other splits were measured, their diagnosis beside it.
        methods: Which methods.
        weights: {method: weight} of importance; empty is the default.
        learn_weights: Learn them on the target instead.
        seed: Of random draws.
    """
    from assay.components.score.reading import folders_of
    from assay.components.score.score import score as run

    folders = (
        samples.path,
        vectors.path,
        folders_of(warm_ups.path),
        [shard.path for shard in measured],
        scores.path,
    )
    scores.metadata.update(run(*folders, methods, weights or None, int(seed), bool(learn_weights)))
