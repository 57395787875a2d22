"""Samples, vectors, warm-up rankers -> one column a method, importance, decision and reason."""

from __future__ import annotations

import numpy as np
import pandas as pd
from assay.components.core.manifest import cpu_seconds, publishing, read_manifest
from assay.components.core.progress import say
from assay.components.score.combine import WEIGHTS, combine, decide
from assay.components.score.explain import explain
from assay.components.score.inputs import Inputs, read_inputs
from assay.components.score.label_noise import second_opinion
from assay.components.score.methods import METHODS
from assay.components.score.noise_rates import noise_by
from assay.components.score.surrogate import surrogate
from assay.components.score.weighing import learn_weights


def compute(
    inputs: Inputs, methods: list[str], measured: float = 1.0
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Raw scores of the named methods, and the CPU seconds each took.

    Args:
        inputs: All of it.
        methods: Names of `METHODS`.
        measured: Share of the rows on which methods that need a ranker are measured; a surrogate gives the
            others their rank.

    Raises:
        ValueError: A method is unknown, gave a number that is not finite, or has no surrogate good enough.
    """
    unknown = sorted(set(methods) - set(METHODS))
    if unknown:
        raise ValueError(f"unknown methods {', '.join(unknown)}; known: {', '.join(METHODS)}")
    scores, seconds = pd.DataFrame(index=range(len(inputs.samples))), {}
    some = np.flatnonzero(inputs.random() < measured)
    part = inputs.only(some) if len(some) < len(inputs.samples) else None
    for name in methods:
        started = cpu_seconds()
        if part is not None and METHODS[name].by_ranker:
            values = guessed(inputs, name, some, METHODS[name].compute(part))
        else:
            values = np.asarray(METHODS[name].compute(inputs), dtype=np.float64)
        if values.shape != (len(inputs.samples),) or not np.isfinite(values).all():
            raise ValueError(
                f"method {name} gave {values.shape} values, {int((~np.isfinite(values)).sum())} not finite"
            )
        scores[name], seconds[name] = values, round(cpu_seconds() - started, 3)
        say("score", f"{name}: {seconds[name]:.1f} CPU s")
    return scores, seconds


def guessed(inputs: Inputs, name: str, some: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Ranks of all rows by a method that was measured on some; how good they are goes into its facts."""
    found = surrogate(*told(inputs), some, values, inputs.seed)
    inputs.facts.setdefault(name, {})["surrogate"] = {"measured": len(some)} | found.facts()
    say("score", f"{name}: {len(some)} rows measured, {found.model} reaches Spearman {found.spearman:.2f}")
    return found.values


def told(inputs: Inputs) -> tuple[np.ndarray, list[str]]:
    """What a surrogate is told of each row, (n, k), and its k names.

    Features and traits, and both once more with the sign of the label, which turns most scores around.
    """
    sign = (2 * inputs.labels - 1)[:, None]
    table = inputs.features if inputs.traits is None else np.hstack([inputs.features, inputs.traits])
    plain = [*inputs.words, *inputs.trait_words]
    words = [*plain, *(f"{word}, for the label" for word in plain), "the label"]
    return np.hstack([table, table * sign, sign]), words


def score(
    samples_folder: str,
    vectors_folder: str,
    warm_up_folders: dict[str, str],
    scores_folder: str,
    methods: list[str],
    weights: dict[str, float] | None = None,
    seed: int = 0,
    measured: float = 1.0,
    learn: bool = False,
) -> dict:
    """Score every training row and publish `scores.parquet`, in `sample_id` order.

    Args:
        samples_folder: A sample table.
        vectors_folder: What `embed` wrote.
        warm_up_folders: {name: model folder of `finetune`}; each row is scored by one that did not see it.
        scores_folder: Gets `scores.parquet`: sample_id, group_id, item_id, importance, a column a method,
            noise, decision, reason, suggested_label, explanation, scored_by.
        methods: Names of `METHODS`.
        weights: Of importance; `WEIGHTS` if None.
        seed: Of random draws.
        measured: As `compute` takes it.
        learn: Learn the weights on the target instead.

    Returns:
        Rows scored and rows by decision.
    """
    facts = read_manifest(samples_folder)
    inputs = read_inputs(samples_folder, vectors_folder, warm_up_folders, facts["relevant_at"], seed)
    scores, seconds = compute(inputs, methods, measured)
    strata = inputs.samples[["task", "label"]].assign(scorer=inputs.scorer)
    learned = learn_weights(inputs, methods) if learn else None
    weights = learned.weights if learned else weights or WEIGHTS
    combined = combine(scores, weights, strata)
    second = second_opinion(inputs) if "label_quality" in scores else None
    decisions = decide(inputs.relevant, inputs.labels, combined, second)
    wrong = (decisions["decision"] != "keep").to_numpy()
    decisions["explanation"] = explain(inputs, combined, wrong, decisions["suggested_label"].to_numpy())
    table = pd.concat(
        [
            inputs.samples[["sample_id", "group_id", "item_id"]],
            combined[["importance"]],
            scores,
            combined[["noise"]],
            decisions,
        ],
        axis=1,
    ).assign(scored_by=inputs.scorer)
    counts = {str(k): int(v) for k, v in table["decision"].value_counts().items()}
    about = {
        "rows": len(table),
        "decisions": counts,
        "weights": weights,
        "weights_learned": learned.facts if learned else None,
        "method_seconds": seconds,
        "looks_wrong": {by: noise_by(inputs.samples[by], wrong) for by in ("segment", "source")},
        "warm_up_seconds": sum(read_manifest(folder)["seconds"] for folder in warm_up_folders.values()),
    }
    with publishing(scores_folder, seed=seed, samples_sha256=facts["sha256"], **about) as (folder, manifest):
        manifest["methods"] = inputs.facts
        table.to_parquet(folder / "scores.parquet", index=False)
    return {"rows": len(table), **counts}
