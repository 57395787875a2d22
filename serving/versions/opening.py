"""What a process serves at its start: the assigned version, or a bundle that is named."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from assay.components.core.errors import BadInput
from assay.serving import environment
from assay.serving.engine.served import ServedModel
from assay.serving.versions.assignment import VARIABLE, Assignment
from assay.serving.versions.bundle import Bundle
from assay.serving.versions.settings import Following
from assay.serving.versions.stage import Stage, Told


def open_stage(told: Told) -> Stage:
    """A stage with its first version open and warm.

    Args:
        told: Is told what happens to versions.

    Raises:
        BadInput: The assignment cannot be read, nothing is named, the bundle is damaged, or it does not score
            its probe as it must.
    """
    settings = Following.from_environment()
    if assigned := os.environ.get(VARIABLE):
        bundle = Bundle.open(Assignment.read(assigned).champion.folder)
        return Stage(ServedModel.open, bundle, settings, Path(assigned), told)
    if not (folder := os.environ.get(environment.BUNDLE)):
        raise BadInput(
            f"{environment.BUNDLE} names no bundle to serve: start with `assay serve`, which sets it"
        )
    # Nobody assigns another.
    return Stage(ServedModel.open, Bundle.open(folder), replace(settings, mode="pinned"), told=told)
