import pytest
from assay.components.core.arms import Arm, parse_arm
from assay.components.core.errors import BadInput


@pytest.mark.parametrize(
    ("text", "arm"),
    [
        ("control", Arm("control")),
        ("control:2", Arm("control", "", 2)),
        ("el2n@0.1", Arm("el2n", "0.1")),
        ("challenger@5000:1", Arm("challenger", "5000", 1)),
    ],
)
def test_an_arm_reads_as_it_is_written(text, arm):
    assert parse_arm(text) == arm
    assert str(arm) == text


@pytest.mark.parametrize("text", ["", "@0.1", "Control", "control@", "control:", "control:-1", "control:1:2"])
def test_what_is_no_arm_is_refused(text):
    with pytest.raises(BadInput, match="write NAME, NAME@BUDGET or"):
        parse_arm(text)
