"""What is served: a champion, perhaps a challenger, and how one version replaces another under requests."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assay.components.core.errors import BadInput
from assay.serving.versions.assignment import (
    REFUSED,
    ROLLED_BACK,
    SERVING,
    Answer,
    Assigned,
    Assignment,
    read_answers,
    write_answers,
)
from assay.serving.versions.bundle import Bundle
from assay.serving.versions.opened import Opened, OpenVersion
from assay.serving.versions.probation import Probation
from assay.serving.versions.probe import Probe
from assay.serving.versions.settings import Following

logger = logging.getLogger("bentoml.assay.versions")
LOOK_SECONDS = 1.0
NICE = 10
Told = Callable[[str, str], None]
"""Is told (outcome, version): `swapped`, `refused`, `rolled back`, `challenger`, `no challenger`."""


@dataclass(eq=False)
class _Slot:
    """An open version and the requests that use it."""

    model: Opened
    bundle: Bundle
    users: int = 0
    retired: bool = False
    key: str = field(init=False)

    def __post_init__(self):
        self.key = Assigned.of(self.bundle).key


class Stage:
    """Holds the versions that are served; opens, probes, swaps and closes them while requests run.

    A request takes its model with `using` and keeps it until it is answered: a swap changes what the next one
    takes. A version is closed when it was replaced, the probation is over and its last request has ended.

    Args:
        open_version: Opens a checked bundle, warm.
        bundle: Of the first version, checked.
        settings: How versions are followed.
        assignment: File that says what to serve; None where that never changes.
        told: Is told what happens; for metrics.

    Raises:
        BadInput: The first version does not score its probe as it must.
    """

    def __init__(
        self,
        open_version: OpenVersion,
        bundle: Bundle,
        settings: Following | None = None,
        assignment: Path | None = None,
        told: Told | None = None,
    ):
        self.settings = settings or Following()
        self._open_version, self._told = open_version, told or (lambda outcome, version: None)
        self._file = assignment
        self._seen: tuple[int, ...] = ()
        self._lock = threading.Lock()
        # Requests come first. On 2 cores at a load of 10 a batch took 1.2 times as long while MiniLM was
        # opened behind it, 2.1 times while it was opened beside it (p99: 1.6 and 2.8); it took 9 s, not 3.
        self._behind = ThreadPoolExecutor(1, "assay-versions", initializer=step_back)
        self._challenger: _Slot | None = None
        self._previous: _Slot | None = None
        self._probation: Probation | None = None
        self._trial: Probation | None = None
        self._shadow_share = self._canary_share = 0.0
        self._refused: dict[str, str] = {}
        self._answers = read_answers(assignment.parent) if assignment else {}
        model = open_version(bundle)
        if objection := self._objection(bundle, model):
            model.close()
            raise BadInput(f"{bundle.name} version {bundle.version}: {objection}")
        self._champion = _Slot(model, bundle)

    @property
    def champion(self) -> Opened:
        """What answers, unless a challenger gets a share."""
        return self._champion.model

    @contextlib.contextmanager
    def using(self, key: str = "") -> Iterator[Opened]:
        """The version that answers a request; it stays open until the block ends.

        Args:
            key: What sticks to a version while shares stay: of a session, a user, or else of the request.
        """
        with self._lock:
            slot = self._routed(key)
            slot.users += 1
        try:
            yield slot.model
        finally:
            self._leave(slot)

    @contextlib.contextmanager
    def shadowing(self, key: str = "") -> Iterator[Opened | None]:
        """The challenger, where it is to score this request too, after the answer; else None.

        Args:
            key: As `using` took it. What the challenger answers itself is not shadowed.
        """
        with self._lock:
            slot = self._challenger
            if slot is None or slot is self._routed(key) or _place(key, "shadow") >= self._shadow_share:
                slot = None
            else:
                slot.users += 1
        try:
            yield None if slot is None else slot.model
        finally:
            if slot is not None:
                self._leave(slot)

    def open_versions(self) -> dict[str, Opened]:
        """The versions that get requests, by role: `champion`, and `challenger` where there is one."""
        both = {"champion": self._champion, "challenger": self._challenger}
        return {role: slot.model for role, slot in both.items() if slot is not None}

    def info(self) -> dict[str, Any]:
        """What is served and why, for `/info`: nothing in it is a user's."""
        refused = self._refused | {k: a.reason for k, a in self._answers.items() if a.outcome != SERVING}
        return {
            "mode": self.settings.mode,
            "current": _about(self._champion),
            "previous": _about(self._previous),
            "challenger": _about(self._challenger),
            "shadow_share": self._shadow_share if self._challenger else 0.0,
            "canary_share": self._canary_share if self._challenger else 0.0,
            "refused": refused,
        }

    async def watch(self) -> None:
        """Look at the assignment for ever; to be run as a task beside the requests."""
        while True:
            try:
                await self.look()
            except Exception as error:  # Whatever fails here, what is served goes on.
                logger.error("versions cannot be followed: %s", _reason(error))
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Do what the assignment says, if it is a new one, and judge a version on probation."""
        await self._judge()
        if self._file is None:
            return
        about = self._file.stat()
        seen = about.st_mtime_ns, about.st_ino, about.st_size
        if seen == self._seen:
            return
        self._seen = seen
        assignment = Assignment.read(self._file)
        self._shadow_share, self._canary_share = assignment.shadow_share, assignment.canary_share
        for key in set(assignment.refused) - set(self._refused) - set(self._answers):
            logger.error("version %s is refused: %s", key, assignment.refused[key])
            self._told("refused", key.partition("-")[0])
        self._refused = dict(assignment.refused)
        named = {a.key for a in (assignment.champion, assignment.challenger) if a} | set(self._refused)
        # What nobody names any more is asked anew when it is named again.
        self._answers = {key: answer for key, answer in self._answers.items() if key in named}
        await self._follow_champion(assignment.champion)
        await self._follow_challenger(assignment.challenger)
        self._write_answers()

    def close(self) -> None:
        """Close what is open; for the end of the process, after its last request."""
        self._behind.shutdown(wait=True, cancel_futures=True)
        for slot in (self._champion, self._challenger, self._previous):
            if slot is not None:
                slot.model.close()

    def _routed(self, key: str) -> _Slot:
        challenger = self._challenger
        if challenger is not None and _place(key, "canary") < self._canary_share:
            return challenger
        return self._champion

    def _leave(self, slot: _Slot) -> None:
        with self._lock:
            slot.users -= 1
            done = slot.retired and slot.users == 0
        if done:
            self._let_go(slot.model)

    def _let_go(self, model: Opened) -> None:
        # At the end of the process nothing is begun any more: its memory goes with it.
        with contextlib.suppress(RuntimeError):
            self._behind.submit(model.close)

    def _retire(self, slot: _Slot | None) -> None:
        if slot is None:
            return
        with self._lock:
            done = not slot.retired and slot.users == 0
            slot.retired = True
        if done:
            self._let_go(slot.model)

    async def _follow_champion(self, wanted: Assigned) -> None:
        if wanted.key == self._champion.key or self._is_refused(wanted):
            return
        if self._previous is not None and wanted.key == self._previous.key:
            slot: _Slot | None = self._previous
            self._previous = None
        elif self._challenger is not None and wanted.key == self._challenger.key:
            slot, self._challenger, self._trial = self._challenger, None, None
        else:
            slot = await self._open(wanted)
        if slot is not None:
            self._swap(slot)

    async def _follow_challenger(self, wanted: Assigned | None) -> None:
        now = self._challenger
        if wanted is not None and now is not None and wanted.key == now.key:
            return
        self._dismiss()
        if wanted is None or wanted.key == self._champion.key or self._is_refused(wanted):
            return
        slot = await self._open(wanted)
        if slot is not None:
            self._challenger = slot
            self._try_challenger()
            self._answers[slot.key] = Answer(SERVING)
            logger.info("version %s is the challenger", slot.model.version)
            self._told("challenger", slot.model.version)

    def _dismiss(self) -> None:
        if self._challenger is not None:
            with self._lock:
                slot, self._challenger, self._trial = self._challenger, None, None
            self._retire(slot)
            self._told("no challenger", slot.model.version)

    def _try_challenger(self) -> None:
        """Judge the challenger against the champion of now: the one before it will be closed."""
        if (slot := self._challenger) is not None:
            self._trial = Probation(slot.model, self.champion, Probe.read(slot.bundle), self.settings)

    def _is_refused(self, wanted: Assigned) -> bool:
        answer = self._answers.get(wanted.key)
        return answer is not None and answer.outcome != SERVING

    async def _open(self, wanted: Assigned) -> _Slot | None:
        """A version, opened and probed; None where it is refused."""
        loop = asyncio.get_running_loop()
        model = None
        try:
            bundle = await loop.run_in_executor(self._behind, Bundle.open, wanted.folder)
            if (bundle.version, bundle.sha256["ranker"]) != (wanted.version, wanted.sha256):
                raise BadInput(f"{wanted.folder} holds version {bundle.version}, another than was assigned")
            model = await loop.run_in_executor(self._behind, self._open_version, bundle)
            objection = await loop.run_in_executor(self._behind, self._objection, bundle, model)
        except Exception as error:
            objection = _reason(error)
        if model is not None and not objection:
            return _Slot(model, bundle)
        if model is not None:
            self._let_go(model)
        self._answers[wanted.key] = Answer(REFUSED, objection)
        logger.error("version %s is refused: %s", wanted.version, objection)
        self._told("refused", wanted.version)
        return None

    def _objection(self, bundle: Bundle, model: Opened) -> str:
        probe = Probe.read(bundle)
        return probe.objection(model, self.settings.difference) if probe is not None else ""

    def _swap(self, new: _Slot) -> None:
        old = self._champion
        with self._lock:
            self._champion = new
        self._retire(self._previous)
        self._previous = old
        self._probation = Probation(new.model, old.model, Probe.read(new.bundle), self.settings)
        self._try_challenger()
        self._answers[new.key] = Answer(SERVING)
        logger.info("version %s replaces version %s", new.model.version, old.model.version)
        self._told("swapped", new.model.version)

    async def _judge(self) -> None:
        """Go back to the previous version where the new one does worse; close the previous in the end."""
        if self._probation is not None and (objection := await self._objection_to(self._probation)):
            self._roll_back(objection)
        elif self._probation is not None and self._probation.over:
            self._retire(self._previous)
            self._previous = self._probation = None
        if self._trial is not None and (objection := await self._objection_to(self._trial)):
            slot = self._challenger
            assert slot is not None
            self._dismiss()
            self._give_up(slot, objection)

    async def _objection_to(self, probation: Probation) -> str:
        if not probation.suspects():
            return ""
        # Measured again, side by side: a busy machine slows down whatever runs on it.
        return await asyncio.get_running_loop().run_in_executor(self._behind, probation.objection)

    def _roll_back(self, reason: str) -> None:
        bad, good = self._champion, self._previous
        assert good is not None
        with self._lock:
            self._champion = good
        self._previous = self._probation = None
        self._try_challenger()
        self._retire(bad)
        logger.error("back to version %s", good.model.version)
        self._give_up(bad, reason)

    def _give_up(self, slot: _Slot, reason: str) -> None:
        self._answers[slot.key] = Answer(ROLLED_BACK, reason)
        logger.error("version %s is taken back: %s", slot.model.version, reason)
        self._told("rolled back", slot.model.version)
        self._write_answers()

    def _write_answers(self) -> None:
        if self._file is not None:
            write_answers(self._file, self._answers)


def _place(key: str, salt: str) -> float:
    digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8, key=salt.encode()).digest()
    return int.from_bytes(digest, "big") / 2.0**64


def _about(slot: _Slot | None) -> dict[str, Any] | None:
    if slot is None:
        return None
    about = {"version": slot.model.version, "backend": slot.model.backend, "kind": slot.bundle.kind}
    return about | {"sha256": slot.bundle.sha256, "lineage": slot.bundle.lineage}


def _reason(error: Exception) -> str:
    # What other errors say may be a text of a user.
    return str(error) if isinstance(error, BadInput | ArithmeticError) else type(error).__name__


def step_back() -> None:
    """Let the calling thread run behind all others; on Linux, this thread alone."""
    with contextlib.suppress(OSError):
        who = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, who, max(NICE, os.getpriority(os.PRIO_PROCESS, who)))
