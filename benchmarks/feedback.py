"""Claim: keeping what users do costs little of the processor that ranks; a kill loses and doubles nothing.

Work: 50,000 clicks, one a call, by 64 callers at a time; then 5,000 lists of 20 items. All of it is written
to the journal, published as parquet, and counted there; the time is the process's own processor time,
publishing included. Then a writer is killed by SIGKILL at 50 random moments: callers send again what was not
acknowledged, and `ingest` reads the folder.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq
from assay.serving.feedback.log import FeedbackLog
from assay.serving.feedback.records import Event, Served, Shown, new_query_id
from assay.serving.feedback.settings import FeedbackSettings
from record import ROOT, record

sys.path.append(str(ROOT))
from tests.serving.feedback.crash import killed  # noqa: E402 - the tests kill the same writer

CALLERS, ITEMS, SEED = 64, 20, 7
TITLE = "running shoe for men, red, size 43, light and with a cushioned sole"


async def clicks(log: FeedbackLog, count: int) -> float:
    """Processor seconds from the first call to the last acknowledgement."""
    numbers = iter(range(count))

    async def call() -> None:
        for number in numbers:
            await log.add([Event("click", f"p{number % 997}", query_id=f"q{number}", position=3)])

    started = time.process_time()
    await asyncio.gather(*(call() for _ in range(CALLERS)))
    return time.process_time() - started


async def lists(log: FeedbackLog, count: int) -> float:
    """Processor seconds from the first list to the last one written."""
    started = time.process_time()
    for _ in range(count):
        items = [Shown(f"p{n}", TITLE, 0.5) for n in range(ITEMS)]
        log.served(Served(new_query_id(), "red running shoe", "assay-search", "1", items, "ann", "s1"))
        await asyncio.sleep(0)
        while log.depth > log.settings.queue_events - ITEMS:
            await asyncio.sleep(0.01)
    while log.depth:
        await asyncio.sleep(0.01)
    return time.process_time() - started


async def timed(where: Path, work, count: int, fsync: bool = False) -> tuple[float, float, int]:
    """(processor seconds of the work, of publishing what was left, rows published)."""
    settings = FeedbackSettings(str(where / "feedback"), str(where / "journal"), fsync=fsync)
    log = FeedbackLog(settings)
    await log.start()
    busy = await work(log, count)
    started = time.process_time()
    await log.close()
    return busy, time.process_time() - started, pq.read_table(where / "feedback").num_rows


def main() -> None:
    """Measure, and record."""
    os.environ.setdefault("ASSAY_ID_KEY", "0123456789abcdef")
    quick = bool(os.environ.get("QUICK"))
    events, served, kills = (5_000, 500, 5) if quick else (50_000, 5_000, 50)
    figures: dict[str, float] = {"events": events, "lists": served, "items_a_list": ITEMS}
    for name, work, count, rows in (
        ("event", clicks, events, events),
        ("shown_item", lists, served, served * ITEMS),
    ):
        runs = []
        for _ in range(3):
            with tempfile.TemporaryDirectory() as folder:
                busy, rest, found = asyncio.run(timed(Path(folder), work, count))
                assert found == rows, (found, rows)
                runs.append(busy + rest)
        cpu = sorted(runs)[1]
        figures[f"cpu_us_per_{name}"] = 1e6 * cpu / rows
        figures[f"{name}s_per_cpu_second"] = rows / cpu
    with tempfile.TemporaryDirectory() as folder:
        found_kills = killed(Path(folder), kills, SEED)
    figures |= {
        "kills": found_kills.kills,
        "acknowledged": found_kills.acknowledged,
        "acknowledged_lost": found_kills.lost,
        "duplicated_after_ingest": found_kills.duplicated,
        "stored_again_and_dropped_by_ingest": found_kills.stored_again,
    }
    for name, value in figures.items():
        print(f"{name:40} {value:,.2f}")
    budget = {
        "acknowledged_lost": (found_kills.lost, "<=", 0),
        "duplicated_after_ingest": (found_kills.duplicated, "<=", 0),
    }
    record("feedback", figures, budget)


if __name__ == "__main__":
    main()
