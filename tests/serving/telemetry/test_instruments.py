"""Counts are right, from many threads too, and a Prometheus parser reads the page."""

from __future__ import annotations

import threading

import pytest
from assay.serving.telemetry.instruments import Counter, Gauge, Histogram
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest

from tests.serving.telemetry.scraped import scraped, value


class Page:
    def __init__(self, *instruments):
        self.instruments = instruments

    def collect(self):
        return [instrument.collect() for instrument in self.instruments]


def page(*instruments) -> bytes:
    return generate_latest(Page(*instruments))


def test_a_counter_starts_at_zero_where_its_values_are_known():
    counter = Counter("x_total", "x", ["reason"], [("full",), ("body",)])
    counter.inc("full", by=3)
    assert scraped(page(counter)) == {
        ("x_total", (("reason", "full"),)): 3.0,
        ("x_total", (("reason", "body"),)): 0.0,
    }


def test_a_counter_takes_over_anothers_total():
    counter = Counter("x_total", "x")
    counter.count_is(7)
    counter.count_is(9)
    assert value(page(counter), "x_total") == 9


def test_a_gauge_that_is_replaced_forgets():
    gauge = Gauge("x", "x", ["version"])
    gauge.replace({("1",): 1.0})
    gauge.replace({("2",): 1.0})
    assert scraped(page(gauge)) == {("x", (("version", "2"),)): 1.0}


@pytest.mark.parametrize("text", ['a"b', "a\\b", "a\nb", "ü"])
def test_any_label_value_is_read_back(text):
    gauge = Gauge("x", "x", ["name"])
    gauge.set(1.0, text)
    assert value(page(gauge), "x", name=text) == 1.0


@given(st.lists(st.floats(0, 10), max_size=30))
def test_a_bucket_holds_what_is_not_above_its_bound(values):
    bounds = (0.5, 1.0, 5.0)
    histogram = Histogram("x", "x", bounds)
    for number in values:
        histogram.observe(number)
    text = page(histogram)
    for bound in bounds:
        assert value(text, "x_bucket", le=str(bound)) == sum(number <= bound for number in values)
    assert value(text, "x_bucket", le="+Inf") == value(text, "x_count") == len(values)
    assert value(text, "x_sum") == pytest.approx(sum(values))


def test_no_count_is_lost_between_threads():
    counter, histogram = Counter("x_total", "x", ["a"]), Histogram("y", "y", (1.0,), ["a"])

    def work() -> None:
        for _ in range(5_000):
            counter.inc("b")
            histogram.observe(0.5, "b")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    text = page(counter, histogram)
    assert value(text, "x_total", a="b") == 40_000
    assert value(text, "y_bucket", a="b", le="1.0") == value(text, "y_count", a="b") == 40_000
