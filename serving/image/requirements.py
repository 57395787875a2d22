"""What an image installs: a short list for each variant, and everything beneath it, pinned."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import metadata

from assay.components.core.errors import BadInput

ALWAYS = (
    "bentoml",
    "httptools",
    "numpy",
    "opentelemetry-exporter-otlp-proto-http",
    "prometheus-client",
    "pyarrow",
    "pydantic",
    "PyYAML",
    "safetensors",
    "tokenizers",
    "uvloop",
)
"""What the service imports on every machine; pyarrow, 157 MB, for the log of what was shown and clicked."""

NETWORKS = {"torch": ("torch", "transformers"), "onnx": ("onnxruntime",)}
"""What runs the networks. ONNX files need no torch: 1 GB less."""

REGISTRY = ("mlflow-skinny",)
"""What fetches a version from an MLflow server: the client alone, 60 MB in place of 640."""

EXPORT = ("onnx", "onnxscript")
"""What makes ONNX files of weights, where the container has to."""

CUDA = ("nvidia-", "cuda-", "triton")
"""How the names begin of what torch's own wheel brings for CUDA; other wheels of the same torch do not."""

PYTHON = "3.11"
"""Of the image."""


def canonical(name: str) -> str:
    """A distribution's name as indexes write it: lower case, dashes."""
    return re.sub(r"[-_.]+", "-", name).lower()


def public(version: str) -> str:
    """A version without its local part: `2.13.0+cpu` is 2.13.0, from another index."""
    return version.partition("+")[0]


def brought_by_torch(name: str) -> bool:
    """Whether a distribution is a part of CUDA or Triton that a torch wheel depends on."""
    return name.startswith(CUDA) and name != "nvidia-ml-py"


def direct(networks: Iterable[str], registry: bool) -> list[str]:
    """Names that an image is made for.

    Args:
        networks: Keys of `NETWORKS`.
        registry: Whether the container fetches its version from MLflow, and makes its ONNX files then.
    """
    names = [*ALWAYS, *(name for network in networks for name in NETWORKS[network])]
    if registry:
        names += [*REGISTRY, *(EXPORT if "onnx" in networks else ())]
    return sorted(map(canonical, names))


def closure(names: Iterable[str]) -> dict[str, metadata.Distribution]:
    """Distributions and all that they need on Linux, in the versions that are installed here.

    Args:
        names: Canonical names.

    Returns:
        {canonical name: distribution}, by name. What torch brings for CUDA is left out.

    Raises:
        BadInput: One of them is not installed here.
    """
    from packaging.requirements import Requirement

    linux = {
        "os_name": "posix",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "python_version": PYTHON,
    }
    found: dict[str, metadata.Distribution] = {}
    seen: set[tuple[str, str]] = set()
    wanted = [(name, "", "the service") for name in names]
    while wanted:
        name, extra, parent = wanted.pop()
        if (name, extra) in seen or brought_by_torch(name):
            continue
        seen.add((name, extra))
        try:
            found[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError as error:
            raise BadInput(
                f"{name} is not installed here, and {parent} needs it on Linux: "
                "pip install 'assay-ranking[serve]' on Linux, and start again"
            ) from error
        for line in found[name].requires or []:
            need = Requirement(line)
            if need.marker is None or need.marker.evaluate({**linux, "extra": extra}):
                wanted += [(canonical(need.name), asked, name) for asked in ("", *sorted(need.extras))]
    return dict(sorted(found.items()))


def lines(distributions: dict[str, metadata.Distribution]) -> list[str]:
    """Pinned requirements: ["aiohttp==3.14.5", ...]."""
    return [f"{name}=={public(found.version)}" for name, found in distributions.items()]
