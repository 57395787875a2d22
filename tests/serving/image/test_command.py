"""`assay bundle`: from a registered version to a context, an overlay, or both."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from assay.components.core import tracking
from assay.components.core.manifest import read_manifest, sha256_of
from assay.pipelines.cli import main
from assay.serving.versions.bundle import Bundle

from tests.serving.versions.registry import NAME, registered, spoilt


class Done(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture(scope="module")
def store(tiny, tmp_path_factory) -> str:
    """Address of a registry whose champion is version 1."""
    folder = tmp_path_factory.mktemp("registry")
    with registered(folder, {"ranker": tiny.ranker, "encoder": tiny.encoder}):
        return tracking.default_uri()


@pytest.fixture
def bundle_command(store, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["assay", "bundle", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return Done(int(ended.value.code or 0), *capsys.readouterr())

    return run


def test_the_champion_goes_into_a_context(bundle_command, tiny, tmp_path):
    done = bundle_command()
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["runs/bundle"]
    context = tmp_path / "runs" / "bundle"
    opened = Bundle.open(context / "bundle")
    assert (opened.name, opened.version, opened.sha256["ranker"]) == (NAME, "1", sha256_of(tiny.ranker))
    about = read_manifest(context)
    assert (about["variant"], about["networks"]) == ("cpu", ["onnx"])
    assert "podman build -t localhost/assay-search:1 ." in (context / "README.md").read_text()


def test_an_image_alone_is_an_overlay(bundle_command, tmp_path):
    done = bundle_command("--image", "registry.example.com/assay:1", "--overlay", "o", "--variant", "gpu")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(tmp_path / "o")]
    assert not (tmp_path / "runs").exists()
    kustomization = yaml.safe_load((tmp_path / "o" / "kustomization.yaml").read_text())
    [gpu] = kustomization["components"]
    assert (tmp_path / "o" / gpu / "kustomization.yaml").is_file()


def test_both_are_written_and_nothing_is_fetched_for_an_image_that_fetches(bundle_command, tmp_path):
    image = "registry.example.com/assay:1"
    done = bundle_command("--from-registry", "--out", "c", "--image", image, "--overlay", "o")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["c", str(tmp_path / "o")]
    assert not (tmp_path / "cache").exists()
    assert f"podman build -t {image} " in (tmp_path / "c" / "README.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--version", "9"], "assay-search has no version 9"),
        (["--name", "assay-ads"], "assay-ads has no champion"),
        (["--variant", "tpu"], "variant 'tpu': choose from cpu, gpu"),
        (["--image", "assay"], "name it with a tag or a digest"),
        (["--out", "."], "holds something else than a context"),
    ],
)
def test_bad_input_is_told_and_nothing_is_written(bundle_command, tmp_path, arguments, told):
    (tmp_path / "mine.txt").touch()
    done = bundle_command(*arguments)
    assert done.returncode == 2
    assert told in done.stderr
    assert [path.name for path in Path(tmp_path).iterdir()] == ["mine.txt"]


def test_weights_that_are_not_those_that_were_registered_are_refused(bundle_command, store, tmp_path):
    weights = next(Path(store.removeprefix("sqlite:///")).parent.rglob("artifacts/ranker/model.safetensors"))
    with spoilt(weights):
        done = bundle_command("--out", "c")
    assert done.returncode == 1
    assert "failed: assay-search version 1: ranker has sha256" in done.stderr
    assert not (tmp_path / "c").exists()
