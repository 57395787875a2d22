"""Samples, vectors, what was measured -> one column a method, importance, decision and reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from assay.components.core.manifest import cpu_seconds, publishing, read_manifest
from assay.components.core.progress import say
from assay.components.score.combine import WEIGHTS, combine, decide
from assay.components.score.explain import explain
from assay.components.score.inputs import Inputs
from assay.components.score.label_noise import second_opinion
from assay.components.score.measure import MEASURED, joined
from assay.components.score.methods import METHODS, check_methods, compute
from assay.components.score.noise_rates import noise_by
from assay.components.score.plans import PLANS, smaller
from assay.components.score.reading import read_inputs
from assay.components.score.surrogate import surrogate
from assay.components.score.weighing import learn_weights


def complete(
    inputs: Inputs, methods: Sequence[str], measured: pd.DataFrame
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Raw scores of the named methods, and the CPU seconds each took here.

    Args:
        inputs: All of it; warm-ups are asked by methods that need all rows at once.
        methods: Names of `METHODS`.
        measured: (n,) a column for each of the rankers' methods, null where it was not measured: there, a
            surrogate gives the row its rank.

    Raises:
        ValueError: A method was not measured, gave a number that is not finite, or has no surrogate good
            enough.
    """
    scores, seconds = pd.DataFrame(index=range(len(inputs.samples))), {}
    for name in methods:
        started = cpu_seconds()
        if not METHODS[name].measured:
            scores[name] = compute(inputs, name)
        elif name not in measured:
            raise ValueError(f"method {name} was not measured: name it where the rows are measured, too")
        else:
            values = measured[name].to_numpy(dtype=np.float64)
            some = np.flatnonzero(~np.isnan(values))
            scores[name] = values if len(some) == len(values) else guessed(inputs, name, some, values[some])
        seconds[name] = round(cpu_seconds() - started, 3)
        if seconds[name] >= 0.1:
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


def judged(
    inputs: Inputs, measured: pd.DataFrame, methods: Sequence[str], weights: dict[str, float]
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Importance, decision, reason and explanation of each row, among the rows given.

    Args:
        inputs: All of it.
        measured: Of all shards, by sample_id.
        methods: Names of `METHODS`.
        weights: Of importance.

    Returns:
        sample_id, group_id, item_id, importance, a column a method, noise, decision, reason, explanation,
        scored_by; and the CPU seconds of each method.

    Raises:
        ValueError: Some rows are not among the measured ones.
    """
    ids = inputs.samples["sample_id"]
    missing = ~ids.isin(measured.index)
    if missing.any():
        raise ValueError(f"{int(missing.sum())} of {len(ids)} rows were not measured: give every shard's")
    measured = measured.loc[ids].reset_index(drop=True)
    scores, seconds = complete(inputs, methods, measured)
    strata = inputs.samples[["task", "label"]].assign(scorer=measured["scored_by"])
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
    )
    return table.assign(scored_by=measured["scored_by"].to_numpy()), seconds


def by_plan(inputs: Inputs, table: pd.DataFrame, plans: Sequence[str]) -> pd.DataFrame:
    """The importance that smaller plans would have given: sample_id and a column a plan.

    Args:
        inputs: All of it.
        table: What `judged` gave, with a column for each method of the plans.
        plans: Names of `PLANS`.
    """
    strata = inputs.samples[["task", "label"]].assign(scorer=table["scored_by"])
    found = {plan: combine(table[list(PLANS[plan])], WEIGHTS, strata)["importance"] for plan in plans}
    return table[["sample_id"]].assign(**found)


def spared(
    plan: Sequence[str],
    here: Mapping[str, float],
    there: Mapping[str, float],
    ranking: Mapping[str, float],
    learning: float,
) -> dict[str, float]:
    """CPU seconds of each step that a smaller plan does without.

    Args:
        plan: Its methods.
        here: Seconds of each method in `score`.
        there: In `measure`.
        ranking: Of the steps `warm_up` and `measure`, which a plan that asks no ranker does without.
        learning: Of learning weights.
    """
    less: dict[str, float] = {
        "warm_up": 0.0,
        "measure": sum(took for name, took in there.items() if name not in plan),
        "score": sum(took for name, took in here.items() if name not in plan) + learning,
    }
    return less | (dict(ranking) if not any(METHODS[name].by_ranker for name in plan) else {})


def score(
    samples_folder: str,
    vectors_folder: str,
    warm_up_folders: dict[str, str],
    measured_folders: Sequence[str],
    scores_folder: str,
    methods: Sequence[str],
    weights: dict[str, float] | None = None,
    seed: int = 0,
    learn: bool = False,
) -> dict:
    """Score every training row and publish `scores.parquet`, in `sample_id` order.

    Rows of other splits that were measured are judged apart, as if each were one more training row, and go
    into `diagnosis.parquet`: nothing that selects sees them, and no training row's score knows of them.

    Args:
        samples_folder: A sample table.
        vectors_folder: What `embed` wrote.
        warm_up_folders: {name: model folder of `finetune`}; opened where weights are learned, or a method
            needs all rows at once.
        measured_folders: What `measure` wrote of each shard, in any order.
        scores_folder: Gets `scores.parquet`, as `judged` says, and where other splits were measured
            `diagnosis.parquet`, the same with a column split; and `plans.parquet`, as `by_plan` says.
        methods: Names of `METHODS`.
        weights: Of importance; `WEIGHTS` if None.
        seed: Of random draws.
        learn: Learn the weights on the target instead.

    Returns:
        Rows scored and rows by decision.
    """
    check_methods(methods)
    facts = read_manifest(samples_folder)
    manifests = [read_manifest(folder) for folder in measured_folders]
    tables = [pd.read_parquet(Path(folder) / MEASURED) for folder in measured_folders]
    measured = pd.concat([table for table in tables if len(table)]).set_index("sample_id")
    if measured.index.has_duplicates:
        raise ValueError("some rows were measured twice: give every shard's once")
    others = sorted(set(measured["split"]) - {"train"})

    def inputs_of(splits: list[str]) -> Inputs:
        return read_inputs(
            samples_folder, vectors_folder, warm_up_folders, facts["relevant_at"], seed, splits
        )

    inputs = inputs_of(["train"])
    started = cpu_seconds()
    learned = learn_weights(inputs, list(methods)) if learn else None
    learning = cpu_seconds() - started
    weights = learned.weights if learned else weights or WEIGHTS
    table, seconds = judged(inputs, measured, methods, weights)
    wrong = (table["decision"] != "keep").to_numpy()
    counts = {str(k): int(v) for k, v in table["decision"].value_counts().items()}
    here, there = dict(seconds), dict.fromkeys(methods, 0.0)
    for manifest in manifests:
        for name, took in manifest["method_seconds"].items():
            there[name] = round(there.get(name, 0.0) + took, 3)
            seconds[name] = round(seconds.get(name, 0.0) + took, 3)
    ranking = {
        "warm_up": manifests[0]["warm_up_seconds"],
        "measure": round(sum(manifest["seconds"] for manifest in manifests), 3),
    }
    about = {
        "rows": len(table),
        "decisions": counts,
        "weights": weights,
        "weights_learned": learned.facts if learned else None,
        "method_seconds": seconds,
        "plans": {
            plan: {"methods": PLANS[plan], "spares": spared(PLANS[plan], here, there, ranking, learning)}
            for plan in smaller(methods)
        },
        "looks_wrong": {by: noise_by(inputs.samples[by], wrong) for by in ("segment", "source")},
        **{f"{part}_seconds": took for part, took in ranking.items()},
    }
    with publishing(scores_folder, seed=seed, samples_sha256=facts["sha256"], **about) as (folder, manifest):
        manifest["methods"] = joined([*(one["methods"] for one in manifests), inputs.facts])
        table.to_parquet(folder / "scores.parquet", index=False)
        by_plan(inputs, table, smaller(methods)).to_parquet(folder / "plans.parquet", index=False)
        if others:
            say("score", f"diagnosis of {', '.join(others)}")
            every = inputs_of(["train", *others])
            diagnosis, _ = judged(every, measured, methods, weights)
            diagnosis.insert(1, "split", every.samples["split"].astype(str))
            diagnosis = diagnosis[diagnosis["split"] != "train"].reset_index(drop=True)
            diagnosis.to_parquet(folder / "diagnosis.parquet", index=False)
    return {"rows": len(table), **counts}
