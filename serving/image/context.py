"""The folder that an image is built in, and a bento: code, weights, requirements, and the list of them."""

from __future__ import annotations

import importlib
import json
import re
import shutil
from importlib import metadata
from pathlib import Path

from assay.components.core import tracking
from assay.components.core.errors import BadInput
from assay.components.core.manifest import publishing, read_manifest, write_json
from assay.serving.engine.backends.choose import BackendSettings, choice
from assay.serving.engine.backends.derived import FOLDER, Derived
from assay.serving.image import bento, sbom
from assay.serving.image.containerfile import PORT, containerfile
from assay.serving.image.requirements import PYTHON, closure, direct, lines
from assay.serving.versions.bundle import DESCRIPTION, Bundle

VARIANTS = ("cpu", "gpu")

PACKAGES = ("assay.components.core", "assay.serving")
"""What the service imports of this suite."""

_STEP = "context"


def write_context(
    bundle: Bundle | None, folder: str | Path, variant: str = "cpu", image: str | None = None
) -> list[str]:
    """Write a build context; it exists whole or not at all.

    Args:
        bundle: The checked version that goes into the image; None for an image that fetches one at start.
        folder: Where; an older context there is replaced.
        variant: `cpu` or `gpu`. The first runs ONNX files where the bundle has them, and has no torch then.
        image: How the image is called in the commands of the README; None for a name of this machine alone.

    Returns:
        Keys of `NETWORKS`: what runs the networks in this image.

    Raises:
        BadInput: The variant is unknown, the folder holds something else, or a requirement is not installed.
    """
    folder = Path(folder)
    check_target(folder, variant)
    networks = _networks(bundle, variant)
    distributions = closure(direct(networks, registry=bundle is None))
    requirements = lines(distributions)
    labels = _labels(bundle)

    with publishing(folder, step=_STEP, variant=variant, networks=networks) as (beside, manifest):
        # Not exact: which build of a version is installed here says nothing about the image's.
        libraries = [sbom.library(found, exact=False) for found in distributions.values()]
        components = [sbom.suite(), *libraries]
        _copy_code(beside)
        if bundle is not None:
            manifest |= {"model": bundle.name, "model_version": bundle.version}
            _copy_bundle(bundle, beside / "bundle", derived="onnx" in networks)
            components += [
                sbom.model(bundle.name, bundle.version, part, sha256, beside / "bundle" / part)
                for part, sha256 in bundle.sha256.items()
            ]
            (beside / "service.py").write_text(bento.ENTRY)
            (beside / "bentofile.yaml").write_text(bento.bentofile(bundle.name, bundle.version, requirements))
        title, version = labels["org.opencontainers.image.title"], labels["org.opencontainers.image.version"]
        bom = sbom.document(title, version, variant, components)
        (beside / "sbom.cdx.json").write_text(json.dumps(bom, indent=1) + "\n")
        (beside / "requirements.txt").write_text("\n".join(requirements) + "\n")
        (beside / "Containerfile").write_text(containerfile(variant, bundle is not None, labels))
        wanted = ["assay", "requirements.txt", "sbom.cdx.json", *(["bundle"] if bundle else [])]
        (beside / ".dockerignore").write_text("*\n" + "".join(f"!{name}\n" for name in wanted))
        image = image or f"localhost/{re.sub(r'[^a-z0-9._-]', '-', title.lower())}:{version}"
        (beside / "README.md").write_text(_readme(bundle, variant, networks, image))
        for path in beside.rglob("*"):
            # The process in the image is not the owner of these, whatever this machine's umask is.
            path.chmod(0o755 if path.is_dir() else 0o644)
    return networks


def check_target(folder: str | Path, variant: str) -> None:
    """Whether a context of that variant may be written there.

    Raises:
        BadInput: The variant is unknown, or the folder holds something that is no context.
    """
    folder = Path(folder)
    if variant not in VARIANTS:
        raise BadInput(f"variant {variant!r}: choose from {', '.join(VARIANTS)}")
    try:
        ours = read_manifest(folder).get("step") == _STEP
    except (FileNotFoundError, NotADirectoryError, ValueError):
        ours = False
    if not ours and (folder.is_file() or (folder.is_dir() and any(folder.iterdir()))):
        raise BadInput(f"{folder} holds something else than a context: name a new folder, or remove it")


def _networks(bundle: Bundle | None, variant: str) -> list[str]:
    if variant == "gpu":
        return ["torch"]
    if bundle is None:
        return ["onnx", "torch"]
    asked = BackendSettings.from_environment().name
    backends = choice(asked, Derived.read(bundle.folder, bundle.sha256), cuda=False)
    return sorted({backend.partition("-")[0] for backend in backends.values()})


def _labels(bundle: Bundle | None) -> dict[str, str]:
    version = metadata.version("assay-ranking")
    title = "org.opencontainers.image.title"
    if bundle is None:
        return {title: "assay", "org.opencontainers.image.version": version}
    return {
        title: bundle.name,
        "org.opencontainers.image.version": bundle.version,
        "assay.version": version,
        "assay.model.name": bundle.name,
        "assay.model.version": bundle.version,
        **{f"assay.model.{part}.sha256": sha256 for part, sha256 in bundle.sha256.items()},
    }


def _copy_code(context: Path) -> None:
    for package in PACKAGES:
        source = Path(str(importlib.import_module(package).__file__)).parent
        target = context.joinpath(*package.split("."))
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.md"))
    (context / "assay" / "components" / "__init__.py").touch()


def _copy_bundle(bundle: Bundle, target: Path, derived: bool) -> None:
    # Only these: a canary set holds texts of users, and an image outlives their wish to be forgotten.
    target.mkdir()
    about = json.loads((bundle.folder / DESCRIPTION).read_text())
    about.pop("canary_sha256", None)
    write_json(target / DESCRIPTION, about)
    for part in (*tracking.PARTS, *([FOLDER] if derived else [])):
        shutil.copytree(bundle.folder / part, target / part)


def _readme(bundle: Bundle | None, variant: str, networks: list[str], image: str) -> str:
    what = f"{bundle.name} version {bundle.version}" if bundle else "the version that its environment names"
    build = f"build -t {image}"
    if variant == "cpu" and "torch" in networks:
        build += " --build-arg PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu"
    run = ["podman run -d --name assay -p 3000:3000", "--read-only --cap-drop=all"]
    run.append("--security-opt no-new-privileges")
    if variant == "gpu":
        # Triton loads what it compiles there.
        run.append("--tmpfs /tmp:rw,exec --device nvidia.com/gpu=all")
    else:
        run.append("--tmpfs /tmp")
    if bundle is None:
        run.append("-e MLFLOW_TRACKING_URI=http://mlflow:5000 -e ASSAY_MODEL_NAME=assay-search")
    command = " \\\n  ".join([*run, image])
    body = '{"context": "shoe", "candidates": [{"id": "a", "text": "red shoe"}]}'
    text = f"""\
# A build context of Assay's service

It serves {what}, {variant} variant. Written by `assay bundle`; in this folder:

```
podman {build} .
{command}
curl localhost:{PORT}/readyz
curl localhost:{PORT}/rank --json '{body}'
```

With Docker: `docker {build} -f Containerfile .`, and `--gpus all` where podman has `--device`.
A base image of your own, with Python {PYTHON} and its venv module: `--build-arg BASE_IMAGE=...`.
`/opt/assay/sbom.cdx.json` in the image lists what is in it.
"""
    if bundle:
        text += "\nWith BentoML instead: `bentoml build` in this folder, then `bentoml serve assay:latest`.\n"
    return text
