"""A bundle is opened only if it is whole and its weights are those that were registered."""

from __future__ import annotations

import json
import shutil

import pytest
from assay.components.core.errors import BadInput
from assay.components.core.manifest import sha256_of
from assay.serving.versions.bundle import Bundle, write_bundle


@pytest.fixture
def written(tiny, tmp_path) -> Bundle:
    return write_bundle(tmp_path / "bundle", "assay-search", "3", tiny.ranker, tiny.encoder)


def flip_a_byte(file) -> None:
    with file.open("r+b") as stream:
        stream.seek(-100, 2)
        byte = stream.read(1)
        stream.seek(-1, 1)
        stream.write(bytes([byte[0] ^ 1]))


def test_a_bundle_opens_as_it_was_written(written):
    assert Bundle.open(written.folder) == written
    assert written.sha256 == {part: sha256_of(written.folder / part) for part in ("ranker", "encoder")}
    assert written.kind == "cross"


@pytest.mark.parametrize("part", ["ranker", "encoder"])
@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "tokenizer.json"])
def test_one_changed_byte_is_refused(written, part, file):
    flip_a_byte(written.folder / part / file)
    with pytest.raises(BadInput, match=f"{part} in .* has sha256 .*refused"):
        Bundle.open(written.folder)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "head.pkl", "optimizer.pt"])
def test_pickles_are_refused_even_if_the_sha256_fits(written, name):
    (written.ranker / name).write_bytes(b"\x80\x04.")
    about = json.loads((written.folder / "bundle.json").read_text())
    about["sha256"]["ranker"] = sha256_of(written.ranker)
    (written.folder / "bundle.json").write_text(json.dumps(about))
    with pytest.raises(BadInput, match=f"{name}: pickled weights are refused"):
        Bundle.open(written.folder)


def test_a_folder_that_is_no_bundle_is_told(tmp_path, tiny):
    with pytest.raises(BadInput, match="is no bundle"):
        Bundle.open(tmp_path)
    (tmp_path / "bundle.json").write_text("{")
    with pytest.raises(BadInput, match="cannot be read"):
        Bundle.open(tmp_path)
    (tmp_path / "bundle.json").write_text(
        '{"name": "a", "version": "1", "kind": "bi", "sha256": {"ranker": "0"}}'
    )
    with pytest.raises(BadInput, match="cannot be read"):
        Bundle.open(tmp_path)


def test_a_bundle_is_written_whole_or_not_at_all(tiny, tmp_path):
    folder = tmp_path / "bundle"
    write_bundle(folder, "assay-search", "1", tiny.ranker, tiny.encoder)
    broken = tmp_path / "broken"
    shutil.copytree(tiny.encoder, broken)
    (broken / "vocab.txt").symlink_to("nowhere")
    with pytest.raises(shutil.Error):
        write_bundle(folder, "assay-search", "2", tiny.ranker, broken)
    assert Bundle.open(folder).version == "1"
