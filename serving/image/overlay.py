"""The kustomize overlay that puts one image and one model version on a cluster."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from assay.components.core.errors import BadInput
from assay.serving import environment

BASE = Path(__file__).resolve().parents[2] / "manifests" / "base"
"""The base that overlays stand on, beside this package."""

ANNOTATION = "assay/model-version"
"""On the pods: when it changes, they are replaced, so a promotion is a rollout."""

_IMAGE = re.compile(
    r"^(?P<name>[^\s@]+?)(?::(?P<tag>[\w][\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?$"
)


def write_overlay(
    image: str,
    name: str,
    version: str,
    folder: str | Path,
    base: str | Path = BASE,
    components: Sequence[str] = (),
) -> Path:
    """Write an overlay that names an image and a model version.

    Args:
        image: With a tag or, better, a digest: `registry:5000/assay:0.1.0@sha256:...`.
        name: Registered model.
        version: Number of its version.
        folder: Where; its three files are replaced, what else is there is left.
        base: Folder of the base.
        components: Names of folders in `components` beside the base, such as `gpu`.

    Returns:
        The folder. `kubectl apply --kustomize FOLDER` applies it.

    Raises:
        BadInput: The image names neither tag nor digest, the version is no number, or there is no base.
    """
    folder, base = Path(folder).absolute(), Path(base).absolute()
    match = check_image(image)
    if not re.fullmatch(r"[1-9][0-9]*", str(version)):
        raise BadInput(f"version {version!r}: give its number, for an alias may move under the pods")
    if not (base / "kustomization.yaml").is_file():
        raise BadInput(f"{base} is no kustomize base: it holds no kustomization.yaml")

    beside = base.parent / "components"
    deployment = yaml.safe_load((base / "deployment.yaml").read_text())
    stands_for = deployment["spec"]["template"]["spec"]["containers"][0]["image"].partition(":")[0]
    replaced = {"newName": match["name"], "newTag": match["tag"], "digest": match["digest"]}
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [_relative(base, folder)],
        "images": [{"name": stands_for, **{key: value for key, value in replaced.items() if value}}],
        **({"components": [_relative(beside / name, folder) for name in components]} if components else {}),
        "patches": [{"path": "model.yaml"}, {"path": "rollout.yaml"}],
    }
    model = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": deployment["metadata"]["name"]},
        "data": {environment.NAME: name, environment.VERSION: str(version)},
    }
    rollout = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": deployment["metadata"]["name"]},
        "spec": {"template": {"metadata": {"annotations": {ANNOTATION: f"{name}-{version}"}}}},
    }
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "model.yaml", model, "Which version the pods fetch.")
    _write(folder / "rollout.yaml", rollout, "A ConfigMap alone replaces no pod; this line does.")
    # Last: it names the others.
    _write(folder / "kustomization.yaml", kustomization, "Written by `assay bundle`: one image, one version.")
    return folder


def check_image(image: str) -> re.Match[str]:
    """An image's name, in parts: `name`, `tag`, `digest`.

    Raises:
        BadInput: It names neither tag nor digest.
    """
    match = _IMAGE.match(image)
    if match is None or not (match["tag"] or match["digest"]):
        raise BadInput(f"image {image!r}: name it with a tag or a digest, or pods may run different ones")
    return match


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()


def _write(path: Path, content: dict[str, Any], why: str) -> None:
    beside = path.with_name(f".{path.name}.partial")
    beside.write_text(f"# {why}\n" + yaml.safe_dump(content, sort_keys=False))
    os.replace(beside, path)
