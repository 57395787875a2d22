"""From a raw log to the score of every row: the tasks that every pipeline begins with."""

from types import SimpleNamespace
from typing import Any, NamedTuple

from assay.components.embed.component import embed
from assay.components.finetune.component import finetune_each
from assay.components.ingest.component import ingest
from assay.components.score.component import measure, score
from assay.components.select.component import select
from kfp import dsl


class Scored(NamedTuple):
    """What the tasks give.

    Attributes:
        samples: Sample table.
        truth: Labels before noise was planted.
        vectors: Vectors and features.
        encoder: The encoder they are made by.
        scores: Scores of the training rows.
        training: Arguments of every training, whatever its rows.
    """

    samples: Any
    truth: Any
    vectors: Any
    encoder: Any
    scores: Any
    training: dict[str, Any]


def score_rows(parameters: dict[str, Any]) -> Scored:
    """Add ingest, embed, warm-up, measure and score to the pipeline that is being defined.

    Args:
        parameters: Of the pipeline, by name; those that it has no use for here are left alone.
    """
    given = SimpleNamespace(**parameters)
    ingested = ingest(
        data=given.data,
        data_sha256=given.data_sha256,
        code=given.code,
        task=given.task,
        columns=given.columns,
        max_grade=given.max_grade,
        relevant_at=given.relevant_at,
        split_column=given.split_column,
        sample=given.sample,
        test_sample=given.test_sample,
        noise=given.noise,
        drop_unlabelled=given.drop_unlabelled,
        shards=given.shards,
        seed=given.seed,
        policy=given.policy,
        format=given.format,
        mapping=given.mapping,
    )
    samples = ingested.outputs["samples"]
    embedded = embed(
        samples=samples,
        texts=ingested.outputs["texts"],
        model=given.encoder,
        model_sha256=given.encoder_sha256,
        pooling=given.pooling,
        traits=given.traits,
        tagger=given.tagger,
        tagger_sha256=given.tagger_sha256,
        seed=given.seed,
    )
    vectors = embedded.outputs["vectors"]

    shares = select(
        samples=samples, arms=given.warm_ups, budget=given.warm_up_share, method="random", seed=given.seed
    )
    shares.set_display_name("shares")
    training = {
        "samples": samples,
        "ranker": given.ranker,
        "adapter": given.adapter,
        "epochs": given.epochs,
        "batch_size": given.batch_size,
        "learning_rate": given.learning_rate,
        "seed": given.seed,
    }
    # From the encoder, even where the arms start from a champion: it may have trained on these very rows.
    warmed = finetune_each(
        arms=given.warm_ups,
        selection=shares.output,
        base=given.encoder,
        base_sha256=given.encoder_sha256,
        **(training | {"epochs": given.warm_up_epochs}),
    )
    warmed.set_display_name("warm-up")
    with dsl.ParallelFor(ingested.outputs["Output"]) as shard:
        of_shard = measure(
            samples=samples,
            vectors=vectors,
            shard=shard,
            methods=given.methods,
            share=given.measured,
            splits=given.score_splits,
            store=given.store,
            seed=given.seed,
            warm_ups=warmed.output,
        )
    scored = score(
        samples=samples,
        vectors=vectors,
        measured=dsl.Collected(of_shard.output),
        methods=given.methods,
        weights=given.weights,
        learn_weights=given.learn_weights,
        warm_ups=warmed.output,
        seed=given.seed,
    )
    return Scored(
        samples, ingested.outputs["truth"], vectors, embedded.outputs["encoder"], scored.output, training
    )
