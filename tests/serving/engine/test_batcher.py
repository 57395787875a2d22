"""Batches are fair, bounded, of similar length; a bad row, a late or a cancelled request harms no other."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field

import numpy as np
import pytest
from assay.serving.engine import batcher as module
from assay.serving.engine.batcher import Batcher, Ended, Full, RowFailed, TooLate
from hypothesis import given, settings
from hypothesis import strategies as st


@dataclass(frozen=True)
class Row:
    ids: list[int]


@dataclass(eq=False)
class Sums:
    """Adds up the tokens of a row; fails on a batch with a bad token, as a network would."""

    bad: int = -1
    gate: threading.Event = field(default_factory=threading.Event)
    batches: list[list[int]] = field(default_factory=list)

    def compute(self, rows):
        assert self.gate.wait(10)
        self.batches.append([len(row.ids) for row in rows])
        if any(self.bad in row.ids for row in rows):
            raise ValueError("zanzibar")
        return np.array([[sum(row.ids), len(row.ids)] for row in rows], dtype=np.float32)


class Watcher:
    def __init__(self):
        self.rows = self.padded = self.tokens = self.failures = self.dropped = 0

    def batch(self, part, rows, tokens, padded, seconds, whose):
        self.rows, self.tokens, self.padded = self.rows + rows, self.tokens + tokens, self.padded + padded

    def queued(self, seconds, whose):
        assert seconds >= 0

    def failed(self, part, rows):
        self.failures += rows

    def cancelled(self, rows):
        self.dropped += rows


def rows(*lengths: int, token: int = 1) -> list[Row]:
    return [Row([token] * length) for length in lengths]


def run(work, batch_tokens=64, queue_tokens=10_000, **more):
    """Runs `work(batcher, watcher)` in an event loop, with the batcher started."""

    async def main():
        watcher = Watcher()
        batcher = Batcher(batch_tokens, queue_tokens, watcher, **more)
        batcher.start()
        try:
            return await asyncio.wait_for(work(batcher, watcher), 20)
        finally:
            await batcher.close()

    return asyncio.run(main())


async def held(batcher, part):
    """A request that keeps the thread busy until the gate opens, so that others queue behind it."""
    first = asyncio.create_task(batcher.submit(part, rows(1)))
    await asyncio.sleep(0.01)
    assert batcher._computing
    return first


@given(
    requests=st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=12), min_size=1, max_size=12),
    budget=st.integers(1, 100),
)
@settings(max_examples=40, deadline=None)
def test_each_request_gets_its_own_rows_in_its_own_order(requests, budget):
    part = Sums()
    part.gate.set()

    async def work(batcher, watcher):
        sent = [batcher.submit(part, rows(*lengths, token=k + 1)) for k, lengths in enumerate(requests)]
        return await asyncio.gather(*sent)

    for k, (lengths, out) in enumerate(zip(requests, run(work, batch_tokens=budget), strict=True)):
        assert out.tolist() == [[(k + 1) * length, length] for length in lengths]
    for batch in part.batches:
        assert len(batch) == 1 or len(batch) * max(batch) <= budget


def test_rows_of_many_requests_share_batches_of_similar_length():
    part = Sums()

    async def work(batcher, watcher):
        first = await held(batcher, part)
        lengths = [2, 30, 3, 29, 2, 31, 4, 32]
        sent = [asyncio.create_task(batcher.submit(part, rows(length))) for length in lengths]
        await asyncio.sleep(0.01)
        part.gate.set()
        await asyncio.gather(first, *sent)
        return watcher

    watcher = run(work)
    assert len(part.batches) <= 5
    assert all(max(batch) - min(batch) <= 4 for batch in part.batches)
    assert watcher.rows == 9
    assert watcher.padded <= 1.1 * watcher.tokens


def test_who_waits_longest_is_in_the_next_batch_however_odd_its_length():
    part = Sums()

    async def work(batcher, watcher):
        first = await held(batcher, part)
        odd = asyncio.create_task(batcher.submit(part, rows(60)))
        await asyncio.sleep(0)
        others = [asyncio.create_task(batcher.submit(part, rows(4))) for _ in range(200)]
        await asyncio.sleep(0.01)
        part.gate.set()
        await asyncio.gather(first, odd, *others)

    run(work)
    assert part.batches[1] == [60]


def test_a_bad_row_fails_alone_and_its_message_is_not_told():
    part = Sums(bad=7)

    async def work(batcher, watcher):
        first = await held(batcher, part)
        good = [asyncio.create_task(batcher.submit(part, rows(3, 3))) for _ in range(6)]
        poisoned = asyncio.create_task(batcher.submit(part, [*rows(3), Row([7, 1, 1])]))
        await asyncio.sleep(0.01)
        part.gate.set()
        outs = await asyncio.gather(first, *good)
        with pytest.raises(RowFailed, match="row 1") as told:
            await poisoned
        return outs, told.value, watcher

    outs, told, watcher = run(work)
    assert all(out.tolist() == [[3, 3], [3, 3]] for out in outs[1:])
    assert told.index == 1
    assert "zanzibar" not in str(told)
    assert watcher.failures == 1


def test_what_is_not_a_number_fails_alone():
    class Overflow(Sums):
        def compute(self, rows):
            out = super().compute(rows)
            # One row's infinity spoils its batch, as in a network that normalises over it.
            return out * np.nan if any(9 in row.ids for row in rows) else out

    part = Overflow()
    part.gate.set()

    async def work(batcher, watcher):
        return await asyncio.gather(
            batcher.submit(part, rows(3, 3)), batcher.submit(part, [Row([9, 1])]), return_exceptions=True
        )

    good, bad = run(work)
    assert good.tolist() == [[3, 3], [3, 3]]
    assert isinstance(bad, RowFailed)


def test_a_full_queue_says_when_to_come_back():
    part = Sums()

    async def work(batcher, watcher):
        first = await held(batcher, part)
        waiting = asyncio.create_task(batcher.submit(part, rows(50, 40)))
        await asyncio.sleep(0.01)
        with pytest.raises(Full) as told:
            await batcher.submit(part, rows(20))
        part.gate.set()
        await asyncio.gather(first, waiting)
        # Alone it is taken, though it is larger than the queue.
        out = await batcher.submit(part, rows(*[10] * 30))
        return told.value.seconds, out

    seconds, out = run(work, queue_tokens=100)
    assert seconds > 0
    assert len(out) == 30


def test_what_cannot_be_in_time_is_not_taken():
    part = Sums()

    async def work(batcher, watcher):
        first = await held(batcher, part)
        batcher.pace = 0.1
        waiting = asyncio.create_task(batcher.submit(part, rows(50)))
        await asyncio.sleep(0.01)
        with pytest.raises(Full) as told:
            await batcher.submit(part, rows(10), batcher.clock() + 3)
        # Seven seconds in two thirds of 10.5; who is not read yet is let in where they are a third.
        read = asyncio.create_task(batcher.submit(part, rows(10), batcher.clock() + 10.5))
        await asyncio.sleep(0)
        with pytest.raises(Full):
            batcher.admit(10, batcher.clock() + 17)
        batcher.admit(10, batcher.clock() + 22)
        patient = asyncio.create_task(batcher.submit(part, rows(10), batcher.clock() + 30))
        await asyncio.sleep(0)
        part.gate.set()
        await asyncio.gather(first, waiting, read, patient)
        return told.value.seconds

    # Six seconds of work, and two thirds of the three that are left.
    assert 3.9 < run(work) <= 4.2


class Timed(Sums):
    """Takes as long as it is told for each batch, by its own clock."""

    now = 0.0
    seconds = 0.0

    def compute(self, rows):
        self.now += self.seconds
        return super().compute(rows)


def paces(*batches):
    """The pace after batches of these lengths, which took these seconds."""
    part = Timed()
    part.gate.set()

    async def work(batcher, watcher):
        seen = []
        for lengths, part.seconds in batches:
            await batcher.submit(part, rows(*lengths))
            await asyncio.sleep(0)  # What was learnt is learnt before the next.
            seen.append(batcher.pace)
        return seen

    return run(work, clock=lambda: part.now)


def test_small_batches_and_padding_say_nothing_of_the_pace():
    assert paces(*[([2], 1.0)] * 9, *[([30, 1], 1.0)] * 9) == [0.0] * 18


def test_the_pace_is_what_most_batches_took_a_token():
    slow_first = paces(([50], 50.0), *[([20, 20, 20], 6.0)] * 8)
    assert slow_first == pytest.approx([0.0] * 4 + [0.1] * 5)
    held_up = paces(*[([50], 5.0)] * 6, ([50], 50.0), ([50], 50.0))
    assert held_up[-1] == pytest.approx(0.1)
    slower_now = paces(*[([50], 5.0)] * 9, *[([50], 10.0)] * 5)
    assert slower_now[-1] == pytest.approx(0.2)


def test_a_late_request_is_dropped_uncomputed():
    part = Sums()
    now = [0.0]

    async def work(batcher, watcher):
        first = await held(batcher, part)
        late = asyncio.create_task(batcher.submit(part, rows(5, 5), deadline=1.0))
        await asyncio.sleep(0.01)
        now[0] = 2.0
        part.gate.set()
        with pytest.raises(TooLate):
            await late
        await first
        return batcher.waiting_tokens, watcher.dropped

    assert run(work, clock=lambda: now[0]) == (0, 2)
    assert part.batches == [[1]]


def test_a_late_request_behind_another_is_dropped_too():
    part = Sums()
    now = [0.0]

    async def work(batcher, watcher):
        first = await held(batcher, part)
        patient = asyncio.create_task(batcher.submit(part, rows(5)))
        late = asyncio.create_task(batcher.submit(part, rows(5, 5), deadline=1.0))
        await asyncio.sleep(0.01)
        now[0] = 2.0
        part.gate.set()
        with pytest.raises(TooLate):
            await late
        await asyncio.gather(first, patient)
        return watcher.dropped

    assert run(work, clock=lambda: now[0]) == 2
    assert part.batches == [[1], [5]]


def test_a_cancelled_request_is_dropped_uncomputed():
    part = Sums()

    async def work(batcher, watcher):
        first = await held(batcher, part)
        gone = asyncio.create_task(batcher.submit(part, rows(5, 5)))
        await asyncio.sleep(0.01)
        gone.cancel()
        part.gate.set()
        await asyncio.gather(first, gone, return_exceptions=True)
        return batcher.waiting_tokens, list(batcher.waiting), watcher.dropped

    assert run(work) == (0, [], 2)
    assert part.batches == [[1]]


def test_two_parts_share_no_batch():
    one, other = Sums(), Sums()
    other.gate.set()

    async def work(batcher, watcher):
        first = await held(batcher, one)
        sent = [asyncio.create_task(batcher.submit(part, rows(3))) for part in (one, other) * 3]
        await asyncio.sleep(0.01)
        one.gate.set()
        await asyncio.gather(first, *sent)

    run(work)
    assert one.batches == [[1], [3, 3, 3]]
    assert other.batches == [[3, 3, 3]]


def test_closing_computes_what_waits():
    part = Sums()
    part.gate.set()

    async def work(batcher, watcher):
        sent = [asyncio.create_task(batcher.submit(part, rows(5))) for _ in range(30)]
        await asyncio.sleep(0)
        await batcher.close()
        return await asyncio.gather(*sent)

    assert len(run(work)) == 30


def test_closing_gives_back_the_batch_under_way():
    part = Sums()

    async def work(batcher, watcher):
        first = await held(batcher, part)
        closing = asyncio.create_task(batcher.close())
        await asyncio.sleep(0.05)
        part.gate.set()
        out = await asyncio.wait_for(first, 5)
        await closing
        return out, batcher.alive

    out, alive = run(work)
    assert out.tolist() == [[1, 1]]
    assert not alive


def test_a_fault_of_its_own_is_logged_and_nobody_waits_for_ever(monkeypatch):
    lines = []
    monkeypatch.setattr(module.logger, "error", lambda said, exc_info: lines.append((said, type(exc_info))))

    class Short(Sums):
        def compute(self, rows):
            return super().compute(rows)[:-1]

    part = Short()
    part.gate.set()

    async def work(batcher, watcher):
        # Of these two one is in the batch that takes the batcher with it, the other waits behind.
        sent = [asyncio.create_task(batcher.submit(part, rows(*[60] * n))) for n in (1, 2)]
        ended = await asyncio.gather(*sent, return_exceptions=True)
        with pytest.raises(Ended):
            await batcher.submit(part, rows(3))
        return [type(each) for each in ended], batcher.alive

    assert run(work) == ([Ended, Ended], False)
    assert lines == [("the batcher ended", ValueError)]
