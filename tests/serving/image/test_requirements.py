"""What an image installs is pinned, whole, and no more than its variant needs."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from pathlib import Path

import pytest
from assay.components.core.errors import BadInput
from assay.serving.image import requirements
from assay.serving.image.requirements import closure, direct, lines, public

ROOT = Path(__file__).parents[3]


def test_a_list_is_pinned_to_what_the_lock_says():
    locked = dict(re.findall(r"^([^=#\s]+)==(\S+)$", (ROOT / "requirements.lock").read_text(), re.M))
    locked = {requirements.canonical(name): version for name, version in locked.items()}
    pinned = dict(line.split("==") for line in lines(closure(direct(["torch", "onnx"], registry=True))))
    missing = pinned.keys() - locked.keys()
    # pip leaves setuptools out of what it freezes.
    assert missing <= {"setuptools", "onnxruntime", "flatbuffers"}
    assert {name: version for name, version in pinned.items() if name in locked}.items() <= locked.items()


def test_nothing_that_a_requirement_needs_is_left_out():
    from packaging.requirements import Requirement

    found = closure(direct(["torch"], registry=True))
    for distribution in found.values():
        for line in distribution.requires or []:
            need = Requirement(line)
            name = requirements.canonical(need.name)
            if (
                need.marker is None or need.marker.evaluate({"extra": ""})
            ) and not requirements.brought_by_torch(name):
                assert name in found, f"{distribution.name} needs {name}"


def test_an_image_of_onnx_files_is_without_torch_and_one_of_a_bundle_without_mlflow():
    onnx, torch, registry = (
        set(closure(direct([network], registry=fetch)))
        for network, fetch in (("onnx", False), ("torch", False), ("torch", True))
    )
    heavy = {"torch", "transformers", "mlflow", "mlflow-skinny", "pandas", "scipy", "scikit-learn", "kfp"}
    heavy |= {"onnx", "onnxscript"}
    assert onnx & heavy == set()
    assert torch & heavy == {"torch", "transformers"}
    assert registry & heavy == {"torch", "transformers", "mlflow-skinny"}
    assert {"onnxruntime", "tokenizers", "bentoml"} <= onnx


def test_what_torch_brings_for_cuda_is_left_to_torch():
    found = closure(direct(["torch"], registry=False))
    assert not [name for name in found if requirements.brought_by_torch(name)]
    assert "nvidia-ml-py" in found  # BentoML's.


def test_a_requirement_that_is_not_installed_is_told():
    with pytest.raises(BadInput, match="no-such-thing is not installed here, and the service needs it"):
        closure(["no-such-thing"])


def test_the_local_part_of_a_version_is_another_index_s():
    assert public("2.13.0+cpu") == "2.13.0"
    assert not [line for line in lines(closure(direct(["torch"], registry=False))) if "+" in line]


# What runs where a context is written, never in the service.
_ELSEWHERE = ("image/",)


def test_every_import_of_the_service_is_in_an_image():
    """At the top of a module or inside a function: what serving names is there, in one variant or another."""
    there = closure(direct(list(requirements.NETWORKS), registry=True)).values()
    files = {str(found.locate_file(file)) for found in there for file in found.files or []}
    missing: dict[str, list[str]] = {}
    for file in sorted((ROOT / "serving").rglob("*.py")):
        place = file.relative_to(ROOT / "serving").as_posix()
        if place.startswith(_ELSEWHERE):
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                modules = [node.module or ""]
            for module in modules:
                if module.partition(".")[0] in {"assay", *sys.stdlib_module_names}:
                    continue
                spec = importlib.util.find_spec(module)
                # A namespace has no file: what is in it is another import's.
                if spec is None or (spec.origin and spec.origin not in files):
                    missing.setdefault(module, []).append(place)
    assert missing == {}
