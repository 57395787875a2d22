"""Limits come from the environment, once, and a wrong one is told by its name."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest
from assay.components.core.errors import BadInput
from assay.serving.limits import MAY_BE_ZERO, Limits


def test_defaults_and_overrides():
    assert Limits.from_environment({}) == Limits()
    assert Limits.from_environment({"ASSAY_LIMIT_ITEMS": " 10 ", "ASSAY_LIMIT_CHARACTERS": ""}) == Limits(
        items=10
    )


@pytest.mark.parametrize("variable", Limits.variables())
@pytest.mark.parametrize("value", ["0", "-1", "ten", "1.5", "٣"])
def test_a_wrong_value_is_told_by_its_name(variable, value):
    if value == "0" and Limits.variables()[variable] in MAY_BE_ZERO:
        assert getattr(Limits.from_environment({variable: value}), Limits.variables()[variable]) == 0
        return
    with pytest.raises(BadInput, match=variable):
        Limits.from_environment({variable: value})


def test_a_misspelt_variable_is_told():
    with pytest.raises(BadInput, match="ASSAY_LIMIT_ITEM names no setting: choose from ASSAY_LIMIT_ITEMS"):
        Limits.from_environment({"ASSAY_LIMIT_ITEM": "10"})


def test_a_timeout_that_outlives_the_worker_is_refused():
    with pytest.raises(BadInput, match="ASSAY_LIMIT_TIMEOUT_SECONDS"):
        Limits(timeout_seconds=30)


def test_limits_are_frozen():
    with pytest.raises(FrozenInstanceError):
        Limits().items = 3
