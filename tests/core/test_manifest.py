import json

import pytest
from assay.components.core.manifest import code_version, publishing, read_manifest, sha256_of, write_json


def test_an_output_exists_whole_or_not_at_all(tmp_path):
    def fail():
        with publishing(tmp_path / "out") as (folder, _):
            (folder / "half.txt").write_text("half")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        fail()
    assert not (tmp_path / "out").exists()
    with publishing(tmp_path / "out", seed=3) as (folder, manifest):
        (folder / "whole.txt").write_text("whole")
        manifest["rows"] = 1
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    found = read_manifest(tmp_path / "out")
    assert (found["seed"], found["rows"], found["code"]) == (3, 1, code_version())
    assert found["sha256"] == sha256_of(tmp_path / "out")


def test_the_hash_of_a_folder_sees_names_and_bytes_but_not_the_manifest(tmp_path):
    (tmp_path / "a").write_text("1")
    before = sha256_of(tmp_path)
    (tmp_path / "manifest.json").write_text("{}")
    assert sha256_of(tmp_path) == before
    (tmp_path / "a").rename(tmp_path / "b")
    assert sha256_of(tmp_path) != before


def test_json_that_no_reader_could_parse_is_refused(tmp_path):
    write_json(tmp_path / "x.json", {"a": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"a": float("nan")})
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": 1}
