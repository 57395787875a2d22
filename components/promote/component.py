"""Kubeflow face of `promote`."""

from typing import NamedTuple

from assay.components.core.images import component
from kfp import dsl


@component
def promote(evidence: dsl.Input[dsl.Artifact], name: str, version: str) -> NamedTuple(
    "Outputs", [("promoted", bool), ("reason", str), ("seconds", float)]
):
    """Make the challenger champion, if the champion is still the one it was compared with.

    Args:
        evidence: What `evaluate` found, with the champion that it saw.
        name: Of the registered model.
        version: The challenger.

    Returns:
        Whether it is champion now, why or why not, and the CPU seconds of the step.
    """
    import json
    from pathlib import Path

    from assay.components.core.manifest import cpu_seconds
    from assay.components.promote.promote import promote as run

    seen = json.loads(Path(evidence.path, "evidence.json").read_text())["champion_version"]
    outcome = run(name, version, seen)
    return (outcome["promoted"], outcome["reason"], cpu_seconds())
