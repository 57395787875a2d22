"""A build context holds what its image needs, and nothing that an image must not hold."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from assay.components.core.errors import BadInput
from assay.components.core.manifest import read_manifest, sha256_of
from assay.serving.engine.backends.choose import BackendSettings
from assay.serving.engine.backends.prepare import prepare
from assay.serving.image.context import check_target, write_context
from assay.serving.versions.bundle import Bundle, write_bundle
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator


@pytest.fixture(scope="module")
def small(tiny, tmp_path_factory) -> Bundle:
    """A bundle of narrow parts, with what an image must not hold."""
    folder = tmp_path_factory.mktemp("small") / "3"
    bundle = write_bundle(folder, "assay-search", "3", tiny.ranker, tiny.encoder)
    (folder / "canary").mkdir()
    (folder / "canary" / "canary.parquet").write_bytes(b"texts of users")
    about = json.loads((folder / "bundle.json").read_text())
    digest = sha256_of(folder / "canary")
    (folder / "bundle.json").write_text(json.dumps({**about, "canary_sha256": digest}))
    (folder / "notes.txt").write_text("mine")
    return bundle


@pytest.fixture(scope="module")
def context(small, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("contexts") / "context"
    mask = os.umask(0o077)
    try:
        write_context(small, folder)
    finally:
        os.umask(mask)
    return folder


def test_a_context_is_whole(context, small):
    assert {path.name for path in context.iterdir()} == {
        ".dockerignore",
        "Containerfile",
        "README.md",
        "assay",
        "bentofile.yaml",
        "bundle",
        "manifest.json",
        "requirements.txt",
        "sbom.cdx.json",
        "service.py",
    }
    assert Bundle.open(context / "bundle").sha256 == small.sha256
    assert (context / "assay" / "serving" / "run.py").is_file()
    assert not list(context.rglob("__pycache__"))


def test_texts_of_users_and_files_of_others_stay_out(context):
    assert {path.name for path in (context / "bundle").iterdir()} == {"bundle.json", "ranker", "encoder"}
    assert "canary" not in (context / "bundle" / "bundle.json").read_text()


def test_every_file_can_be_read_by_a_process_that_owns_none(context):
    for path in set(context.rglob("*")) - {context / "manifest.json"}:
        assert oct(path.stat().st_mode & 0o777) == ("0o755" if path.is_dir() else "0o644"), path


def test_the_containerfile_copies_what_is_sent_and_what_is_there(context):
    text = (context / "Containerfile").read_text()
    sent = {line[1:] for line in (context / ".dockerignore").read_text().split() if line.startswith("!")}
    copied = set(re.findall(r"^COPY (?!--from)(\S+)", text, re.M))
    assert copied == sent
    assert all((context / name).exists() for name in copied)
    assert re.search(r"^ARG BASE_IMAGE=docker\.io/library/python:3\.11", text, re.M)
    assert re.search(r"^USER 1034:1034$", text, re.M)
    assert re.search(r"^STOPSIGNAL SIGTERM$", text, re.M)
    assert 'ARG PIP_EXTRA_INDEX_URL=""\n' in text
    assert "https://" not in text  # No index, no proxy: those are the builder's.


def test_the_image_is_labelled_with_name_version_and_digests(context, small):
    labels = dict(
        re.findall(r'^(?:LABEL|     ) ([a-z.0-9]+)="(.*?)"', (context / "Containerfile").read_text(), re.M)
    )
    assert labels["assay.model.name"] == "assay-search"
    assert labels["org.opencontainers.image.version"] == labels["assay.model.version"] == "3"
    assert {part: labels[f"assay.model.{part}.sha256"] for part in small.sha256} == small.sha256


def test_everything_that_is_written_goes_to_tmp(context):
    text = (context / "Containerfile").read_text()
    for variable in ("HOME", "BENTOML_HOME", "ASSAY_CACHE"):
        [value] = re.findall(rf'(?:ENV|   ) {variable}="(.*?)"', text)
        assert Path(value).is_relative_to("/tmp")


def test_the_list_is_valid_and_names_the_requirements_and_the_model(context, small):
    text = (context / "sbom.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    components = json.loads(text)["components"]
    libraries = {f"{part['name']}=={part['version']}" for part in components if part["type"] == "library"}
    assert libraries == set((context / "requirements.txt").read_text().split())
    models = {part["name"]: part for part in components if part["type"] == "machine-learning-model"}
    assert set(models) == {"assay-search/ranker", "assay-search/encoder"}
    assert models["assay-search/ranker"]["hashes"][0]["content"] == small.sha256["ranker"]


def test_the_same_version_gives_the_same_bytes(context, small, tmp_path):
    write_context(small, tmp_path / "again")
    assert sha256_of(tmp_path / "again") == sha256_of(context)


def test_cpu_runs_onnx_files_where_there_are_some_and_needs_no_torch_then(tiny, tmp_path):
    folder = tmp_path / "bundle"
    prepared = write_bundle(folder, "assay-search", "3", tiny.ranker, tiny.encoder)
    assert prepare(folder, BackendSettings())["ranker"] == "onnx-fp32"
    assert write_context(prepared, tmp_path / "cpu", "cpu") == ["onnx"]
    pinned = (tmp_path / "cpu" / "requirements.txt").read_text()
    assert "onnxruntime==" in pinned
    assert "torch==" not in pinned
    assert "PIP_EXTRA_INDEX_URL" not in (tmp_path / "cpu" / "README.md").read_text()
    assert (tmp_path / "cpu" / "bundle" / "derived" / "ranker.onnx").is_file()

    assert write_context(prepared, tmp_path / "gpu", "gpu") == ["torch"]
    assert "torch==" in (tmp_path / "gpu" / "requirements.txt").read_text()
    assert not (tmp_path / "gpu" / "bundle" / "derived").exists()


def test_gpu_has_a_compiler_for_triton_and_a_place_to_load_from(small, tmp_path):
    write_context(small, tmp_path / "gpu", "gpu")
    text = (tmp_path / "gpu" / "Containerfile").read_text()
    last = text.rpartition("\nFROM ")[2]
    assert "gcc" in last
    assert 'NVIDIA_VISIBLE_DEVICES="all"' in last
    assert "--tmpfs /tmp:rw,exec" in (tmp_path / "gpu" / "README.md").read_text()


def test_an_image_that_fetches_holds_no_version(tmp_path):
    assert write_context(None, tmp_path / "context") == ["onnx", "torch"]
    assert not (tmp_path / "context" / "bundle").exists()
    assert not (tmp_path / "context" / "bentofile.yaml").exists()
    text = (tmp_path / "context" / "Containerfile").read_text()
    assert "ASSAY_BUNDLE" not in text
    assert "COPY bundle" not in text
    assert 'MLFLOW_ALLOW_PICKLE_DESERIALIZATION="false"' in text
    pinned = (tmp_path / "context" / "requirements.txt").read_text()
    assert all(f"{name}==" in pinned for name in ("mlflow-skinny", "onnxscript", "onnxruntime", "torch"))
    bom = json.loads((tmp_path / "context" / "sbom.cdx.json").read_text())
    assert not [part for part in bom["components"] if part["type"] == "machine-learning-model"]


def test_a_context_is_replaced_and_anything_else_is_left(small, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    write_context(small, folder)  # Empty: nobody's.
    (folder / "stale").touch()
    write_context(small, folder, "gpu")
    assert not (folder / "stale").exists()
    assert read_manifest(folder)["variant"] == "gpu"

    (tmp_path / "notes.txt").write_text("mine")
    for other in (tmp_path, tmp_path / "notes.txt", small.folder):
        with pytest.raises(BadInput, match="something else than a context"):
            write_context(small, other)
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("variant", ["", "CPU", "tpu"])
def test_an_unknown_variant_is_told(variant, tmp_path):
    with pytest.raises(BadInput, match="choose from cpu, gpu"):
        check_target(tmp_path / "context", variant)
