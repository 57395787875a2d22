"""The log: what is acknowledged is kept, what is sent again is kept once, and what waits is bounded."""

import asyncio
import threading

import pyarrow.parquet as pq
import pytest
from assay.components.core.errors import BadInput
from assay.serving.feedback import log as module
from assay.serving.feedback.log import FeedbackLog, Full, NotKept
from assay.serving.feedback.records import Accepted, Event, Served, new_query_id, served_at
from assay.serving.feedback.settings import FeedbackSettings

from tests.serving.feedback.conftest import read, shown


def clicks(*numbers: int) -> list[Event]:
    return [Event("click", f"p{number}", query_id="q", event_id=f"e{number}") for number in numbers]


def running(settings, work):
    """Run `work(log)` with a log that is started before and closed after."""

    async def main():
        log = FeedbackLog(settings)
        await log.start()
        try:
            await asyncio.wait_for(work(log), 60)
        finally:
            await log.close()
        return log

    return asyncio.run(main())


class Stuck:
    """A disk that takes nothing until it is let go."""

    def __init__(self, log: FeedbackLog) -> None:
        self.reached, self.free, self.write = threading.Event(), threading.Event(), log._journal.append
        log._journal.append = self  # type: ignore[method-assign]

    def __call__(self, data: bytes, rows: int) -> None:
        self.reached.set()
        self.free.wait(30)
        self.write(data, rows)


def test_an_acknowledged_event_is_in_the_journal(settings, tmp_path):
    async def work(log):
        assert await log.add(clicks(1, 2)) == Accepted(2, 0)
        lines = b"".join(path.read_bytes() for path in (tmp_path / "journal").glob("*/*.jsonl"))
        assert lines.count(b"\n") == 2

    assert running(settings(), work).files == 1


def test_what_is_sent_again_is_kept_once(settings, tmp_path):
    content = Event("click", "p9", query_id="q")

    async def work(log):
        assert await log.add([*clicks(1, 1), content]) == Accepted(2, 1)
        assert await log.add([*clicks(1, 3), content]) == Accepted(1, 2)
        # What differs in what was done, or to which item, is another event under the same id.
        assert await log.add([Event("purchase", "p1", query_id="q", event_id="e1")]) == Accepted(1, 0)
        # All at one time: the later ones wait for the first.
        every = await asyncio.gather(*(log.add(clicks(5)) for _ in range(20)))
        assert sum(one.accepted for one in every) == 1

    log = running(settings(), work)
    assert (log.accepted, log.duplicates) == (5, 22)
    assert pq.read_table(tmp_path / "feedback").num_rows == 5


def test_a_retry_waits_until_the_first_is_kept(settings):
    async def work(log):
        disk = Stuck(log)
        first, second = (asyncio.create_task(log.add(clicks(1))) for _ in range(2))
        await asyncio.to_thread(disk.reached.wait, 30)
        await asyncio.sleep(0.05)
        assert not first.done()
        assert not second.done()
        # One caller hangs up: the other still gets its answer.
        first.cancel()
        disk.free.set()
        assert await second == Accepted(0, 1)

    assert running(settings(), work).accepted == 1


def test_what_waits_is_bounded(settings):
    """A disk that hangs: events are refused, lists dropped, and both counted; then all goes on."""

    async def work(log):
        disk = Stuck(log)
        tasks = [asyncio.create_task(log.add(clicks(number))) for number in range(100)]
        await asyncio.to_thread(disk.reached.wait, 30)
        for _ in range(1000):
            log.served(Served(new_query_id(), "shoe", "assay-search", "1", shown("a", "b", "c")))
        assert log.depth == 100
        assert log.dropped == 3000
        with pytest.raises(Full, match="send the events again later"):
            await log.add(clicks(500))
        disk.free.set()
        await asyncio.gather(*tasks)
        assert await log.add(clicks(500)) == Accepted(1, 0)

    log = running(settings(queue_events=100), work)
    assert (log.accepted, log.refused, log.impressions, log.depth) == (101, 1, 0, 0)


def test_one_write_for_all_that_wait(settings):
    writes = []

    async def work(log):
        disk = Stuck(log)
        disk.write = lambda data, rows, write=disk.write: (writes.append(rows), write(data, rows))
        tasks = [asyncio.create_task(log.add(clicks(0)))]
        await asyncio.to_thread(disk.reached.wait, 30)
        tasks += [asyncio.create_task(log.add(clicks(number))) for number in range(1, 50)]
        await asyncio.sleep(0)
        disk.free.set()
        await asyncio.gather(*tasks)

    running(settings(), work)
    assert writes == [1, 49]


def test_a_disk_that_takes_nothing_is_told_and_nothing_counts_as_known(settings, tmp_path):
    def full(data, rows):
        raise OSError(28, "No space left on device")

    async def work(log):
        append, log._journal.append = log._journal.append, full
        log.served(Served(new_query_id(), "shoe", "assay-search", "1", shown("a", "b")))
        with pytest.raises(NotKept, match="cannot be written: No space left on device"):
            await log.add(clicks(1))
        log._journal.append = append
        assert await log.add(clicks(1)) == Accepted(1, 0)

    log = running(settings(), work)
    assert (log.accepted, log.refused, log.dropped, log.impressions) == (1, 1, 2, 0)


def test_a_list_that_cannot_be_written_takes_nothing_with_it(settings):
    async def work(log):
        log.served(Served("q", None, "assay-search", "1", shown("a")))  # type: ignore[arg-type]
        assert await log.add(clicks(1)) == Accepted(1, 0)

    log = running(settings(), work)
    assert (log.accepted, log.dropped) == (1, 1)


def test_a_folder_that_is_away_holds_nothing_up(settings, tmp_path, monkeypatch):
    """Events stay in the journal until it is back, and are refused once that holds too much."""
    monkeypatch.setattr(module, "RETRY", (0.05, 0.05))
    folder, away = tmp_path / "feedback", tmp_path / "away"

    async def work(log):
        folder.rmdir()
        folder.write_text("no folder")
        assert await log.add(clicks(1, 2, 3)) == Accepted(3, 0)
        while not log._over:
            await asyncio.sleep(0.01)
        assert log.failures
        with pytest.raises(Full):
            await log.add(clicks(4))
        folder.rename(away)
        while log.files < 1:
            await asyncio.sleep(0.01)
        assert await log.add(clicks(4)) == Accepted(1, 0)

    log = running(settings(rotate_rows=3, journal_bytes=100), work)
    assert log.files == 2
    assert pq.read_table(folder).num_rows == 4


def test_a_folder_that_is_slower_than_callers_bounds_the_journal_too(settings):
    """Each file is published, but more waits by then than may."""

    began, go_on = threading.Semaphore(0), threading.Semaphore(0)

    async def work(log):
        publish = log._folder.publish
        log._folder.publish = lambda one: (began.release(), go_on.acquire(timeout=30), publish(one))[-1]
        await log.add(clicks(0))
        await asyncio.to_thread(began.acquire, timeout=30)
        for number in range(1, 20):
            await log.add(clicks(number))
        go_on.release()
        await asyncio.to_thread(began.acquire, timeout=30)
        go_on.release(20)
        with pytest.raises(Full):
            await log.add(clicks(20))
        while log.files < 20:
            await asyncio.sleep(0.01)
        assert await log.add(clicks(20)) == Accepted(1, 0)

    assert running(settings(rotate_rows=1, journal_bytes=1000), work).failures == 0


def test_what_could_not_be_published_is_left_for_the_next(settings, tmp_path):
    folder = tmp_path / "feedback"

    async def broken(log):
        await log.add(clicks(1))
        folder.rmdir()
        folder.write_text("no folder")

    async def nothing(log):
        pass

    assert running(settings(), broken).files == 0
    folder.unlink()
    assert running(settings(), nothing).files == 1
    assert read(folder)[0]["events"]["event_id"].to_list() == ["e1"]


def test_old_segments_become_files(settings):
    async def work(log):
        await log.add(clicks(1))
        while not log.files:
            await asyncio.sleep(0.02)

    assert running(settings(rotate_seconds=0.1), work).files == 1


def test_what_is_known_is_bounded(settings, monkeypatch):
    monkeypatch.setattr(module, "REMEMBERED", 10)

    async def work(log):
        for number in range(30):
            await log.add(clicks(number))
        assert len(log._seen) == 10
        assert await log.add(clicks(29)) == Accepted(0, 1)

    running(settings(), work)


def test_after_the_end_nothing_is_taken(settings):
    async def work(log):
        await log.close()
        with pytest.raises(Full):
            await log.add(clicks(1))
        log.served(Served("q", "shoe", "assay-search", "1", shown("a")))
        assert log.dropped == 1

    running(settings(), work)


def test_a_folder_that_cannot_be_written_ends_the_start(settings, tmp_path):
    (tmp_path / "file").write_text("-")

    async def nothing(log):
        pass

    with pytest.raises(BadInput, match="FOLDER=.*cannot be written"):
        running(settings(folder=str(tmp_path / "file")), nothing)
    with pytest.raises(BadInput, match="journal .*cannot be written"):
        running(settings(journal=str(tmp_path / "file")), nothing)
    with pytest.raises(BadInput, match="is off"):
        FeedbackLog(FeedbackSettings())


def test_an_id_says_when_it_was_made():
    ids = [new_query_id() for _ in range(100)]
    assert len(set(ids)) == 100
    assert all(abs(served_at(one) - served_at(ids[0])) < 60_000 for one in ids)
    assert [served_at(one) for one in (None, "q1", "x" * 36, "00112233-4455-6677-8899-aabbccddeeff")] == [
        None
    ] * 4


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"action": "hover"}, "action is none of impression, view"),
        ({"item_id": " "}, "item_id is empty"),
        ({"query_id": ""}, "query_id is empty, or longer than 100"),
        ({"event_id": "x" * 101}, "event_id is empty, or longer than 100"),
        ({"position": 0}, "position is not from 1"),
        ({"timestamp": 1_700_000_000_000_000.0}, "timestamp is not in seconds"),
        ({"query_id": None}, "give query_id, or the session_id"),
        ({"query_id": None, "session_id": "s"}, "give event_id or timestamp"),
    ],
)
def test_events_that_cannot_be_used_say_why(fields, message):
    with pytest.raises(BadInput, match=message):
        Event(**({"action": "click", "item_id": "a", "query_id": "q"} | fields))


def test_every_action_is_one_that_ingest_knows():
    from assay.components.ingest.readers.ubi import _ACTION_OF
    from assay.serving.feedback.records import ACTIONS

    assert set(ACTIONS) <= set(_ACTION_OF)
