"""Kubeflow face of `register`."""

from typing import List, NamedTuple

from assay.components.core.images import component
from kfp import dsl


@component
def register(
    samples: dsl.Input[dsl.Dataset],
    models: dsl.Input[List[dsl.Model]],
    encoder: dsl.Input[dsl.Model],
    evidence: dsl.Input[dsl.Artifact],
    predictions: dsl.Input[dsl.Dataset],
    name: str,
    task: str,
    run_hash: str,
) -> NamedTuple("Outputs", [("version", str), ("seconds", float)]):
    """Log the run to MLflow and register the challenger.

    Args:
        samples: Sample table, for lineage.
        models: Rankers of the arms, the challenger first.
        encoder: The encoder of `embed`, kept beside it for `/embed`.
        evidence: What `evaluate` found.
        predictions: Its scores of the test rows; a few go with the version, as its canary set.
        name: Of the registered model.
        task: Its task.
        run_hash: What the run is a function of; the same run registers once.

    Returns:
        Number of the version, and the CPU seconds of the step.
    """
    from assay.components.core.manifest import cpu_seconds
    from assay.components.register.register import register as run

    inputs = (evidence.path, samples.path, models[0].path, encoder.path, predictions.path)
    version = run(name, task, run_hash, *inputs)
    return (version, cpu_seconds())
