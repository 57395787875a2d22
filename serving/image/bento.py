"""What makes a context a bento too: `bentoml build` in its folder, `bentoml serve` of it."""

from __future__ import annotations

import re
from collections.abc import Sequence

import yaml
from assay.serving.image.requirements import PYTHON

ENTRY = '''\
"""The bento's service, on the bundle beside this file."""

import os
from pathlib import Path

os.environ.setdefault("ASSAY_BUNDLE", str(Path(__file__).resolve().parent / "bundle"))

from assay.serving.service import Assay  # noqa: E402, F401
'''
"""`service.py` of a context: a bento has no fixed place on a disk, its service looks beside itself."""


def bentofile(name: str, version: str, requirements: Sequence[str]) -> str:
    """The text of `bentofile.yaml`.

    Args:
        name: Registered model.
        version: Its number.
        requirements: Pinned, with all that is beneath them.
    """
    content = {
        "service": "service:Assay",
        "name": "assay",
        # Kubernetes' rules, which BentoML holds its labels to.
        "labels": {"assay.model": re.sub(r"[^\w.-]", "-", name)[:63], "assay.version": version},
        "include": ["service.py", "assay/**", "bundle/**"],
        "python": {"packages": list(requirements), "lock_packages": False},
        "docker": {"distro": "debian", "python_version": PYTHON},
        "envs": [{"name": "BENTOML_DO_NOT_TRACK", "value": "True"}],
    }
    return yaml.safe_dump(content, sort_keys=False)
