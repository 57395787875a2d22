"""The supervisor's part of following: looks at the registry, gets versions ready, and assigns them."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from assay.components.core import tracking
from assay.components.core.errors import BadInput
from assay.serving.versions.assignment import SERVING, Assigned, Assignment, read_answers
from assay.serving.versions.fetch import READY, REFUSED
from assay.serving.versions.held import Held, remove_unused
from assay.serving.versions.settings import Following

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

FETCH = (sys.executable, "-m", "assay.serving.versions.fetch")
LONGEST_WAIT = 300.0
"""Seconds between two looks at a registry that does not answer, at most."""


class UnansweredError(RuntimeError):
    """The registry, or what it keeps its files in, did not answer; another time it may."""


class Follower(threading.Thread):
    """Keeps an assignment up to date with the registry.

    What cannot be had changes nothing: the assignment stays as it is, and with it what is served.

    Args:
        assignment: What is served now; it is written already.
        state: Folder of the assignment.
        cache: Folder of this model's bundles, one a version.
        settings: What to follow.
        canary_sha256: Of the champion's canary set.
        command: Gets a version ready.
    """

    def __init__(
        self,
        assignment: Assignment,
        state: Path,
        cache: Path,
        settings: Following,
        canary_sha256: str = "",
        command: Sequence[str] = FETCH,
    ):
        super().__init__(name="follower", daemon=True)
        self.assignment = assignment
        self.state, self.cache, self.settings, self.command = state, cache, settings, tuple(command)
        self._ended = threading.Event()
        self._child: subprocess.Popen | None = None
        self._said: dict[str, str] = {}
        self._canaries = {assignment.champion.key: canary_sha256}
        # The newest last; the two newest champions are kept.
        self._champions = [assignment.champion]
        self._held = {folder: Held(Path(folder)) for folder in self._folders()}
        self._refused = dict(assignment.refused)

    def run(self) -> None:
        """Look, and look again, until `stop`."""
        failures = 0
        while not self._ended.wait(self._pause(failures)):
            try:
                self.look()
            except Exception as error:  # A supervisor that dies of a registry would take the service with it.
                failures += 1
                silent = f"the registry does not answer ({type(error).__name__})"
                what = str(error) if isinstance(error, UnansweredError) else silent
                self._say("registry", f"{what}: nothing changes")
            else:
                failures = 0
                self._say("registry", "")

    def stop(self) -> None:
        """End the thread and what it has started."""
        self._ended.set()
        self._kill()
        if self.is_alive():
            self.join(timeout=5)

    def _kill(self) -> None:
        if (child := self._child) is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)

    def look(self) -> None:
        """Ask the registry once, and assign what it names.

        Raises:
            MlflowException: It did not answer.
            UnansweredError: A version could not be fetched this time.
        """
        client = tracking.connect()
        name, settings = self.assignment.name, self.settings
        champion = challenger = None
        if settings.mode == "follow":
            champion = tracking.version_by_alias(client, name, tracking.CHAMPION)
            gone = f"{name} has no champion: version {self.assignment.champion.version} stays"
            self._say("champion", "" if champion else gone)
        if settings.shares:
            challenger = self._named(client, settings.challenger)
            gone = f"{name} has no challenger {settings.challenger!r}: the champion answers alone"
            self._say("challenger", "" if challenger else gone)
        # An alias that moved away and back asks anew.
        named = [self._assigned(version).key for version in (champion, challenger) if version is not None]
        if settings.mode == "pinned":
            named.append(self.assignment.champion.key)
        self._refused = {key: why for key, why in self._refused.items() if key in named}
        for key, answer in read_answers(self.state).items():
            if answer.outcome != SERVING and key in named and key not in self._refused:
                self._refuse(key, answer.reason)
        serving = self._champion(champion)
        self._assign(
            replace(
                self.assignment,
                champion=serving,
                challenger=self._challenger(challenger, serving),
                refused=self._refused,
            )
        )

    def _named(self, client, what: str) -> ModelVersion | None:
        if what.isdigit():
            with contextlib.suppress(BadInput):
                return tracking.find_version(client, self.assignment.name, what)
            return None
        return tracking.version_by_alias(client, self.assignment.name, what)

    def _champion(self, version: ModelVersion | None) -> Assigned:
        now = self.assignment.champion
        if now.key in self._refused and len(self._champions) > 1:
            # The worker has gone back already.
            now = self._champions[-2]
        if version is None:
            return now
        return self._ready(version, now) or now

    def _challenger(self, version: ModelVersion | None, champion: Assigned) -> Assigned | None:
        if version is None or self._assigned(version).key == champion.key:
            return None
        return self._ready(version, champion)

    def _assigned(self, version: ModelVersion) -> Assigned:
        return Assigned.registered(version, self.cache)

    def _ready(self, version: ModelVersion, current: Assigned) -> Assigned | None:
        """A version, fetched and checked; None where it is refused."""
        assigned = self._assigned(version)
        if assigned.key in self._refused:
            return None
        canary = version.tags.get(f"{tracking.TAG}{tracking.CANARY}_sha256", "")
        known = {one for one in (*self._champions, self.assignment.challenger) if one is not None}
        if assigned in known and self._canaries.setdefault(assigned.key, canary) == canary:
            return assigned
        held = self._held.get(assigned.folder) or Held(Path(assigned.folder))
        self._held[assigned.folder] = held
        against = () if assigned == current else ("--current", current.folder)
        if reason := self._fetch(assigned, against):
            self._refuse(assigned.key, reason)
            return None
        self._canaries[assigned.key] = canary
        return assigned

    def _fetch(self, assigned: Assigned, against: Sequence[str]) -> str:
        """Why a version is refused; "" where it is ready."""
        self._say("fetch", f"getting {self.assignment.name} version {assigned.version} ready")
        command = [*self.command, self.assignment.name, assigned.version, assigned.folder, *against]
        # A session of its own: Ctrl-C in a terminal is the supervisor's to handle.
        self._child = child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | self.settings.environment(),
            start_new_session=True,
        )
        if self._ended.is_set():
            # `stop` may have come when there was nothing yet to kill.
            self._kill()
        try:
            said = child.communicate()[0].strip().rpartition("\n")[2]
        finally:
            self._child = None
        if child.returncode == REFUSED:
            with contextlib.suppress(ValueError, KeyError, TypeError):
                return json.loads(said)["reason"]
            return "it was refused, see above"
        if child.returncode == READY:
            found = json.loads(said)
            if found["sha256"] == assigned.sha256:
                return ""
            return f"its ranker has sha256 {found['sha256']}, registered was {assigned.sha256}"
        if child.returncode < 0 and not self._ended.is_set():
            # What kills this process would kill the worker; out of memory is no different another time.
            return f"getting it ready was ended by signal {-child.returncode}"
        raise UnansweredError(f"version {assigned.version} could not be fetched")

    def _refuse(self, key: str, reason: str) -> None:
        self._refused[key] = reason
        print(f"refused {self.assignment.name} version {key}: {reason}", file=sys.stderr, flush=True)

    def _assign(self, assignment: Assignment) -> None:
        if assignment.champion != self._champions[-1]:
            self._champions = [*self._champions[-1:], assignment.champion]
        if assignment != self.assignment or assignment.refused != self.assignment.refused:
            before, self.assignment = self.assignment.champion, assignment
            assignment.write(self.state)
            if assignment.champion != before:
                what = f"{assignment.name} version {assignment.champion.version}"
                print(f"assigned {what}", file=sys.stderr, flush=True)
        self._tidy()

    def _folders(self) -> set[str]:
        kept = {one.folder for one in self._champions}
        return kept | ({self.assignment.challenger.folder} if self.assignment.challenger else set())

    def _tidy(self) -> None:
        for folder in set(self._held) - self._folders():
            self._held.pop(folder).let_go()
            remove_unused(Path(folder))

    def _pause(self, failures: int) -> float:
        wait = min(self.settings.seconds * 2 ** min(failures, 10), max(LONGEST_WAIT, self.settings.seconds))
        # Not all replicas at once.
        return wait * random.uniform(0.9, 1.1)

    def _say(self, about: str, text: str) -> None:
        """Say something once, until there is something else to say."""
        if text and self._said.get(about) != text:
            print(text, file=sys.stderr, flush=True)
        elif not text and about == "registry" and self._said.get(about):
            print("the registry answers again", file=sys.stderr, flush=True)
        self._said[about] = text
