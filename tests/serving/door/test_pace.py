"""The wait is told by how fast answers come while there are any to be made."""

from __future__ import annotations

import pytest
from assay.serving.door.pace import FEW, Pace


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_a_few_long_answers_say_nothing():
    clock = Clock()
    pace = Pace(clock)
    for _ in range(FEW):
        assert pace.wait(100) == 0
        clock.now += 5.0
        pace.answered(5, 0.0)
    clock.now += 5.0
    pace.answered(5, 0.0)
    assert pace.wait(100) == pytest.approx(500)


def test_a_request_waits_for_those_before_it():
    clock = Clock()
    pace = Pace(clock)
    for _ in range(50):
        clock.now += 0.01
        pace.answered(5, 0.0)
    assert pace.wait(20) == pytest.approx(0.2)
    for _ in range(200):
        clock.now += 0.02
        pace.answered(5, 0.0)
    assert pace.wait(20) == pytest.approx(0.4, rel=0.01)


def test_a_quiet_time_says_nothing():
    clock = Clock()
    pace = Pace(clock)
    for _ in range(50):
        clock.now += 0.01
        pace.answered(1, 0.0)
    pace.answered(0, 0.0)
    clock.now += 3600
    pace.answered(0, 0.0)
    assert pace.wait(10) < 0.11


def test_rare_requests_beside_a_slow_caller_are_no_slow_service():
    clock = Clock()
    pace = Pace(clock)
    for _ in range(50):
        clock.now += 5.0
        read = clock.now
        clock.now += 0.01
        pace.answered(1, read)
    assert pace.wait(10) == pytest.approx(0.1)
