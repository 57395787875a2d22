"""A writer of feedback that is killed at any moment, and what is then in its folder.

As a program it adds events numbered from FIRST on, sends again those named, and prints the number of each
that was acknowledged: `python -m tests.serving.feedback.crash FOLDER JOURNAL FIRST [AGAIN,...]`.
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from assay.serving.feedback.log import FeedbackLog
from assay.serving.feedback.records import Event, Served, Shown, new_query_id
from assay.serving.feedback.settings import FeedbackSettings

ROOT = Path(__file__).resolve().parents[3]
CALLERS = 32


def settings(folder: Path, journal: Path, **more) -> FeedbackSettings:
    """Of a log that publishes all the time, so that many kills fall into that."""
    small = {"rotate_rows": 500, "rotate_seconds": 0.5}
    return FeedbackSettings(str(folder), str(journal), users="drop", **(small | more))


async def _write(folder: Path, journal: Path, first: int, again: list[int]) -> None:
    log = FeedbackLog(settings(folder, journal))
    await log.start()
    numbers = iter([*again, *range(first, first + 10_000_000)])

    async def call() -> None:
        for number in numbers:
            await log.add([Event("click", f"p{number % 3}", query_id="q", event_id=f"e{number}")])
            os.write(1, f"{number}\n".encode())
            if number % 10 == 0:
                items = [Shown(f"p{n}", "shoe", 0.5) for n in range(3)]
                log.served(Served(new_query_id(), "shoe", "assay-search", "1", items))

    await asyncio.gather(*(call() for _ in range(CALLERS)))


@dataclass(frozen=True)
class Killed:
    """What kills left.

    Attributes:
        acknowledged: Events.
        lost: Of them, that `ingest` does not find.
        duplicated: Events that it finds more than once.
        stored_again: Rows that were stored again, and that it drops.
        kills: How often a writer was killed while it wrote.
    """

    acknowledged: int
    lost: int
    duplicated: int
    stored_again: int
    kills: int


def killed(where: Path, kills: int, seed: int) -> Killed:
    """Kill a writer again and again, and read with `ingest` what is there once the last one is gone."""
    folder, journal = where / "feedback", where / "journal"
    draw, acknowledged, sent = random.Random(seed), set(), 0
    for _ in range(kills):
        again = sorted(set(range(sent)) - acknowledged)
        command = [sys.executable, "-m", "tests.serving.feedback.crash", str(folder), str(journal), str(sent)]
        command.append(",".join(map(str, again)))
        writer = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
        assert writer.stdout is not None
        head = writer.stdout.readline()
        time.sleep(draw.uniform(0.0, 0.6))
        writer.kill()
        lines = head + writer.stdout.read()
        writer.wait()
        new = {int(line) for line in lines.split(b"\n")[:-1]}
        acknowledged |= new
        # Those that were on their way at the kill are sent again by the next one, as callers do.
        sent = max(sent, max(new, default=0) + CALLERS)
    asyncio.run(_recovered(folder, journal))
    return _counted(folder, acknowledged, kills)


async def _recovered(folder: Path, journal: Path) -> None:
    log = FeedbackLog(settings(folder, journal))
    await log.start()
    await log.close()


def _counted(folder: Path, acknowledged: set[int], kills: int) -> Killed:
    from tests.serving.feedback.conftest import read

    tables, ledger = read(folder)
    found = tables["events"]["event_id"].to_list()
    assert set(ledger.dropped) <= {"duplicate_event"}, ledger.dropped
    return Killed(
        len(acknowledged),
        len({f"e{number}" for number in acknowledged} - set(found)),
        len(found) - len(set(found)),
        ledger.dropped.get("duplicate_event", 0),
        kills,
    )


if __name__ == "__main__":
    given, kept, start, *rest = sys.argv[1:]
    more = [int(number) for number in rest[0].split(",") if number] if rest else []
    asyncio.run(_write(Path(given), Path(kept), int(start), more))
