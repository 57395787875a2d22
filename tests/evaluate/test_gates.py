import numpy as np
import pytest
from assay.components.core.metrics import Lists, paired_bootstrap
from assay.components.evaluate.gates import GateConfig, gate, slices, verdict


def comparison(difference, half=0.01):
    return {"difference": difference, "low": difference - half, "high": difference + half, "p": 0.5}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (None, "unproven"),
        (comparison(0.02), "gain"),
        (comparison(0.005), "no significant gain"),
        (comparison(0.0), "no significant gain"),
        (comparison(-0.02), "loss"),
    ],
)
def test_the_verdict_reads_the_interval(found, said):
    assert verdict(found) == said


SCORES = np.random.default_rng(0).normal(size=200)
RELEVANT = SCORES > 0


def judge(config=None, difference=0.02, scores=SCORES, by_slice=(), milliseconds=5.0, megabytes=90.0):
    return gate(
        config or GateConfig(),
        "champion",
        comparison(difference),
        list(by_slice),
        scores,
        RELEVANT,
        milliseconds,
        megabytes,
    )


def test_a_better_model_passes_and_every_check_is_written():
    found = judge()
    assert found["passed"]
    assert all(r.startswith("passed: ") for r in found["reasons"])


@pytest.mark.parametrize("difference", [0.0, 0.005, -0.1])
def test_a_tie_never_passes(difference):
    found = judge(difference=difference)
    assert not found["passed"]
    assert "the whole interval must lie above 0" in found["reasons"][0]


def test_collapsed_scores_are_refused_whatever_the_metric_says():
    found = judge(scores=np.full(200, 0.3))
    assert not found["passed"]
    assert any("collapsed" in r and r.startswith("failed") for r in found["reasons"])


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (GateConfig(max_ece=0.01), "calibration"),
        (GateConfig(max_milliseconds=1.0), "CPU ms"),
        (GateConfig(max_megabytes=50.0), "MB of weights"),
    ],
)
def test_each_bound_refuses_in_its_own_words(config, words):
    found = judge(config)
    assert not found["passed"]
    assert any(words in r and r.startswith("failed") for r in found["reasons"])


def test_a_slice_that_lost_refuses_and_is_named():
    lost = [{"segment": "tail", "lists": 30, "comparison": comparison(-0.1)}]
    assert not judge(by_slice=lost)["passed"]
    assert any("tail" in r for r in judge(by_slice=lost)["reasons"])
    assert judge(GateConfig(slice_floor=0.2), by_slice=lost)["passed"]


def test_slices_compare_within_segments_and_leave_small_ones():
    rng = np.random.default_rng(1)
    groups = np.repeat([f"{i:03d}" for i in range(45)], 8)
    lists = Lists(
        groups, rng.integers(0, 2, 360).astype(float), np.array([f"{i:04d}" for i in range(360)]), 1.0
    )
    segments = np.repeat(["good"] * 20 + ["bad"] * 20 + ["few"] * 5, 8)
    noise = rng.normal(size=360)
    first = np.where(segments == "bad", -lists.grades, lists.grades) + 0.1 * noise
    found = {s["segment"]: s["comparison"] for s in slices(lists, segments, first, noise, "ndcg@10")}
    assert found["good"]["low"] > 0 > found["bad"]["high"]
    assert found["few"] is None


def test_equal_models_rarely_pass():
    """A/A: two rankings of one quality; a pass is a false promotion."""
    rng = np.random.default_rng(2)
    passed = 0
    for trial in range(100):
        groups = np.repeat(np.arange(40).astype(str), 8)
        lists = Lists(
            groups, rng.integers(0, 2, 320).astype(float), np.array([f"{i:04d}" for i in range(320)]), 1.0
        )
        quality = lists.grades * 0.5
        one, two = quality + rng.normal(size=320), quality + rng.normal(size=320)
        found = paired_bootstrap(lists, one, two, "ndcg@10", trial, resamples=500)
        passed += gate(GateConfig(), "champion", found, [], one, lists.relevant, 1, 1)["passed"]
    assert passed <= 7  # 2.5 expected; 8 or more has probability below 0.5 %
