"""The list of what is in an image, in CycloneDX 1.6 JSON: promised in the context, checked in the build.

The build runs `python -m assay.serving.image.sbom PROMISED WRITTEN`; the standard library is all it needs.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import sysconfig
import uuid
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import quote

from assay.components.core.errors import BadInput
from assay.serving.image.requirements import PYTHON, brought_by_torch, canonical, public

DPKG = Path("/var/lib/dpkg/status")
"""Where Debian keeps the list of its installed packages."""

VARIANT = "assay:variant"
"""Property of the image: `cpu` or `gpu`."""


def library(found: metadata.Distribution, exact: bool = True) -> dict[str, Any]:
    """A Python distribution as a component; `exact` says whether its version keeps its local part, `+cpu`."""
    name, version = canonical(found.metadata["Name"]), found.version if exact else public(found.version)
    purl = f"pkg:pypi/{name}@{quote(version, safe='')}"
    about = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
    return {**about, **_licences(found)}


def suite() -> dict[str, Any]:
    """The code of this suite as a component."""
    found = metadata.metadata("assay-ranking")
    about = {"type": "application", "bom-ref": "assay-ranking", "name": "assay-ranking"}
    return {**about, "version": found["Version"], "licenses": [{"expression": found["License-Expression"]}]}


def _licences(found: metadata.Distribution) -> dict[str, Any]:
    if expression := _field(found, "License-Expression"):
        return {"licenses": [{"expression": expression}]}
    classified = [
        line.rpartition(" :: ")[2]
        for line in found.metadata.get_all("Classifier") or []
        if line.startswith("License :: ") and line != "License :: OSI Approved"
    ]
    # Some put the whole text of their licence there.
    told = _field(found, "License").strip()
    names = classified or ([told] if told and "\n" not in told and len(told) < 100 else [])
    return {"licenses": [{"license": {"name": name}} for name in names]} if names else {}


def _field(found: metadata.Distribution, name: str) -> str:
    return (found.metadata.get_all(name) or [""])[0]


def model(name: str, version: str, part: str, sha256: str, folder: Path) -> dict[str, Any]:
    """A part of the version in the image as a component, with its files.

    Args:
        name: Registered model.
        version: Its number.
        part: `ranker` or `encoder`.
        sha256: Of the part, as the registry has it: over names and bytes of its files, in name order.
        folder: Where its files are; each is listed with its own sha256.
    """
    return {
        "type": "machine-learning-model",
        "bom-ref": f"model:{name}@{version}/{part}",
        "name": f"{name}/{part}",
        "version": version,
        "hashes": [{"alg": "SHA-256", "content": sha256}],
        "components": [
            _file(path, f"bundle/{part}/{path.relative_to(folder).as_posix()}")
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        ],
    }


def _file(path: Path, name: str) -> dict[str, Any]:
    with path.open("rb") as stream:
        content = hashlib.file_digest(stream, "sha256").hexdigest()
    hashes = [{"alg": "SHA-256", "content": content}]
    return {"type": "file", "bom-ref": f"file:{name}", "name": name, "hashes": hashes}


def document(name: str, version: str, variant: str, components: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """A CycloneDX document about one image. The same components give the same bytes: it holds no time.

    Args:
        name: Of the image.
        version: Of the image.
        variant: `cpu` or `gpu`.
        components: What is in it.
    """
    listed = list(components)
    image = {
        "type": "container",
        "bom-ref": "image",
        "name": name,
        "version": version,
        "properties": [{"name": VARIANT, "value": variant}],
    }
    number = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps([image, listed], sort_keys=True))
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{number}",
        "version": 1,
        "metadata": {"component": image},
        "components": listed,
        "dependencies": [{"ref": "image", "dependsOn": [part["bom-ref"] for part in listed]}],
    }


def packages(status: Path = DPKG, system: Path = Path("/etc/os-release")) -> list[dict[str, Any]]:
    """Installed packages of the base image's Debian as components; none where it is no Debian."""
    if not status.is_file():
        return []
    told = re.search(r'^ID="?([\w.-]+)', system.read_text() if system.is_file() else "", re.M)
    family = told[1] if told else "debian"
    components = []
    for paragraph in status.read_text(errors="replace").split("\n\n"):
        fields = dict(re.findall(r"^(Package|Status|Version|Architecture): (.*)$", paragraph, re.M))
        if fields.get("Status", "").endswith(" installed"):
            name, version, kind = fields["Package"], fields["Version"], fields["Architecture"]
            purl = f"pkg:deb/{family}/{quote(name, safe='')}@{quote(version, safe='')}?arch={kind}"
            components.append(
                {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
            )
    return sorted(components, key=lambda component: component["purl"])


def differences(promised: dict[str, str], installed: dict[str, str], variant: str) -> list[str]:
    """Where an image is not what its context promised, a line each.

    Args:
        promised: {canonical name: version}.
        installed: The same, as it came out.
        variant: `gpu` may have what torch brings for CUDA, which the promise does not list.
    """
    told = []
    for name in sorted(promised.keys() | installed.keys()):
        here, there = installed.get(name), promised.get(name)
        if here is None:
            told.append(f"{name} {there} is missing")
        elif there is None and not (variant == "gpu" and brought_by_torch(name)):
            told.append(f"{name} {here} is there, and nothing asked for it")
        elif there is not None and public(here) != public(there):
            told.append(f"{name} is {here}, {there} was promised")
    return told


def check(promised: Path, written: Path) -> None:
    """Compare what is installed beside this interpreter with a promise, and write the list of what is there.

    Args:
        promised: The context's document.
        written: File to write: the same with the installed versions and the base's packages.

    Raises:
        BadInput: They differ.
    """
    bom = json.loads(promised.read_text())
    image = bom["metadata"]["component"]
    [variant] = [about["value"] for about in image["properties"] if about["name"] == VARIANT]
    libraries = {
        part["name"]: part for part in bom["components"] if part.get("purl", "").startswith("pkg:pypi/")
    }
    others = [part for part in bom["components"] if part["name"] not in libraries]
    here = {
        part["name"]: part for part in map(library, metadata.distributions(path=[_packages_of(sys.prefix)]))
    }
    if told := differences(_versions(libraries), _versions(here), variant):
        hint = ""
        if variant == "cpu" and any(map(brought_by_torch, here)):
            hint = "\nThis torch is for CUDA: --build-arg PIP_EXTRA_INDEX_URL names an index of CPU wheels"
        raise BadInput("the image is not what sbom.cdx.json promises:\n" + "\n".join(told) + hint)
    base = [library(found) for found in metadata.distributions(path=[_packages_of(sys.base_prefix)])]
    of_python = [part for part in base if part not in here.values()]
    components = [*(here[name] for name in sorted(here)), *others, *of_python, *packages()]
    written.write_text(
        json.dumps(document(image["name"], image["version"], variant, components), indent=1) + "\n"
    )


def _packages_of(prefix: str) -> str:
    # By the plain scheme: Debian's own interpreter says /usr/local for what pip would add to it.
    return sysconfig.get_path("purelib", "posix_prefix", {"base": prefix})


def _versions(components: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {name: part["version"] for name, part in components.items()}


if __name__ == "__main__":
    if not sys.version.startswith(PYTHON):
        sys.exit(f"error: this image has Python {sys.version.split()[0]}, {PYTHON} is needed: see BASE_IMAGE")
    try:
        check(Path(sys.argv[1]), Path(sys.argv[2]))
    except BadInput as problem:
        sys.exit(f"error: {problem}")
