"""The list of what is in an image: valid CycloneDX, and what the build checks the image against."""

from __future__ import annotations

import json
from importlib import metadata

import pytest
from assay.components.core.errors import BadInput
from assay.serving.image import sbom
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator


def problems(document: dict) -> object:
    return JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document))


def test_every_distribution_here_is_a_valid_component(bundle):
    here = {part["bom-ref"]: part for part in map(sbom.library, metadata.distributions())}
    models = [sbom.model("a", "3", part, bundle.sha256[part], bundle.folder / part) for part in bundle.sha256]
    document = sbom.document("a", "3", "cpu", [sbom.suite(), *here.values(), *models])
    assert problems(document) is None
    assert problems({**document, "bomFormat": "SPDX"}) is not None
    licensed = [part for part in here.values() if "licenses" in part]
    assert len(licensed) >= 0.9 * len(here)


def test_a_model_is_listed_with_the_digest_of_the_registry_and_of_each_file(bundle):
    import hashlib

    component = sbom.model("assay-search", "3", "ranker", bundle.sha256["ranker"], bundle.ranker)
    assert component["type"] == "machine-learning-model"
    assert component["hashes"] == [{"alg": "SHA-256", "content": bundle.sha256["ranker"]}]
    files = {file["name"]: file["hashes"][0]["content"] for file in component["components"]}
    weights = hashlib.sha256((bundle.ranker / "model.safetensors").read_bytes()).hexdigest()
    assert files["bundle/ranker/model.safetensors"] == weights
    assert len(files) == len([path for path in bundle.ranker.rglob("*") if path.is_file()])


def test_packages_of_debian(tmp_path):
    status = tmp_path / "status"
    status.write_text(
        "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.36-9+deb12u14\n\n"
        "Package: gone\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 1\n\n"
        "Package: adduser\nStatus: install ok installed\nVersion: 1:3.134\nArchitecture: all\n"
        "Description: adds\n Package: fake\n"
    )
    system = tmp_path / "os-release"
    system.write_text('NAME="Debian"\nVERSION_ID="12"\nID=debian\n')
    found = sbom.packages(status, system)
    assert [part["purl"] for part in found] == [
        "pkg:deb/debian/adduser@1%3A3.134?arch=all",
        "pkg:deb/debian/libc6@2.36-9%2Bdeb12u14?arch=amd64",
    ]
    assert problems(sbom.document("a", "1", "cpu", found)) is None
    assert sbom.packages(tmp_path / "none", system) == []


@pytest.mark.parametrize(
    ("installed", "variant", "told"),
    [
        ({"a": "1", "torch": "2+cpu"}, "cpu", []),
        ({"a": "1"}, "cpu", ["torch 2 is missing"]),
        ({"a": "1.1", "torch": "2"}, "cpu", ["a is 1.1, 1 was promised"]),
        ({"a": "1", "torch": "2", "b": "3"}, "cpu", ["b 3 is there, and nothing asked for it"]),
        ({"a": "1", "torch": "2", "nvidia-x": "3"}, "cpu", ["nvidia-x 3 is there, and nothing asked for it"]),
        ({"a": "1", "torch": "2", "nvidia-x": "3", "triton": "3"}, "gpu", []),
        ({"a": "1", "torch": "2", "b": "3"}, "gpu", ["b 3 is there, and nothing asked for it"]),
    ],
)
def test_an_image_is_what_was_promised(installed, variant, told):
    assert sbom.differences({"a": "1", "torch": "2"}, installed, variant) == told


def test_the_build_fails_where_it_is_not(tmp_path):
    promised, written = tmp_path / "promised.json", tmp_path / "written.json"
    nowhere = {**sbom.library(metadata.distribution("numpy")), "name": "nowhere", "version": "7"}
    promised.write_text(json.dumps(sbom.document("a", "1", "cpu", [nowhere])))
    with pytest.raises(BadInput, match="not what sbom.cdx.json promises:\\n(.*\\n)*nowhere 7 is missing"):
        sbom.check(promised, written)
    assert not written.exists()
