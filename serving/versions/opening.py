"""What a process serves at its start: the assigned version, or a bundle that is named."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from assay.components.core.errors import BadInput
from assay.serving import environment
from assay.serving.engine.served import ServedModel
from assay.serving.versions.bundle import Bundle
from assay.serving.versions.settings import Following
from assay.serving.versions.stage import Stage, Told, first_bundle


def open_stage(told: Told) -> Stage:
    """A stage with its first version open and warm.

    Args:
        told: Is told what happens to versions.

    Raises:
        BadInput: The bundle is damaged, or does not score its probe as it must.
    """
    settings = Following.from_environment()
    if (assigned := first_bundle()) is not None:
        bundle, assignment = assigned
        return Stage(ServedModel.open, bundle, settings, assignment, told)
    # Nobody assigns another.
    return Stage(ServedModel.open, Bundle.open(bundle_folder()), replace(settings, mode="pinned"), told=told)


def bundle_folder() -> Path:
    """Folder of the bundle that `ASSAY_BUNDLE` names.

    Raises:
        BadInput: It is not set.
    """
    if named := os.environ.get(environment.BUNDLE):
        return Path(named)
    raise BadInput(f"{environment.BUNDLE} names no bundle to serve: start with `assay serve`, which sets it")
