"""One version replaces another while requests run, and goes again where it does worse."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from assay.components.core.errors import BadInput
from assay.components.core.manifest import sha256_of
from assay.serving.versions.assignment import Answer, Assigned, Assignment, read_answers
from assay.serving.versions.opening import open_stage
from assay.serving.versions.probe import Probe
from assay.serving.versions.settings import Following
from assay.serving.versions.stage import Stage

from tests.serving.versions.by_core import ByCore
from tests.serving.versions.conftest import CANARY_ROWS
from tests.serving.versions.registry import NAME

NOW = Following(mode="follow", probation_seconds=0)
ON_PROBATION = Following(mode="follow", probation_seconds=3600, rows=100)


class Theatre:
    """A stage, its assignment, and what it told."""

    def __init__(self, folder, first, settings=NOW, open_version=ByCore, **more):
        self.folder, self.told, self.opened = folder, [], []
        self.open_version = open_version
        self.file = self.assign(first, **more)
        self.stage = Stage(self.open, first, settings, self.file, lambda *told: self.told.append(told))

    def open(self, bundle):
        self.opened.append(self.open_version(bundle))
        return self.opened[-1]

    def assign(self, champion, challenger=None, **more):
        assigned = [b and Assigned.of(b) for b in (champion, challenger)]
        return Assignment(NAME, "follow", *assigned, **more).write(self.folder)

    def look(self, times=1):
        async def looks():
            for _ in range(times):
                await self.stage.look()

        asyncio.run(looks())

    def settle(self):
        """Wait for what is closed behind the requests."""
        self.stage._behind.submit(lambda: None).result()

    @property
    def answers(self):
        return read_answers(self.folder)


@pytest.fixture
def theatre(tmp_path):
    made = []

    def make(*given, **more):
        made.append(Theatre(tmp_path / "state", *given, **more))
        return made[-1]

    yield make
    for one in made:
        one.stage.close()


def test_a_new_champion_is_opened_and_answers_the_next_request(theatre, bundles, rankers):
    one, two = bundles("1", 1), bundles("2", 2)
    t = theatre(one)
    assert t.stage.champion.version == "1"
    t.assign(two)
    t.look()
    with t.stage.using() as model:
        assert model.version == "2"
        assert model.score(CANARY_ROWS[:3]) == pytest.approx(
            [row for row in ByCore(two).score(CANARY_ROWS)[:3]], abs=1e-6
        )
    assert t.told == [("swapped", "2")]
    assert {key.partition("-")[0]: a for key, a in t.answers.items()} == {"2": Answer("serving")}
    t.look(2)
    assert len(t.opened) == 2


def test_what_was_replaced_is_closed_after_its_last_request_and_not_before(theatre, bundles):
    t = theatre(bundles("1", 1))
    with t.stage.using() as first:
        t.assign(bundles("2", 2))
        t.look(2)
        with t.stage.using() as second:
            assert (first.version, second.version) == ("1", "2")
        t.settle()
        assert np.isfinite(first.score(CANARY_ROWS[:2])).all()
    t.settle()
    assert (first.closed, t.stage.champion.closed) == (True, False)


def test_a_replaced_version_stays_open_while_the_new_one_is_on_probation(theatre, bundles):
    one = bundles("1", 1)
    t = theatre(one, ON_PROBATION)
    first = t.stage.champion
    t.assign(bundles("2", 2))
    t.look(3)
    t.settle()
    assert t.stage.info()["previous"]["version"] == "1"
    assert not first.closed
    # The alias goes back: nothing has to be opened.
    t.assign(one)
    t.look()
    assert t.stage.champion is first
    assert len(t.opened) == 2


def test_no_request_fails_while_versions_are_swapped_under_load(theatre, bundles):
    versions = [bundles("1", 1), bundles("2", 2)]
    t = theatre(versions[0])
    ended = threading.Event()
    seen = set()

    def ask():
        while not ended.is_set():
            with t.stage.using() as model:
                assert np.isfinite(model.score(CANARY_ROWS[:4])).all()
                seen.add(model.version)

    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(ask) for _ in range(4)]
        try:
            for swap in range(6):
                t.assign(versions[(swap + 1) % 2])
                t.look(2)
        finally:
            ended.set()
        for one in asked:
            one.result()
    assert seen == {"1", "2"}
    assert t.told == [("swapped", v) for v in ("2", "1") * 3]
    t.settle()
    assert [model.closed for model in t.opened] == [True] * 6 + [False]


def test_a_version_is_opened_behind_the_requests(bundles, tmp_path):
    seen = []

    def open_version(bundle):
        thread = threading.Thread(
            target=lambda: seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        )
        thread.start()
        thread.join()
        return ByCore(bundle)

    versions = [bundles("1", 1), bundles("2", 2)]
    one, two = map(Assigned.of, versions)
    file = Assignment(NAME, "follow", one).write(tmp_path / "state")
    stage = Stage(open_version, versions[0], NOW, file)
    Assignment(NAME, "follow", two).write(tmp_path / "state")
    asyncio.run(stage.look())
    assert stage.champion.version == "2"
    stage.close()
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert seen == [own, max(own, 10)]


def damage(bundle):
    with (bundle.ranker / "model.safetensors").open("r+b") as weights:
        weights.seek(-100, 2)
        weights.write(b"tampered")


def pickle_it(bundle):
    (bundle.ranker / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    file = bundle.folder / "bundle.json"
    about = json.loads(file.read_text())
    about["sha256"]["ranker"] = sha256_of(bundle.ranker)
    file.write_text(json.dumps(about))


def score_otherwise(bundle):
    probe = Probe.read(bundle)
    Probe(probe.rows, tuple(s + 0.01 for s in probe.registered)).write(bundle)


def take_away(bundle):
    (bundle.folder / "bundle.json").unlink()


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (damage, "sha256"),
        (pickle_it, "pickled weights are refused"),
        (score_otherwise, "scores 0.01 away"),
        (take_away, "is no bundle"),
    ],
)
def test_a_spoilt_version_is_refused_and_the_old_one_stays(theatre, bundles, spoil, why):
    t = theatre(bundles("1", 1))
    two = bundles("2", 2)
    spoil(two)
    file = t.assign(two)
    if spoil is pickle_it:
        # The supervisor believes in it.
        assigned = Assigned("2", sha256_of(two.ranker), str(two.folder))
        Assignment(NAME, "follow", assigned).write(t.folder)
    t.look()
    assert t.stage.champion.version == "1"
    [answer] = t.answers.values()
    assert answer.outcome == "refused"
    assert why in answer.reason
    assert t.told == [("refused", "2")]
    # Not again, though the file was written anew.
    file.write_text(file.read_text() + " ")
    t.look()
    assert t.told == [("refused", "2")]
    t.settle()
    assert all(model.closed for model in t.opened[1:])


def test_another_bundle_than_was_assigned_is_refused(theatre, bundles):
    t = theatre(bundles("1", 1))
    two = bundles("2", 2)
    Assignment(NAME, "follow", Assigned("3", two.sha256["ranker"], str(two.folder))).write(t.folder)
    t.look()
    assert t.stage.champion.version == "1"
    assert "holds version 2" in next(iter(t.answers.values())).reason


@pytest.mark.parametrize("scores", ["constant", "nan"])
def test_a_version_whose_scores_collapsed_is_refused(theatre, bundles, scores):
    class Collapsed(ByCore):
        def score(self, rows):
            value = np.nan if scores == "nan" else 0.5
            return np.full(len(rows), value) if self.version == "2" else super().score(rows)

    t = theatre(bundles("1", 1), open_version=Collapsed)
    t.assign(bundles("2", 2))
    t.look()
    assert t.stage.champion.version == "1"
    assert ("same score" if scores == "constant" else "no finite number") in next(
        iter(t.answers.values())
    ).reason


def test_what_an_unknown_error_says_is_not_repeated(theatre, bundles, caplog):
    def broken(bundle):
        if bundle.version == "2":
            raise RuntimeError("what a customer typed")
        return ByCore(bundle)

    t = theatre(bundles("1", 1), open_version=broken)
    t.assign(bundles("2", 2))
    t.look()
    assert next(iter(t.answers.values())).reason == "RuntimeError"
    assert "customer" not in caplog.text


def test_a_first_version_that_scores_otherwise_does_not_start(bundles):
    one = bundles("1", 1)
    score_otherwise(one)
    with pytest.raises(BadInput, match="version 1: a canary row scores"):
        Stage(ByCore, one)


def swapped(theatre, bundles):
    t = theatre(bundles("1", 1), ON_PROBATION)
    t.opened[0].counted(rows=1000, seconds=1.0)
    t.assign(bundles("2", 2))
    t.look()
    return t


def test_a_version_whose_rows_fail_is_taken_back(theatre, bundles):
    t = swapped(theatre, bundles)
    t.opened[1].counted(rows=99, failed=50, seconds=0.1)
    t.look()
    assert t.stage.champion.version == "2"
    t.opened[1].counted(rows=1, seconds=0.001)
    t.look()
    assert t.stage.champion.version == "1"
    [answer] = t.answers.values()
    assert answer == Answer("rolled back", "50 of its first 100 rows failed")
    assert t.told == [("swapped", "2"), ("rolled back", "2")]
    t.settle()
    assert [model.closed for model in t.opened] == [False, True]
    # The alias still names it: it is not opened again.
    t.assign(bundles("2", 2))
    t.look()
    assert len(t.opened) == 2


def test_rows_that_failed_before_as_well_are_not_held_against_it(theatre, bundles):
    t = theatre(bundles("1", 1), ON_PROBATION)
    t.opened[0].counted(rows=1000, failed=100, seconds=1.0)
    t.assign(bundles("2", 2))
    t.look()
    t.opened[1].counted(rows=1000, failed=105, seconds=1.0)
    t.look()
    assert t.stage.champion.version == "2"


class Slow(ByCore):
    """Its second version takes a hundred times as long."""

    def score(self, rows):
        return super().score(list(rows) * 100)[: len(rows)] if self.version == "2" else super().score(rows)


def test_a_slow_version_is_taken_back_if_it_is_slow_side_by_side_too(theatre, bundles):
    t = theatre(bundles("1", 1), ON_PROBATION, Slow)
    t.opened[0].counted(rows=1000, seconds=1.0)
    t.assign(bundles("2", 2))
    t.look()
    t.opened[1].counted(rows=1000, seconds=5.0)
    t.look()
    assert t.stage.champion.version == "1"
    assert "times as long as version 1" in next(iter(t.answers.values())).reason


def test_a_version_that_only_met_a_busy_machine_stays(theatre, bundles):
    t = swapped(theatre, bundles)
    t.opened[1].counted(rows=1000, seconds=50.0)
    t.look()
    assert t.stage.champion.version == "2"


def test_a_version_that_cannot_be_measured_can_be_replaced(theatre, bundles, monkeypatch):
    t = swapped(theatre, bundles)

    def fail(rows):
        raise MemoryError

    monkeypatch.setattr(t.opened[1], "score", fail)
    t.opened[1].counted(rows=1000, seconds=50.0)
    with pytest.raises(MemoryError):
        t.look()
    t.assign(bundles("3", 3))
    t.look()
    assert t.stage.champion.version == "3"


def test_a_refusal_is_forgotten_once_nobody_names_the_version(theatre, bundles):
    one, two = bundles("1", 1), bundles("2", 2)
    score_otherwise(two)
    t = theatre(one)
    t.assign(two)
    t.look()
    key = next(iter(t.answers))
    # The supervisor has read the answer; then the alias moves.
    t.assign(one, refused={key: "because"})
    t.look()
    assert key in t.answers
    t.assign(one)
    t.look()
    assert t.answers == {}
    t.assign(two)
    t.look()
    assert len(t.opened) == 3


def answered_by(t, key):
    with t.stage.using(key) as model:
        return model.version


def test_a_share_of_requests_goes_to_the_challenger_and_sticks(theatre, bundles):
    one, two = bundles("1", 1), bundles("2", 2)
    t = theatre(one)
    t.assign(one, two, canary_share=0.2)
    t.look()
    keys = [f"session {n}" for n in range(2000)]
    routed = {key: answered_by(t, key) for key in keys}
    assert sum(v == "2" for v in routed.values()) / len(keys) == pytest.approx(0.2, abs=0.04)
    assert {key: answered_by(t, key) for key in keys} == routed
    # A larger share takes more keys, and none away.
    t.assign(one, two, canary_share=0.4)
    t.look()
    assert all(answered_by(t, key) == "2" for key, v in routed.items() if v == "2")
    t.assign(one)
    t.look()
    assert {answered_by(t, key) for key in keys} == {"1"}
    t.settle()
    assert t.opened[1].closed
    assert t.told == [("challenger", "2"), ("no challenger", "2")]


def test_a_challenger_that_is_promoted_is_not_opened_again(theatre, bundles):
    one, two = bundles("1", 1), bundles("2", 2)
    t = theatre(one)
    t.assign(one, two, canary_share=0.5)
    t.look()
    t.assign(two, canary_share=0.5)
    t.look(2)
    t.settle()
    assert t.stage.champion is t.opened[1]
    assert t.stage.info()["challenger"] is None
    assert [model.closed for model in t.opened] == [True, False]


def test_a_challenger_whose_rows_fail_gets_no_more_requests(theatre, bundles):
    one, two = bundles("1", 1), bundles("2", 2)
    t = theatre(one, ON_PROBATION)
    t.assign(one, two, canary_share=1.0)
    t.look()
    assert answered_by(t, "any") == "2"
    t.opened[1].counted(rows=100, failed=2, seconds=0.1)
    t.look()
    assert answered_by(t, "any") == "1"
    assert next(iter(t.answers.values())).outcome == "rolled back"


def test_a_challenger_is_judged_against_the_champion_of_now(theatre, bundles):
    """The champion that it was opened beside is closed by then."""
    one, two, three = (bundles(str(n), n) for n in (1, 2, 3))
    t = theatre(one, Following(mode="follow", probation_seconds=0, rows=100), Slow)
    t.opened[0].counted(rows=1000, seconds=1.0)
    t.assign(one, two, canary_share=0.5)
    t.look()
    t.assign(three, two, canary_share=0.5)
    t.look(2)
    t.settle()
    assert t.opened[0].closed
    t.opened[2].counted(rows=1000, seconds=1.0)
    t.opened[1].counted(rows=1000, seconds=5.0)
    t.look()
    assert t.stage.info()["challenger"] is None
    assert "times as long as version 3" in t.answers[Assigned.of(two).key].reason


def test_shadowed_are_those_that_the_champion_answers(theatre, bundles):
    one, two = bundles("1", 1), bundles("2", 2)
    t = theatre(one)
    t.assign(one, two, canary_share=0.5, shadow_share=1.0)
    t.look()
    for key in map(str, range(50)):
        with t.stage.shadowing(key) as model:
            assert (None if model is None else model.version) == ("2" if answered_by(t, key) == "1" else None)


def test_info_says_what_is_served_and_why_another_is_not(theatre, bundles):
    one = bundles("1", 1)
    t = theatre(one)
    t.assign(one, refused={"9-0123456789ab": "ndcg@10 is worse"})
    t.look()
    info = t.stage.info()
    assert info["mode"] == "follow"
    assert info["current"]["version"] == "1"
    assert info["current"]["sha256"] == one.sha256
    assert (info["previous"], info["challenger"]) == (None, None)
    assert info["refused"] == {"9-0123456789ab": "ndcg@10 is worse"}
    assert t.told == [("refused", "9")]
    json.dumps(info)


def test_an_assignment_that_cannot_be_read_changes_nothing(theatre, bundles, caplog):
    t = theatre(bundles("1", 1))
    t.look()
    t.file.write_text("{")
    with pytest.raises(BadInput, match="cannot be read"):
        t.look()
    t.look()
    assert t.stage.champion.version == "1"


def test_a_worker_that_is_started_anew_takes_what_is_assigned_by_now(bundles, tmp_path, monkeypatch):
    monkeypatch.setenv("ASSAY_ASSIGNMENT", str(tmp_path / "assignment.json"))
    monkeypatch.setenv("ASSAY_BACKEND_NAME", "torch")
    monkeypatch.setenv("ASSAY_FOLLOW_MODE", "follow")
    for version, seed in (("1", 1), ("2", 2)):
        Assignment(NAME, "follow", Assigned.of(bundles(version, seed))).write(tmp_path)
        stage = open_stage(lambda *told: None)
        assert (stage.champion.version, stage.info()["mode"]) == (version, "follow")
        stage.close()
    # Without a supervisor nobody assigns another.
    monkeypatch.delenv("ASSAY_ASSIGNMENT")
    monkeypatch.setenv("ASSAY_BUNDLE", str(bundles("3", 1).folder))
    stage = open_stage(lambda *told: None)
    assert (stage.champion.version, stage.info()["mode"]) == ("3", "pinned")
    stage.close()
    monkeypatch.delenv("ASSAY_BUNDLE")
    with pytest.raises(BadInput, match="ASSAY_BUNDLE names no bundle"):
        open_stage(lambda *told: None)
