"""A writer is killed at any moment: nothing acknowledged is lost, nothing is there twice after ingest."""

import pytest

from tests.serving.feedback.crash import killed


@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.slow)])
def test_sigkill_loses_nothing_and_doubles_nothing(tmp_path, kills):
    found = killed(tmp_path, kills, seed=7)
    assert found.acknowledged >= kills
    assert (found.lost, found.duplicated) == (0, 0)
    # The journal's folders of the dead are gone.
    assert [path.name for path in (tmp_path / "journal").iterdir()] == ["lock"]
