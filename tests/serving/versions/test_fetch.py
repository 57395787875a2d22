"""From a real registry to a version that may serve, or to the reason why it must not."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path

import pytest
from assay.components.core import tracking
from assay.components.core.errors import BadInput
from assay.components.core.manifest import sha256_of
from assay.serving.versions.assignment import ANSWERS, ASSIGNMENT, VARIABLE, Assignment
from assay.serving.versions.bundle import Bundle, make_bundle
from assay.serving.versions.fetch import READY, REFUSED, main
from assay.serving.versions.follower import Follower
from assay.serving.versions.held import remove_unused
from assay.serving.versions.probe import Probe
from assay.serving.versions.settings import Following
from assay.serving.versions.starting import starting

from tests.serving.versions.by_core import ByCore
from tests.serving.versions.conftest import scored, write_canary_set
from tests.serving.versions.registry import NAME, registered, spoilt

GOOD, WORSE, OLD, OTHER, PICKLED = "1", "2", "3", "4", "5"


@pytest.fixture(scope="module")
def registry(tiny, rankers, tmp_path_factory):
    """Five versions in sqlite, the first the champion."""
    folder = tmp_path_factory.mktemp("registry")
    pickled = folder / "pickled" / "ranker"
    shutil.copytree(rankers(1), pickled)
    (pickled / "optimizer.pt").write_bytes(b"\x80\x04.")
    one, two = scored(rankers(1)), scored(rankers(2))
    sets = {GOOD: (one, None), WORSE: (-one, one), OTHER: (two, None), PICKLED: (one, None)}
    ranker_of = {GOOD: rankers(1), WORSE: rankers(-1), OLD: rankers(1), OTHER: rankers(3), PICKLED: pickled}
    versions = [{"ranker": ranker, "encoder": tiny.encoder} for ranker in ranker_of.values()]
    for number, canary in sets.items():
        versions[int(number) - 1]["canary"] = write_canary_set(folder / number / "canary", *canary)
    tags = [
        {"assay.metric": "ndcg@10", "assay.run_hash": f"run {number}", "assay.verdict": "better"}
        for number in ranker_of
    ]
    with registered(folder, *versions, champion=GOOD, tags=tags) as client:
        yield client


@pytest.fixture(autouse=True)
def preparing(monkeypatch, tmp_path):
    """What derives backends is another room's; here a script that exits with the code in `code`."""
    folder = tmp_path / "modules"
    folder.mkdir()
    script = (
        "import pathlib, sys; here = pathlib.Path(__file__).parent; (here / 'got').write_text(sys.argv[1]); "
    )
    (folder / "preparing.py").write_text(script + "sys.exit(int((here / 'code').read_text()))")
    (folder / "code").write_text("0")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr("assay.serving.versions.fetch.PREPARE", "preparing")
    return folder


@contextlib.contextmanager
def stored(number, name):
    """The first file of that name of a version in the registry's store; put back at the end."""
    import mlflow

    root = Path(mlflow.artifacts.download_artifacts(f"models:/{NAME}/{number}"))
    file = next(root.rglob(name))
    kept = file.read_bytes()
    try:
        yield file
    finally:
        file.write_bytes(kept)


def fetched(capsys, number, folder, *more):
    code = main([NAME, number, str(folder), *map(str, more)], opened_by=ByCore)
    return code, json.loads(capsys.readouterr().out.strip().rpartition("\n")[2])


def test_a_sound_version_is_ready_with_its_canary_set_lineage_and_probe(registry, tmp_path, capsys):
    code, said = fetched(capsys, GOOD, tmp_path / "1")
    bundle = Bundle.open(tmp_path / "1")
    assert (code, said["reason"], said["sha256"]) == (READY, "", bundle.sha256["ranker"])
    assert said["compared"]["value"] == said["compared"]["registered"] == 1.0
    assert bundle.lineage == {"metric": "ndcg@10", "run_hash": "run 1", "verdict": "better"}
    assert bundle.canary is not None
    assert Probe.read(bundle).backend == "torch-fp32"


def test_an_older_version_without_a_canary_set_is_ready(registry, tmp_path, capsys):
    code, said = fetched(capsys, OLD, tmp_path / "3")
    assert (code, said["reason"], said["compared"]["metric"]) == (READY, "", "")
    assert Bundle.open(tmp_path / "3").canary is None


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (WORSE, "that of the version in service 1.0000"),
        (OTHER, "away from what it did when the version was registered"),
        (PICKLED, "optimizer.pt: pickled weights are refused"),
        ("9", "has no version 9"),
    ],
)
def test_what_must_not_serve_is_refused_with_the_reason(registry, tmp_path, capsys, number, reason):
    current = make_bundle(NAME, GOOD, tmp_path / "1")
    code, said = fetched(capsys, number, tmp_path / number, "--current", current.folder)
    assert code == REFUSED
    assert reason in said["reason"]


@pytest.mark.parametrize("name", ["model.safetensors", "canary.parquet"])
def test_what_was_tampered_with_in_the_registry_is_refused(registry, tmp_path, capsys, name):
    with stored(GOOD, name) as file, spoilt(file):
        code, said = fetched(capsys, GOOD, tmp_path / "1")
    assert code == REFUSED
    assert "registered was" in said["reason"]
    assert not (tmp_path / "1").exists()


def test_nothing_is_left_in_the_folder_for_temporary_files(registry, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    make_bundle(NAME, GOOD, tmp_path / "1")
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_canary_set_that_lost_rows_replaces_the_old_one_and_nothing_else(registry, tmp_path):
    import pandas as pd

    folder = tmp_path / "1"
    bundle = make_bundle(NAME, GOOD, folder)
    Probe((("a", "b"),), (0.0,)).write(bundle)
    weights = (folder / "ranker" / "model.safetensors").stat().st_ino
    tag = "assay.canary_sha256"
    with stored(GOOD, "canary.parquet") as file:
        rows = pd.read_parquet(file)
        rows[6:].to_parquet(file, index=False)
        registry.set_model_version_tag(NAME, GOOD, tag, sha256_of(file.parent))
        try:
            again = make_bundle(NAME, GOOD, folder)
        finally:
            registry.set_model_version_tag(NAME, GOOD, tag, bundle.canary_sha256)
    assert again.canary_sha256 != bundle.canary_sha256
    assert Bundle.open(folder) == again
    assert len(pd.read_parquet(folder / "canary" / "canary.parquet")) == len(rows) - 6
    assert Probe.read(again) is None
    assert (folder / "ranker" / "model.safetensors").stat().st_ino == weights


def test_a_canary_set_that_was_deleted_by_hand_is_done_without(registry, tmp_path):
    with stored(GOOD, "canary.parquet") as file:
        shutil.move(file.parent, tmp_path / "aside")
        try:
            assert make_bundle(NAME, GOOD, tmp_path / "1").canary is None
        finally:
            shutil.move(tmp_path / "aside", file.parent)


def test_a_damaged_canary_set_in_a_bundle_is_refused(registry, tmp_path):
    make_bundle(NAME, GOOD, tmp_path / "1")
    (tmp_path / "1" / "canary" / "canary.json").write_text("{}")
    with pytest.raises(BadInput, match=r"canary in .* has sha256 .* refused"):
        Bundle.open(tmp_path / "1")
    assert make_bundle(NAME, GOOD, tmp_path / "1").canary is not None


def test_backends_are_derived_and_a_refused_one_refuses_the_version(registry, tmp_path, capsys, preparing):
    assert fetched(capsys, GOOD, tmp_path / "1")[0] == READY
    assert (preparing / "got").read_text() == str(tmp_path / "1")
    (preparing / "code").write_text("2")
    code, said = fetched(capsys, GOOD, tmp_path / "1")
    assert code == REFUSED
    assert "its backends could not be derived" in said["reason"]
    (preparing / "code").write_text("1")
    with pytest.raises(RuntimeError, match="exit code 1"):
        main([NAME, GOOD, str(tmp_path / "1")], opened_by=ByCore)


FOLLOW = Following(mode="follow", seconds=3600)


@pytest.fixture
def start(tmp_path):
    """`start()`: what a service at this address starts with."""

    @contextlib.contextmanager
    def started(settings=FOLLOW, at="0.0.0.0-3000"):
        with starting(NAME, None, tmp_path / "bundles", at, settings) as found:
            yield found

    return started


def test_a_service_that_follows_starts_with_the_champion(registry, start, tmp_path):
    with start(FOLLOW) as found:
        file = Path(found.variables[VARIABLE])
        assert found.bundle.version == GOOD
        assert Assignment.read(file).champion.folder == str(found.bundle.folder)
        assert found.variables["ASSAY_FOLLOW_MODE"] == "follow"
        assert Probe.read(found.bundle).registered
    assert file == tmp_path / "bundles" / "at-0.0.0.0-3000" / ASSIGNMENT


def test_the_follower_alone_claims_what_is_served(registry, start, monkeypatch):
    """It lets a bundle go that is served no more; one that is claimed twice would stay on the disk."""
    followers = []
    monkeypatch.setattr(Follower, "start", lambda self: followers.append(self))
    with start() as found:
        assert not remove_unused(found.bundle.folder)
        for held in followers[0]._held.values():
            held.let_go()
        assert remove_unused(found.bundle.folder)


def test_pinned_writes_no_assignment(registry, start):
    with start(Following()) as found:
        assert VARIABLE not in found.variables


def test_a_restart_while_the_registry_is_down_serves_the_last_version(registry, start, monkeypatch, capsys):
    with start():
        pass
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with start() as found:
        assert found.bundle.version == GOOD
    assert (
        "the registry does not answer (MlflowException): starting with version 1" in capsys.readouterr().err
    )
    with pytest.raises(Exception, match="127.0.0.1"), start(at="another-1"):
        pass


def test_a_restart_whose_backends_fail_serves_the_last_version_and_says_why(
    registry, start, preparing, capsys
):
    with start():
        pass
    (preparing / "code").write_text("1")
    with start() as found:
        assert found.bundle.version == GOOD
    assert "backends could not be derived, see above (exit code 1): starting with" in capsys.readouterr().err


def test_a_restart_does_not_start_with_what_was_refused(registry, start, tmp_path, capsys):
    with start() as found:
        state = Path(found.variables[VARIABLE]).parent
        champion = Assignment.read(state / ASSIGNMENT).champion
    sha256 = registry.get_model_version(NAME, WORSE).tags["assay.ranker_sha256"]
    key = f"{WORSE}-{sha256[:12]}"
    Assignment(NAME, "follow", champion, refused={key: "ndcg@10 is worse"}).write(state)
    (state / ANSWERS).write_text("{}")
    registry.set_registered_model_alias(NAME, tracking.CHAMPION, WORSE)
    try:
        with start() as found:
            assert found.bundle.version == GOOD
            assert Assignment.read(state / ASSIGNMENT).refused == {key: "ndcg@10 is worse"}
            assert not (state / ANSWERS).exists()
        assert "version 2 was refused: ndcg@10 is worse: starting with version 1" in capsys.readouterr().err
    finally:
        registry.set_registered_model_alias(NAME, tracking.CHAMPION, GOOD)


def test_a_restart_onto_a_damaged_champion_serves_the_last_version(registry, start):
    with start():
        pass
    registry.set_registered_model_alias(NAME, tracking.CHAMPION, PICKLED)
    try:
        with start() as found:
            assert found.bundle.version == GOOD
            [(key, why)] = Assignment.read(found.variables[VARIABLE]).refused.items()
            assert key.startswith("5-")
            assert "pickled" in why
    finally:
        registry.set_registered_model_alias(NAME, tracking.CHAMPION, GOOD)
