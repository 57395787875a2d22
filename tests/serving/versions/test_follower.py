"""The supervisor follows a real registry; what gets versions ready is a small script here."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from assay.components.core import tracking
from assay.serving.versions.assignment import Answer, Assigned, Assignment, write_answers
from assay.serving.versions.follower import Follower, UnansweredError
from assay.serving.versions.held import Held, remove_unused, writing
from assay.serving.versions.settings import Following

from tests.serving.versions.registry import NAME

FETCH = """
import json, pathlib, sys, time
name, version, folder, *rest = sys.argv[1:]
here = pathlib.Path(__file__).parent
with (here / "calls").open("a") as calls:
    calls.write(" ".join([version, *[pathlib.Path(r).name for r in rest]]) + "\\n")
rule = here / version
said = rule.read_text() if rule.exists() else ""
if said == "sleep":
    (here / "sleeping").touch()
    time.sleep(600)
if said.startswith("refuse"):
    print(json.dumps({"reason": said}))
    sys.exit(2)
if said == "fail":
    sys.exit(1)
if said == "crash":
    import os, signal
    os.kill(os.getpid(), signal.SIGSEGV)
pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
print("noise of a library")
print(json.dumps({"sha256": (said or "s") + version, "reason": ""}))
"""


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """Versions 1 to 4 of a model, without files, in sqlite."""
    folder = tmp_path_factory.mktemp("registry")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        client = tracking.connect()
        client.create_registered_model(NAME)
        for number in "1234":
            tags = {"assay.ranker_sha256": f"s{number}", "assay.canary_sha256": f"c{number}"}
            client.create_model_version(NAME, source=str(folder / number), tags=tags)
        yield client


class House:
    """A follower in a folder, that has started with version 1."""

    def __init__(self, client, folder: Path, **settings):
        self.client, self.folder = client, folder
        self.rules, self.state, self.cache = folder / "rules", folder / "state", folder / "cache"
        self.rules.mkdir()
        (self.rules / "fetch.py").write_text(FETCH)
        for number in "1234":
            client.set_model_version_tag(NAME, number, "assay.canary_sha256", f"c{number}")
        self.point("champion", "1")
        (self.cache / "1").mkdir(parents=True)
        self.settings = Following(**{"mode": "follow", "seconds": 0.1, **settings})
        shares = self.settings.shadow_share, self.settings.canary_share
        first = Assignment(NAME, self.settings.mode, self.assigned("1"), None, *shares)
        first.write(self.state)
        command = [sys.executable, str(self.rules / "fetch.py")]
        self.follower = Follower(first, self.state, self.cache, self.settings, "c1", command)

    def assigned(self, number):
        return Assigned(number, f"s{number}", str(self.cache / number))

    def point(self, alias, number):
        self.client.set_registered_model_alias(NAME, alias, number)

    def rule(self, number, what):
        (self.rules / number).write_text(what)

    @property
    def now(self):
        return Assignment.read(self.state / "assignment.json")

    @property
    def calls(self):
        file = self.rules / "calls"
        return file.read_text().splitlines() if file.exists() else []

    @property
    def kept(self):
        return sorted(path.name for path in self.cache.iterdir() if path.is_dir())


@pytest.fixture
def house(registry, tmp_path):
    made = []

    def make(**settings):
        made.append(House(registry, tmp_path, **settings))
        return made[-1]

    yield make
    for one in made:
        one.follower.stop()


def test_the_assignment_follows_the_alias(house, capsys):
    h = house()
    h.follower.look()
    assert (h.now.champion, h.calls) == (h.assigned("1"), [])
    h.point("champion", "2")
    h.follower.look()
    h.follower.look()
    assert h.now == Assignment(NAME, "follow", h.assigned("2"))
    assert h.calls == ["2 --current 1"]
    assert "assigned assay-search version 2" in capsys.readouterr().err


def test_bundles_that_nobody_serves_are_removed_and_the_previous_one_is_kept(house):
    h = house()
    other = Held(h.cache / "2")
    for number in "234":
        h.point("champion", number)
        h.follower.look()
        assert str(int(number) - 1) in h.kept
    # Another service of this machine serves version 2.
    assert h.kept == ["2", "3", "4"]
    other.let_go()
    assert remove_unused(h.cache / "2")
    assert not remove_unused(h.cache / "4")


def test_a_refused_version_is_not_asked_for_again_until_the_alias_moves(house, capsys):
    h = house()
    h.rule("2", "refuse: the weights are not those that were registered")
    h.point("champion", "2")
    for _ in range(3):
        h.follower.look()
    assert h.now.champion == h.assigned("1")
    reason = "refuse: the weights are not those that were registered"
    assert h.now.refused == {"2-s2": reason}
    assert h.calls == ["2 --current 1"]
    assert capsys.readouterr().err.count(reason) == 1
    h.point("champion", "1")
    h.follower.look()
    assert h.now.refused == {}
    h.point("champion", "2")
    h.follower.look()
    assert len(h.calls) == 2


@pytest.mark.parametrize(
    ("rule", "reason"), [("crash", "ended by signal 11"), ("x", "has sha256 x2, registered was s2")]
)
def test_a_version_that_crashes_or_is_another_is_refused(house, rule, reason):
    h = house()
    h.rule("2", rule)
    h.point("champion", "2")
    h.follower.look()
    assert h.now.champion == h.assigned("1")
    assert reason in h.now.refused["2-s2"]


def test_what_fails_for_now_is_tried_again(house):
    h = house()
    h.rule("2", "fail")
    h.point("champion", "2")
    with pytest.raises(UnansweredError):
        h.follower.look()
    assert (h.now.champion, h.now.refused) == (h.assigned("1"), {})
    h.rule("2", "")
    h.follower.look()
    assert h.now.champion == h.assigned("2")


@pytest.mark.parametrize("outcome", ["refused", "rolled back"])
def test_a_version_that_the_worker_gave_up_is_taken_off(house, outcome):
    h = house()
    h.point("champion", "2")
    h.follower.look()
    write_answers(h.state / "assignment.json", {"2-s2": Answer(outcome, "5 of its first 100 rows failed")})
    h.follower.look()
    assert h.now.champion == h.assigned("1")
    assert h.now.refused == {"2-s2": "5 of its first 100 rows failed"}
    h.follower.look()
    assert len(h.calls) == 1
    h.point("champion", "3")
    h.follower.look()
    assert (h.now.champion, h.now.refused) == (h.assigned("3"), {})
    assert h.calls[-1] == "3 --current 1"


def test_a_champion_that_is_gone_stays_in_service(house, registry, capsys):
    h = house()
    registry.delete_registered_model_alias(NAME, "champion")
    h.follower.look()
    h.follower.look()
    assert h.now.champion == h.assigned("1")
    assert capsys.readouterr().err.count("has no champion: version 1 stays") == 1


def test_a_challenger_gets_its_share_until_it_is_the_champion(house):
    h = house(shadow_share=0.1)
    h.point("challenger", "2")
    h.follower.look()
    assert (h.now.champion, h.now.challenger, h.now.shadow_share) == (h.assigned("1"), h.assigned("2"), 0.1)
    assert h.calls == ["2 --current 1"]
    h.point("champion", "2")
    h.follower.look()
    assert (h.now.champion, h.now.challenger) == (h.assigned("2"), None)
    assert len(h.calls) == 1


def test_pinned_follows_the_challenger_alone(house, registry):
    h = house(mode="pinned", canary_share=0.05, challenger="3")
    h.point("champion", "2")
    h.follower.look()
    assert (h.now.champion, h.now.challenger) == (h.assigned("1"), h.assigned("3"))


def test_a_challenger_that_is_not_there_is_told_once(house, capsys):
    h = house(mode="pinned", canary_share=0.05, challenger="99")
    h.follower.look()
    h.follower.look()
    assert (h.now.champion, h.now.challenger) == (h.assigned("1"), None)
    assert capsys.readouterr().err.count("has no challenger '99'") == 1


def test_a_canary_set_that_was_changed_is_fetched_again(house):
    h = house()
    h.follower.look()
    h.client.set_model_version_tag(NAME, "1", "assay.canary_sha256", "users were erased")
    h.follower.look()
    h.follower.look()
    assert h.calls == ["1"]
    assert h.now.champion == h.assigned("1")


def until(condition, seconds=30.0):
    for _ in range(int(seconds / 0.02)):
        if condition():
            return
        time.sleep(0.02)
    pytest.fail("it did not come to pass")


def test_a_registry_that_is_down_is_told_once_and_changes_nothing(house, registry, monkeypatch, capsys):
    h = house()
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    real = tracking.default_uri()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setattr("assay.serving.versions.follower.LONGEST_WAIT", 0.1)
    h.follower.start()
    said = ""

    def told():
        nonlocal said
        said += capsys.readouterr().err
        return said

    until(lambda: "the registry does not answer (MlflowException)" in told())
    time.sleep(0.5)
    assert told().count("does not answer") == 1
    assert h.now.champion == h.assigned("1")
    h.point("champion", "2")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", real)
    until(lambda: h.now.champion == h.assigned("2"))
    assert "the registry answers again" in told()


def test_a_version_that_cannot_be_fetched_is_not_put_down_to_the_registry(house, capsys):
    h = house()
    h.rule("2", "fail")
    h.point("champion", "2")
    h.follower.start()
    until(lambda: len(h.calls) == 2)
    h.follower.stop()
    assert capsys.readouterr().err.count("version 2 could not be fetched: nothing changes") == 1


def test_a_stop_ends_what_it_has_started(house):
    h = house()
    h.rule("2", "sleep")
    h.point("champion", "2")
    h.follower.start()
    until((h.rules / "sleeping").exists)
    # Of a child that has ended psutil gives no command line, and None here.
    children = psutil.process_iter(["ppid", "cmdline"])
    [child] = [
        each
        for each in children
        if each.info["ppid"] == os.getpid() and str(h.rules) in " ".join(each.info["cmdline"] or ())
    ]
    h.follower.stop()
    assert not h.follower.is_alive()
    assert not child.is_running()
    assert h.now.champion == h.assigned("1")
    assert h.now.refused == {}


def test_a_stop_leaves_nothing_that_a_look_under_way_starts_after_it(house):
    h = house()
    h.rule("2", "sleep")
    h.point("champion", "2")
    h.follower.stop()
    look = threading.Thread(target=lambda: pytest.raises(UnansweredError, h.follower.look), daemon=True)
    look.start()
    look.join(30)
    ended = not look.is_alive()
    h.follower.stop()
    assert ended
    assert h.now.refused == {}


def test_the_pause_grows_while_nothing_answers_and_differs_by_replica(house):
    follower = house(seconds=10).follower
    pauses = [follower._pause(0) for _ in range(50)]
    assert 9 <= min(pauses) < max(pauses) <= 11
    assert 72 <= follower._pause(3) <= 88
    assert 270 <= follower._pause(100) <= 330


def test_one_process_at_a_time_writes_a_folder(tmp_path):
    order = []

    def second():
        with writing(tmp_path / "1"):
            order.append("second")

    with writing(tmp_path / "1"):
        thread = threading.Thread(target=second)
        thread.start()
        assert not remove_unused(tmp_path / "1")
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
