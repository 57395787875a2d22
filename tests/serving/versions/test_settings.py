"""Settings say what is wrong with them, and the assignment is read as it was written or not at all."""

from __future__ import annotations

import json

import pytest
from assay.components.core.errors import BadInput
from assay.serving.versions.assignment import Answer, Assigned, Assignment, read_answers, write_answers
from assay.serving.versions.settings import Following

ONE = Assigned("1", "a" * 64, "/bundles/1")


def test_the_environment_sets_them_and_the_command_line_comes_first():
    environment = {"ASSAY_FOLLOW_MODE": "follow", "ASSAY_FOLLOW_SECONDS": "60", "ASSAY_FOLLOW_ROWS": "5"}
    found = Following.from_environment(environment, shadow_share=0.1, canary_share=None)
    assert (found.mode, found.seconds, found.rows, found.shadow_share) == ("follow", 60.0, 5, 0.1)
    assert found.shares
    assert not Following().shares
    assert Following.from_environment(found.environment()) == found


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("MODE", "latest", "ASSAY_FOLLOW_MODE=latest: choose pinned or follow"),
        ("SECONDS", "soon", "ASSAY_FOLLOW_SECONDS=soon: a number is needed"),
        ("SECONDS", "0", "ASSAY_FOLLOW_SECONDS=0.0: 0.1 or more is needed"),
        ("SECONDS", "nan", "ASSAY_FOLLOW_SECONDS=nan: 0.1 or more is needed"),
        ("CANARY_SHARE", "5", "ASSAY_FOLLOW_CANARY_SHARE=5.0: a share from 0 to 1 is needed"),
        ("SHADOW_SHARE", "-0.1", "ASSAY_FOLLOW_SHADOW_SHARE=-0.1: a share from 0 to 1 is needed"),
        ("TOLERANCE", "inf", "ASSAY_FOLLOW_TOLERANCE=inf: a number from 0 is needed"),
        ("SLOWER", "0.5", "ASSAY_FOLLOW_SLOWER=0.5: 1 or more is needed"),
        ("ROWS", "1.5", "ASSAY_FOLLOW_ROWS=1.5: a whole number is needed"),
        ("ROWS", "0", "ASSAY_FOLLOW_ROWS=0: 1 or more is needed"),
        ("SECOND", "15", "ASSAY_FOLLOW_SECOND names no setting: choose from ASSAY_FOLLOW_MODE, "),
    ],
)
def test_what_cannot_be_used_is_told(name, value, message):
    with pytest.raises(BadInput) as told:
        Following.from_environment({f"ASSAY_FOLLOW_{name}": value})
    assert str(told.value).startswith(message)


def test_an_assignment_is_read_as_it_was_written(tmp_path):
    written = Assignment("m", "follow", ONE, Assigned("2", "b" * 64, "/b/2"), 0.1, 0.05, {"3-cc": "why"})
    file = written.write(tmp_path / "new")
    assert Assignment.read(file) == written
    assert Assignment.read(file).refused == {"3-cc": "why"}
    assert ONE.key == "1-" + "a" * 12
    assert [path.name for path in file.parent.iterdir()] == ["assignment.json"]


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2}, {"champion": None}, {"champion": {"version": "1"}}, {"champion": "1"},
        {"champion": {"version": 1, "sha256": "a", "folder": "/"}}, {"canary_share": 2},
        {"canary_share": "x"}, {"other": 1},
    ],
)  # fmt: skip
def test_half_an_assignment_is_told(tmp_path, change):
    file = Assignment("m", "follow", ONE).write(tmp_path)
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(BadInput, match="assignment.json cannot be read"):
        Assignment.read(file)


def test_no_assignment_is_told_and_no_answers_are_none(tmp_path):
    with pytest.raises(BadInput, match="there is no assignment"):
        Assignment.read(tmp_path / "assignment.json")
    assert read_answers(tmp_path) == {}
    answers = {ONE.key: Answer("refused", "why")}
    write_answers(tmp_path / "assignment.json", answers)
    assert read_answers(tmp_path) == answers
    (tmp_path / "answers.json").write_text('{"1": 2}')
    assert read_answers(tmp_path) == {}
