"""Kubeflow face of `evaluate`."""

from typing import Dict, List

from assay.components.core.images import component
from kfp import dsl


@component
def evaluate(
    samples: dsl.Input[dsl.Dataset],
    vectors: dsl.Input[dsl.Dataset],
    scores: dsl.Input[dsl.Dataset],
    selection: dsl.Input[dsl.Dataset],
    truth: dsl.Input[dsl.Dataset],
    models: dsl.Input[List[dsl.Model]],
    predictions: dsl.Output[dsl.Dataset],
    evidence: dsl.Output[dsl.Artifact],
    report: dsl.Output[dsl.HTML],
    arms: List[str],
    name: str,
    gain: str = "exponential",
    gates: Dict[str, float] = {},  # noqa: B006 - kfp copies defaults into the IR
    champion: str = "",
    seed: int = 0,
) -> bool:
    """Compare the arms with baselines and champion, judge them, and write the report.

    Args:
        samples: Sample table.
        vectors: Vectors; their cosine is the baseline `base`.
        scores: Scores.
        selection: Rows of each arm.
        truth: Labels before noise was planted.
        models: One ranker an arm, in the order of `arms`.
        predictions: A column of scores a model, on the test rows.
        evidence: `evidence.json`.
        report: One HTML file that needs no network.
        arms: Names of the models.
        name: Of the registered model whose champion is compared.
        gain: `exponential` or `linear`.
        gates: Bounds of the gate.
        champion: Version of the champion as the caller saw it, `none` where there is none; "" asks now.
        seed: Of the bootstrap.

    Returns:
        Whether the gate passed; unnamed, since kfp's local runner cannot branch on a named output.
    """
    from assay.components.evaluate.evaluate import Inputs
    from assay.components.evaluate.evaluate import evaluate as run
    from assay.components.evaluate.gates import GateConfig

    folders = {arm: model.path for arm, model in zip(arms, models, strict=True)}
    inputs = Inputs(samples.path, vectors.path, scores.path, selection.path, truth.path, folders)
    found = run(
        inputs,
        predictions.path,
        evidence.path,
        report.path,
        name,
        gain,
        GateConfig(**gates),
        int(seed),
        champion,
    )
    return found["gate"]["passed"]


@component
def curve(
    samples: dsl.Input[dsl.Dataset],
    vectors: dsl.Input[dsl.Dataset],
    scores: dsl.Input[dsl.Dataset],
    selection: dsl.Input[dsl.Dataset],
    models: dsl.Input[List[dsl.Model]],
    figures: dsl.Output[dsl.Dataset],
    report: dsl.Output[dsl.HTML],
    name: str,
    run_hash: str,
    gain: str = "exponential",
    epsilon: float = 0.005,
    seed: int = 0,
):
    """Judge every arm at every budget on the test rows, draw the curve, and log it.

    Args:
        samples: Sample table.
        vectors: Vectors; their cosine is the baseline `base`.
        scores: Scores; what they cost is part of the selection's price.
        selection: Rows of each arm.
        models: Folders of rankers, a folder an arm and budget in each.
        figures: `curve.json` and `predictions.parquet`.
        report: One HTML file that needs no network.
        name: Of the MLflow experiment.
        run_hash: What the curve is a function of; the same curve is logged once.
        gain: `exponential` or `linear`.
        epsilon: Loss against the best budget that is allowed, as a share of its metric.
        seed: Of the bootstrap.
    """
    from assay.components.evaluate.curve import CurveInputs, draw_curve
    from assay.components.evaluate.curve_log import log_curve

    folders = [model.path for model in models]
    inputs = CurveInputs(samples.path, vectors.path, scores.path, selection.path, folders)
    found = draw_curve(inputs, figures.path, report.path, gain, epsilon, int(seed))
    log_curve(found, figures.path, report.path, name, run_hash)
