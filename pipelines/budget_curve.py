"""The budget curve: how good a ranker gets on how many rows, method by budget by seed."""

from typing import NamedTuple

from assay.components.evaluate.component import curve
from assay.components.finetune.component import finetune_each
from assay.components.select.component import select
from assay.pipelines.scoring import score_rows
from kfp import dsl


class Outputs(NamedTuple):
    """What the launcher collects into the curve's folder."""

    samples: dsl.Dataset
    scores: dsl.Dataset
    selection: dsl.Dataset
    figures: dsl.Dataset
    report: dsl.HTML


@dsl.pipeline(name="budget-curve", description="Train every arm on every budget, and draw the curve.")
def budget_curve(
    data: str,
    run_hash: str,
    cells: list[list[str]] = [  # noqa: B006 - kfp copies defaults into the IR
        ["full"],
        ["challenger@0.1", "challenger@0.3", "challenger@0.5"],
        ["control@0.1", "control@0.3", "control@0.5"],
    ],
    arms: list[str] = [  # noqa: B006
        "full",
        "challenger@0.1",
        "challenger@0.3",
        "challenger@0.5",
        "control@0.1",
        "control@0.3",
        "control@0.5",
    ],
    budget: str = "0.5",
    epsilon: float = 0.005,
    data_sha256: str = "",
    code: str = "",
    task: str = "search",
    columns: dict[str, list[str]] = {},  # noqa: B006
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
    rules: dict = {},  # noqa: B006
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
    name: str = "assay-search",
    seed: int = 0,
) -> Outputs:
    """From a raw log to a curve of budgets.

    Args:
        data: The log.
        run_hash: What the curve is a function of; the same curve is logged once.
        cells: Rankers to train, `NAME@BUDGET` or `NAME@BUDGET:REPEAT`; each list of them is a task.
        arms: The same, all in one list.
        budget: Of arms that name none.
        epsilon: Loss against the best budget that is allowed, as a share of its metric.
        data_sha256: Of the log; part of the cache key.
        code: Hash of the installed code; part of the cache key.
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
        score_splits: Splits whose rows are scored; those beside train are of no use here.
        store: Folder of scores that were measured before, and gets the new ones; "" is none.
        shards: Shards of the sample table at most, by size if 0; each is measured by a task of its own.
        warm_up_share: Share of the training rows that each warm-up ranker sees.
        warm_up_epochs: Passes of a warm-up ranker over its rows.
        warm_ups: Rankers that scores come from: of the shares a and b; of the target where a method asks;
            none where no method asks a ranker.
        rules: How rows are chosen within the budget; empty is the plainest way.
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
        name: Of the MLflow experiment.
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
    # A task costs seconds of imports, so that one trains all budgets of an arm.
    with dsl.ParallelFor(cells) as each:
        trained = finetune_each(
            arms=each, selection=selected.output, base=model, base_sha256=model_sha256, **scored.training
        )
    drawn = curve(
        samples=scored.samples,
        vectors=scored.vectors,
        scores=scored.scores,
        selection=selected.output,
        models=dsl.Collected(trained.output),
        name=name,
        run_hash=run_hash,
        gain=gain,
        epsilon=epsilon,
        seed=seed,
    )
    return Outputs(
        scored.samples, scored.scores, selected.output, drawn.outputs["figures"], drawn.outputs["report"]
    )
