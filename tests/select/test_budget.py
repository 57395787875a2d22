import numpy as np
import pytest
from assay.components.core.errors import BadInput
from assay.components.select.budget import Measured, parse_budget, rows_of_budget, rows_within
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "rows"),
    [("0.3", 30), ("1", 100), ("1.0", 100), ("0.005", 1), ("25", 25), ("0.345", 35), ("2", 2)],
)
def test_budgets_that_mean_something(text, rows):
    assert rows_of_budget(parse_budget(text), 100) == rows


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("200000tokens", Measured("tokens", 200000)),
        (" 2e5 tokens ", Measured("tokens", 200000)),
        ("30gpu-min", Measured("gpu-min", 30)),
        ("0.5gpu-min", Measured("gpu-min", 0.5)),
        ("auto", Measured("auto")),
    ],
)
def test_budgets_that_are_no_number_of_rows(text, budget):
    assert parse_budget(text) == parse_budget(str(budget)) == budget


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "1.5",
        "lots",
        "-3",
        "nan",
        "inf",
        "2.5",
        "",
        "tokens",
        "0tokens",
        "-5gpu-min",
        "nan tokens",
        "3 min",
    ],
)
def test_budgets_that_mean_nothing(text):
    with pytest.raises(BadInput, match=f"--budget {text}"):
        parse_budget(text)


@pytest.mark.parametrize("budget", [101, 0.001, Measured("gpu-min", 0.01)])
def test_budgets_that_the_rows_cannot_fill(budget):
    with pytest.raises(BadInput, match="--budget"):
        rows_of_budget(budget, 100, seconds_per_row=1.0)


def test_minutes_are_a_cap_and_ask_for_the_cost_of_a_row():
    budget = parse_budget("2gpu-min")
    assert rows_of_budget(budget, 1000, 1.5) == 80
    assert rows_of_budget(budget, 50, 1.5) == 50
    with pytest.raises(BadInput, match="2gpu-min: what a row costs is not known; set seconds_per_row"):
        rows_of_budget(budget, 1000)


@settings(deadline=None)
@given(st.lists(st.integers(1, 50), min_size=1, max_size=60), st.integers(1, 2000))
def test_as_many_rows_are_taken_as_fit(costs, most):
    sums = np.cumsum(costs)
    asked = []

    def cost(count):
        asked.append(count)
        return sums[count - 1]

    budget = Measured("tokens", most)
    if costs[0] > most:
        with pytest.raises(BadInput, match="not even one row"):
            rows_within(cost, len(costs), budget)
        return
    rows = rows_within(cost, len(costs), budget)
    assert sums[rows - 1] <= most
    assert rows == len(costs) or sums[rows] > most
    assert len(asked) <= 2 * len(costs).bit_length() + 3
