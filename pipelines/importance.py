"""The main pipeline: from a raw log to a champion, with the proof beside it."""

from typing import NamedTuple

from assay.components.evaluate.component import evaluate
from assay.components.finetune.component import finetune
from assay.components.promote.component import promote
from assay.components.register.component import register
from assay.components.select.component import select
from assay.pipelines.scoring import score_rows
from kfp import dsl


class Outputs(NamedTuple):
    """What the launcher collects into the run's folder."""

    samples: dsl.Dataset
    truth: dsl.Dataset
    vectors: dsl.Dataset
    scores: dsl.Dataset
    selection: dsl.Dataset
    predictions: dsl.Dataset
    evidence: dsl.Artifact
    report: dsl.HTML
    version: str
    register_seconds: float


@dsl.pipeline(name="importance", description="Score, select, fine-tune, prove, register and promote.")
def importance(
    data: str,
    run_hash: str,
    data_sha256: str = "",
    code: str = "",
    champion: str = "",
    task: str = "search",
    columns: dict[str, list[str]] = {},  # noqa: B006 - kfp copies defaults into the IR
    max_grade: float = 0.0,
    relevant_at: float = 0.0,
    gain: str = "exponential",
    split_column: str = "",
    sample: int = 0,
    test_sample: int = 0,
    policy: dict = {},  # noqa: B006
    format: str = "",
    mapping: str = "",
    noise: float = 0.0,
    drop_unlabelled: bool = False,
    methods: list[str] = [  # noqa: B006
        "label_quality",
        "target_agreement",
        "knn_shapley",
        "influence",
        "el2n",
        "margin",
        "loss",
    ],
    weights: dict[str, float] = {},  # noqa: B006
    learn_weights: bool = False,
    measured: str = "1.0",
    score_splits: list[str] = ["train"],  # noqa: B006
    store: str = "",
    shards: int = 0,
    warm_up_share: str = "0.1",
    warm_up_epochs: int = 1,
    warm_ups: list[str] = ["a", "b"],  # noqa: B006
    budget: str = "0.3",
    rules: dict = {},  # noqa: B006
    arms: list[str] = ["challenger", "control"],  # noqa: B006
    encoder: str = "minilm",
    encoder_sha256: str = "",
    pooling: str = "",
    traits: list[str] = [],  # noqa: B006
    tagger: str = "",
    tagger_sha256: str = "",
    model: str = "minilm",
    model_sha256: str = "",
    ranker: str = "bi",
    adapter: str = "lora",
    epochs: int = 2,
    batch_size: int = 16,
    learning_rate: float = 2e-3,
    gates: dict[str, float] = {},  # noqa: B006
    name: str = "assay-search",
    seed: int = 0,
) -> Outputs:
    """From a raw log to a champion.

    Args:
        data: The log.
        run_hash: What the run is a function of; the same run registers and promotes once.
        data_sha256: Of the log; part of the cache key.
        code: Hash of the installed code; part of the cache key.
        champion: Version of the champion to compare with, `none` where there is none; "" asks the registry.
        task: The task.
        columns: {role: columns}.
        max_grade: Grade of label 1; 0 is the largest in the file.
        relevant_at: Grade from which a row is relevant; 0 is half of max_grade.
        gain: `exponential` or `linear`.
        split_column: Column that names each row's split.
        sample: Rows at most of train, validation and target; 0 is all.
        test_sample: Rows at most of test; 0 is all.
        policy: How a log becomes rows, of other tasks than search; empty is the plainest way.
        format: Name of the format of every file; "" is told by their headers.
        mapping: File that says what the columns are, or the name of a shipped one.
        noise: Share of training labels to flip.
        drop_unlabelled: Drop rows without a usable grade.
        methods: Scores to compute.
        weights: {method: weight} of importance; empty is the default.
        learn_weights: Learn them on the target instead.
        measured: Share of the rows on which methods that need a ranker are measured; the rest by a surrogate.
        score_splits: Splits whose rows are scored: train, and for diagnosis validation and test.
        store: Folder of scores that were measured before, and gets the new ones; "" is none.
        shards: Shards of the sample table at most, by size if 0; each is measured by a task of its own.
        warm_up_share: Share of the training rows that each warm-up ranker sees.
        warm_up_epochs: Passes of a warm-up ranker over its rows.
        warm_ups: Rankers that scores come from: of the shares a and b; of the target where a method asks;
            none where no method asks a ranker.
        budget: A fraction in (0, 1], a count, or what else `select` reads.
        rules: How rows are chosen within the budget; empty is the plainest way.
        arms: Rankers to train, the challenger first.
        encoder: Encoder of `embed`, and what the warm-ups start from.
        encoder_sha256: Of its weights; part of the cache key.
        pooling: Of the encoder's token vectors: `mean` or `last`; "" is what fits it.
        traits: Families of traits that the surrogate is told: category, tags, behaviour.
        tagger: A token-classification checkpoint; "" learns one from the items' attributes.
        tagger_sha256: Of its weights; part of the cache key.
        model: What the arms start from.
        model_sha256: Of its weights; part of the cache key.
        ranker: `cross` or `bi`.
        adapter: How: `lora`.
        epochs: Passes over the rows, at most.
        batch_size: Rows a step.
        learning_rate: At its peak.
        gates: Bounds of the gate.
        name: Of the registered model.
        seed: Of noise, shares, control, training and bootstrap; never of the splits.
    """
    scored = score_rows(locals())
    selected = select(
        samples=scored.samples,
        scores=scored.scores,
        vectors=scored.vectors,
        arms=arms,
        budget=budget,
        rules=rules,
        seed=seed,
    )

    with dsl.ParallelFor(arms, parallelism=1) as arm:
        trained = finetune(
            arm=arm, selection=selected.output, base=model, base_sha256=model_sha256, **scored.training
        )
    models = trained.outputs["model"]

    evaluated = evaluate(
        samples=scored.samples,
        vectors=scored.vectors,
        scores=scored.scores,
        selection=selected.output,
        truth=scored.truth,
        models=dsl.Collected(models),
        arms=arms,
        name=name,
        gain=gain,
        gates=gates,
        champion=champion,
        seed=seed,
    )
    # Both write to the registry: they run each time, and do nothing the second time.
    registered = register(
        samples=scored.samples,
        models=dsl.Collected(models),
        encoder=scored.encoder,
        evidence=evaluated.outputs["evidence"],
        predictions=evaluated.outputs["predictions"],
        name=name,
        task=task,
        run_hash=run_hash,
    ).set_caching_options(False)
    with dsl.If(evaluated.outputs["Output"] == True):  # noqa: E712 - kfp builds a condition of it
        promote(
            evidence=evaluated.outputs["evidence"], name=name, version=registered.outputs["version"]
        ).set_caching_options(False)
    return Outputs(
        scored.samples,
        scored.truth,
        scored.vectors,
        scored.scores,
        selected.output,
        evaluated.outputs["predictions"],
        evaluated.outputs["evidence"],
        evaluated.outputs["report"],
        registered.outputs["version"],
        registered.outputs["seconds"],
    )
