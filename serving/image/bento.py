"""The bento: a bundle and the code that serves it, as BentoML builds and ships them."""

from __future__ import annotations

import importlib
import re
import shutil
from importlib import metadata
from pathlib import Path

import yaml
from assay.components.core.manifest import publishing
from assay.serving.versions.bundle import Bundle

MODEL_ALIAS = "bundle"
"""What the code of a bento calls the model that it was built with."""

PACKAGES = ("assay.components.core", "assay.serving")
"""What the service imports of this suite."""

SERVICE = "assay.serving.service:Assay"


def store_model(bundle: Bundle) -> str:
    """Copy a bundle into BentoML's model store, under `BENTOML_HOME`.

    Returns:
        Its tag, `assay-search:3-44c9f22786a7`: name, version, and the ranker's sha256, for two registries may
        both have a version 3. A tag that is there already is left as it is: it holds the same bytes.
    """
    import bentoml

    # BentoML's names: lower case letters, digits, `_`, `-`, `.`.
    name = re.sub(r"[^a-z0-9_.-]", "-", bundle.name.lower())
    tag = f"{name}:{bundle.version}-{bundle.sha256['ranker'][:12]}"
    if not any(str(model.tag) == tag for model in bentoml.models.list()):
        with bentoml.models.create(tag, metadata={"sha256": bundle.sha256, "kind": bundle.kind}) as model:
            shutil.copytree(bundle.folder, model.path, dirs_exist_ok=True)
    return tag


def requirements() -> list[str]:
    """Pinned requirements of serving, as this package declares them."""
    declared = metadata.requires("assay-ranking") or []
    wanted = [line.partition(";") for line in declared if ";" not in line or 'extra == "serve"' in line]
    return sorted(requirement.strip() for requirement, _, _ in wanted)


def write_build_context(bundle: Bundle, folder: str | Path) -> str:
    """Write the folder that `bentoml build` is run on: code, requirements and the model's tag.

    Args:
        bundle: A checked bundle; it is stored in BentoML's model store first.
        folder: Where; replaced if it exists.

    Returns:
        The tag of the stored model.
    """
    tag = store_model(bundle)
    with publishing(folder, step="bento", model=tag) as (beside, _):
        for package in PACKAGES:
            source = Path(str(importlib.import_module(package).__file__)).parent
            target = beside.joinpath(*package.split("."))
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.md"))
        (beside / "assay" / "components" / "__init__.py").touch()
        bentofile = {
            "service": SERVICE,
            "name": "assay",
            "labels": {"assay.model": bundle.name.lower(), "assay.version": bundle.version},
            "include": ["assay/**/*.py"],
            # Pinned already: a lock of everything beneath would be of the building machine's kind alone.
            "python": {"packages": requirements(), "lock_packages": False},
            "docker": {"distro": "debian", "python_version": "3.11"},
            "models": [{"tag": tag, "alias": MODEL_ALIAS}],
            "envs": [{"name": "BENTOML_DO_NOT_TRACK", "value": "True"}],
        }
        (beside / "bentofile.yaml").write_text(yaml.safe_dump(bentofile, sort_keys=False))
    return tag
