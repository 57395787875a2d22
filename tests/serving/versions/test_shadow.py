"""The challenger scores what was answered, and only figures are kept."""

from __future__ import annotations

import asyncio
import json
import threading

import numpy as np
import pytest
from assay.serving.versions.assignment import Assigned, Assignment
from assay.serving.versions.settings import Following
from assay.serving.versions.shadow import WAITING, Shadow, compared
from assay.serving.versions.stage import Stage

from tests.serving.versions.by_core import ByCore
from tests.serving.versions.conftest import CANARY_ROWS
from tests.serving.versions.registry import NAME

ROWS = CANARY_ROWS[:6]


@pytest.fixture
def stage(bundles, tmp_path):
    one, two = bundles("1", 1), bundles("2", 2)
    file = Assignment(NAME, "follow", Assigned.of(one), Assigned.of(two), shadow_share=1.0).write(
        tmp_path / "state"
    )
    stage = Stage(ByCore, one, Following(mode="follow"), file)
    asyncio.run(stage.look())
    yield stage
    stage.close()


def test_figures_are_kept_and_texts_are_not(stage, tmp_path):
    told = []
    shadow = Shadow(stage, tmp_path / "shadow.jsonl", told=told.append)
    scores = stage.champion.score(ROWS)
    shadow.consider("key", "request-1", "1", ROWS, scores)
    shadow.close()
    [line] = (tmp_path / "shadow.jsonl").read_text().splitlines()
    found = json.loads(line)
    with stage.shadowing("key") as challenger:
        expected = compared(scores, challenger.score(ROWS))
    assert tuple(found[key] for key in ("correlation", "top_agrees", "ndcg")) == pytest.approx(expected)
    about = found["request_id"], found["champion"], found["challenger"], found["rows"]
    assert about == ("request-1", "1", "2", 6)
    assert not [
        word for row in ROWS for text in row for word in text.split() if len(word) > 2 and word in line
    ]
    assert [one.request_id for one in told] == ["request-1"]


def test_a_busy_queue_comes_first_and_few_lists_wait(stage, monkeypatch):
    shadow = Shadow(stage, busy=lambda: True)
    shadow.consider("key", "r", "1", ROWS, np.zeros(6))
    assert shadow.skipped == 1
    shadow = Shadow(stage)
    with stage.shadowing("key") as challenger:
        go_on = threading.Event()
        monkeypatch.setattr(challenger, "score", lambda rows: go_on.wait(30) and np.zeros(len(rows)))
        for _ in range(WAITING + 3):
            shadow.consider("key", "r", "1", ROWS, np.arange(6))
        assert shadow.skipped == 3
        go_on.set()
    shadow.close()


def test_a_challenger_that_fails_harms_nobody(stage, monkeypatch, caplog):
    shadow = Shadow(stage)
    with stage.shadowing("key") as challenger:

        def fail(rows):
            raise ValueError(f"cannot score {rows[0][0]}")

        monkeypatch.setattr(challenger, "score", fail)
    shadow.consider("key", "r", "1", ROWS, np.zeros(6))
    shadow.close()
    assert shadow.failed == 1
    assert "ValueError" in caplog.text
    assert ROWS[0][0] not in caplog.text


def test_a_log_that_cannot_be_written_is_no_fault_of_the_challenger(stage, tmp_path, caplog):
    told = []
    shadow = Shadow(stage, tmp_path / "nowhere" / "shadow.jsonl", told=told.append)
    shadow.consider("key", "r", "1", ROWS, stage.champion.score(ROWS))
    shadow.close()
    assert (len(told), shadow.failed) == (1, 0)
    assert "the shadow log cannot be written: No such file or directory" in caplog.text


def test_the_log_is_bounded(stage, tmp_path, monkeypatch):
    monkeypatch.setattr("assay.serving.versions.shadow.BYTES", 1000)
    file = tmp_path / "shadow.jsonl"
    shadow = Shadow(stage, file)
    scores = stage.champion.score(ROWS)
    for number in range(40):
        shadow.consider("key", str(number), "1", ROWS, scores)
        shadow._thread.submit(lambda: None).result()
    shadow.close()
    assert sorted(path.name for path in tmp_path.glob("shadow*")) == ["shadow.jsonl", "shadow.jsonl.1"]
    assert all(path.stat().st_size < 1300 for path in tmp_path.glob("shadow*"))
    assert json.loads(file.read_text().splitlines()[-1])["request_id"] == "39"


def test_figures_of_two_orders():
    scores = np.array([3.0, 2.0, 1.0, 0.0])
    assert compared(scores, scores * 10 + 1) == pytest.approx((1.0, True, 1.0))
    correlation, agrees, ndcg = compared(scores, -scores)
    assert (correlation, agrees) == (pytest.approx(-1.0), False)
    discount = 1 / np.log2([2, 3, 4, 5])
    assert ndcg == pytest.approx((np.array([0, 1, 2, 3]) @ discount) / (np.array([3, 2, 1, 0]) @ discount))
    # Ties share a rank; a champion that puts all first agrees with anybody.
    assert compared(np.ones(3), np.arange(3)) == (0.0, True, 1.0)
    assert compared(np.array([1.0, 1.0, 0.0]), np.array([0.0, 5.0, 1.0]))[1] is True
    from scipy.stats import spearmanr

    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 5, 30), rng.normal(size=30)
    assert compared(first, second)[0] == pytest.approx(spearmanr(first, second).statistic)
