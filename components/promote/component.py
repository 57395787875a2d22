"""Kubeflow face of `promote`."""

from typing import NamedTuple

from assay.components.core.images import component


@component
def promote(name: str, version: str, champion_version: str) -> NamedTuple(
    "Outputs", [("promoted", bool), ("reason", str), ("seconds", float)]
):
    """Make the challenger champion, if the champion is still the one it was compared with.

    Args:
        name: Of the registered model.
        version: The challenger.
        champion_version: The champion that `evaluate` saw; empty where there was none.

    Returns:
        Whether it is champion now, why or why not, and the CPU seconds of the step.
    """
    from assay.components.core.manifest import cpu_seconds
    from assay.components.promote.promote import promote as run

    outcome = run(name, version, champion_version)
    return (outcome["promoted"], outcome["reason"], cpu_seconds())
