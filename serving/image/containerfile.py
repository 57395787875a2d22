"""The Containerfile of a context: two stages, no root, nothing written but in /tmp."""

from __future__ import annotations

from collections.abc import Mapping

from assay.serving import environment
from assay.serving.image.requirements import PYTHON

BASE_IMAGE = f"docker.io/library/python:{PYTHON}-slim-bookworm"
"""Any Debian-like image with `python3.11 -m venv` will do."""

HOME = "/opt/assay"
"""Of everything that is ours in the image."""

USER = 1034
"""Of the process; the manifests name the same."""

PORT = 3000

_TEXT = """\
# Written by `assay bundle`. In this folder: podman build -t IMAGE .
# or: docker build -f Containerfile -t IMAGE .
ARG BASE_IMAGE={base}

FROM ${{BASE_IMAGE}} AS build
# An index of wheels that pip's own lacks, such as those of torch without CUDA.
ARG PIP_EXTRA_INDEX_URL=""
COPY requirements.txt /tmp/
# pip works from an environment of its own, so that the image holds none.
RUN python{python} -m venv /tmp/pip \\
 && python{python} -m venv --without-pip {home}/venv \\
 && /tmp/pip/bin/pip --python {home}/venv/bin/python install --no-cache-dir --only-binary :all: \\
      -r /tmp/requirements.txt \\
 && /tmp/pip/bin/pip --python {home}/venv/bin/python check
COPY assay {home}/code/assay
COPY sbom.cdx.json /tmp/
# Fails where the image holds something else than what the list promises.
RUN export PYTHONPATH={home}/code \\
 && {home}/venv/bin/python -m assay.serving.image.sbom /tmp/sbom.cdx.json {home}/sbom.cdx.json \\
 && {home}/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash {home}/code

FROM ${{BASE_IMAGE}}
{compiler}COPY --from=build {home} {home}
{bundle}{labels}
{variables}
WORKDIR /tmp
USER {user}:{user}
EXPOSE {port}
STOPSIGNAL SIGTERM
ENTRYPOINT ["python", "-m", "assay.serving.run", "--host", "0.0.0.0"]
CMD ["--port", "{port}"]
"""

_COMPILER = """\
# Triton compiles the launchers of its kernels when they are first used.
RUN apt-get update && apt-get install -y --no-install-recommends gcc g++ && rm -rf /var/lib/apt/lists/*
"""


def containerfile(variant: str, with_bundle: bool, labels: Mapping[str, str]) -> str:
    """The text of a Containerfile.

    Args:
        variant: `cpu` or `gpu`.
        with_bundle: Whether the folder `bundle` goes into the image; else the container asks the registry.
        labels: Labels of the image, without their quotes.
    """
    variables = {
        "PATH": f"{HOME}/venv/bin:$PATH",
        "PYTHONPATH": f"{HOME}/code",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        # The root may be read-only: everything that is written goes to /tmp.
        "HOME": "/tmp",
        "BENTOML_HOME": "/tmp/bentoml",
        "BENTOML_DO_NOT_TRACK": "True",
        environment.CACHE: "/tmp/assay",
        "HF_HUB_OFFLINE": "1",
    }
    if with_bundle:
        variables[environment.BUNDLE] = f"{HOME}/bundle"
    else:
        variables["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
    if variant == "gpu":
        # What NVIDIA's container runtime looks for.
        variables |= {"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "compute,utility"}
    return _TEXT.format(
        base=BASE_IMAGE,
        python=PYTHON,
        home=HOME,
        user=USER,
        port=PORT,
        compiler=_COMPILER if variant == "gpu" else "",
        bundle=f"COPY bundle {HOME}/bundle\n" if with_bundle else "",
        labels=_each("LABEL", labels),
        variables=_each("ENV", variables),
    )


def _each(instruction: str, pairs: Mapping[str, str]) -> str:
    beneath = " \\\n" + " " * len(instruction)
    return instruction + beneath.join(f' {key}="{value}"' for key, value in pairs.items())
