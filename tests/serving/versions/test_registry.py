"""From a real MLflow registry to a bundle: the champion or a numbered version, checked, fetched once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from assay.components.core.errors import BadInput
from assay.components.core.manifest import sha256_of
from assay.components.core.ranker import new_ranker
from assay.serving.run import main
from assay.serving.versions.bundle import Bundle, make_bundle

from tests.serving.versions.registry import NAME, registered, spoilt


@pytest.fixture(scope="module")
def registry(tiny, tmp_path_factory):
    """Versions 1 and 2 of a model, 2 the champion, in sqlite; the environment points there."""
    folder = tmp_path_factory.mktemp("registry")
    bi = folder / "bi" / "ranker"
    new_ranker("bi", tiny.encoder, seed=1).save(bi)
    versions = ({"ranker": ranker, "encoder": tiny.encoder} for ranker in (bi, tiny.ranker))
    with registered(folder, *versions, champion="2") as client:
        yield client


def test_the_champion_or_a_numbered_version(registry, tiny, tmp_path):
    champion = make_bundle(NAME, None, tmp_path / "champion")
    assert (champion.name, champion.version, champion.kind) == (NAME, "2", "cross")
    assert champion.sha256["ranker"] == sha256_of(tiny.ranker)
    first = make_bundle(NAME, "1", tmp_path / "first")
    assert (first.version, first.kind) == ("1", "bi")
    assert Bundle.open(tmp_path / "first") == first


def test_a_version_is_fetched_once_and_again_where_it_is_damaged(registry, tmp_path):
    folder = tmp_path / "bundle"
    bundle = make_bundle(NAME, "2", folder)
    written = (folder / "bundle.json").stat().st_ino
    assert make_bundle(NAME, None, folder) == bundle
    assert (folder / "bundle.json").stat().st_ino == written
    (folder / "ranker" / "config.json").write_text("{}")
    assert make_bundle(NAME, "2", folder) == bundle
    assert Bundle.open(folder) == bundle
    assert make_bundle(NAME, "1", folder).version == "1"


def test_what_is_not_there_is_told(registry, tmp_path, capsys, monkeypatch):
    with pytest.raises(BadInput, match=f"{NAME} has no version 9"):
        make_bundle(NAME, "9", tmp_path / "bundle")
    with pytest.raises(BadInput, match="assay-ads has no champion .*none is registered"):
        make_bundle("assay-ads", None, tmp_path / "bundle")
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))
    assert main(["--name", "assay-ads"]) == 2
    assert "assay-ads has no champion" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_weights_that_changed_in_the_registry_are_refused(registry, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))
    store = Path(os.environ["MLFLOW_TRACKING_URI"].removeprefix("sqlite:///")).parent / "mlflow-artifacts"
    [stored] = [file for file in store.rglob("ranker.json") if '"bi"' in file.read_text()]
    with spoilt(stored):
        assert main(["--name", NAME, "--version", "1"]) == 1
    assert "refused" in capsys.readouterr().err
    assert not list((tmp_path / "cache").rglob("bundle.json"))


def test_backends_that_cannot_be_made_are_told_in_a_line(registry, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("assay.serving.versions.fetch.PREPARE", "no_such_module")
    assert main(["--name", NAME]) == 1
    assert "its backends could not be derived, see above (exit code 1)" in capsys.readouterr().err
