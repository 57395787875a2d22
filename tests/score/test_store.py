"""A store answers for rows that were measured before, and is only ever added to."""

import multiprocessing
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from assay.components.score.gradients import differences
from assay.components.score.measure import LOGIT, measure, measured
from assay.components.score.methods import METHODS
from assay.components.score.reading import read_inputs
from assay.components.score.store import ScoreStore

NAMES = ["influence", "influence_ekfac", "segment_influence", "grad_cos", "effort", "margin"]


@pytest.fixture
def inputs(table):
    samples, vectors = table.written("store")
    return read_inputs(samples, vectors, table.warm_ups, 0.5, 0)


def files(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_new_rows_only_are_measured_and_old_parts_stay_as_they_are(inputs, tmp_path, monkeypatch):
    old = inputs.only(np.flatnonzero(inputs.random() < 0.7))
    first, _, anew = measured(old, NAMES, tmp_path)
    assert anew == len(old.samples)
    before = files(tmp_path)
    assert len([path for path in before if path.suffix == ".parquet"]) == 2 * 2  # a part and a reference each
    # The way is kept, so that nothing is checked on a probe again, nor can another way be taken.
    monkeypatch.setattr(differences, "_faithful", lambda *_: pytest.fail("the probe is paid again"))
    second, _, anew = measured(inputs, NAMES, tmp_path)
    assert anew == len(inputs.samples) - len(old.samples) > 0
    known = inputs.samples["sample_id"].isin(old.samples["sample_id"]).to_numpy()
    pd.testing.assert_frame_equal(second[known].reset_index(drop=True), first, check_exact=True)
    assert second.notna().all().all()
    after = files(tmp_path)
    assert {path: after[path] for path in before} == before
    assert len(after) == len(before) + 2
    third, seconds, anew = measured(inputs, NAMES, tmp_path)
    assert (anew, files(tmp_path)) == (0, after)
    pd.testing.assert_frame_equal(third, second, check_exact=True)
    assert not any(seconds.values())


def test_new_rows_alone_are_measured_as_they_would_have_been_with_the_others(inputs, tmp_path):
    """Without the store, the preconditioner of 512 drawn rows would be fitted on other rows."""
    order = inputs.random()
    old, new = (np.flatnonzero(order < 0.7), np.flatnonzero(order >= 0.7))
    together, _, _ = measured(inputs, NAMES)
    measured(replace(inputs.only(old), draw=inputs.draw), NAMES, tmp_path)
    table = inputs.samples.iloc[new].reset_index(drop=True)
    fresh = replace(
        inputs, samples=table, features=inputs.features[new], draw=None, reference={}, ways={}, kept={}
    )
    alone, _, _ = measured(fresh, NAMES, tmp_path)
    for name in [LOGIT, *NAMES]:
        expected = together[name].to_numpy()[new]
        assert np.allclose(alone[name], expected, atol=1e-3 * np.abs(expected).max()), name
    without, _, _ = measured(replace(fresh, facts={}), ["influence_ekfac"])
    expected = together["influence_ekfac"].to_numpy()[new]
    assert not np.allclose(without["influence_ekfac"], expected, atol=1e-3 * np.abs(expected).max())


def test_a_corrected_label_is_scored_anew_and_what_is_another_score_misses(inputs, tmp_path, monkeypatch):
    first, _, _ = measured(inputs, ["margin"], tmp_path)
    samples = inputs.samples.copy()
    samples.loc[3, "label"] = 1 - samples.loc[3, "label"]
    samples.loc[5, "weight"] = 2.0
    corrected, _, anew = measured(replace(inputs, samples=samples, kept={}), ["margin"], tmp_path)
    assert anew == 2
    assert corrected["margin"][3] == pytest.approx(-first["margin"][3], rel=1e-4)
    n = len(inputs.samples)
    other_target = inputs.target.assign(label=1 - inputs.target["label"])
    assert measured(replace(inputs, target=other_target), ["margin"], tmp_path)[2] == n
    assert measured(replace(inputs, seed=1), ["margin"], tmp_path)[2] == n
    a, b = inputs.warm_ups
    swapped = [replace(a, digest=lambda: "another"), b]
    mine = int((inputs.scorer == "a").sum())
    assert measured(replace(inputs, warm_ups=swapped), ["margin"], tmp_path)[2] == mine
    # Another method of old rows is measured, and what was known stays.
    both, _, anew = measured(inputs, ["margin", "loss"], tmp_path)
    assert anew == n
    assert np.array_equal(both["margin"], first["margin"])
    monkeypatch.setitem(METHODS, "margin", replace(METHODS["margin"], version=2))
    assert measured(inputs, ["margin"], tmp_path)[2] == n
    assert measured(inputs, ["margin"], tmp_path)[2] == 0


def test_a_warm_up_without_a_digest_is_refused(inputs, tmp_path):
    bare = [replace(warm_up, digest=None) for warm_up in inputs.warm_ups]
    with pytest.raises(ValueError, match="digest of warm-up a, and it has none"):
        measured(replace(inputs, warm_ups=bare), ["margin"], tmp_path)


def test_a_step_with_a_store_gives_what_one_without_gives(table, tmp_path):
    samples, vectors = table.written("step", shards=3)
    found = []
    for number, store in enumerate(["", str(tmp_path), str(tmp_path)]):
        folder = f"{samples}-{number}"
        got = measure(samples, vectors, table.warm_ups, folder, ["influence", "el2n"], store=store)
        found.append((got["measured_anew"], (table.folder / f"{folder}/measured.parquet").read_bytes()))
    assert [anew for anew, _ in found] == [found[0][0], found[0][0], 0]
    assert found[0][1] == found[1][1] == found[2][1]


def write(folder, target, samples, values, barrier):
    store = ScoreStore(folder, target, 0, {"margin": "1"})
    barrier.wait()
    for start in range(0, len(samples), 20):
        store.add("r", samples.iloc[start : start + 20], values.iloc[start : start + 20])
        store.keep_way("r", "margin", "all", {"way": "central"})
        store.reference("r", lambda: samples.head(3)[["sample_id"]])


def test_two_processes_that_write_at_once_do_not_harm_each_other(inputs, tmp_path):
    context = multiprocessing.get_context("fork")
    samples = inputs.samples[["sample_id", "label", "weight"]]
    values = pd.DataFrame({"margin": np.arange(len(samples), dtype=float)})
    barrier = context.Barrier(3)
    # The first two write the same rows, the third others in the same parts' places.
    mine = [(samples, values)] * 2 + [(samples[::-1], values[::-1])]
    processes = [context.Process(target=write, args=(tmp_path, inputs.target, *one, barrier)) for one in mine]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    store = ScoreStore(tmp_path, inputs.target, 0, {"margin": "1"})
    assert np.array_equal(store.known("r", samples, ["margin"])["margin"], values["margin"])
    assert store.ways("r") == {("margin", "all"): {"way": "central"}}
    assert len(store.reference("r", lambda: pytest.fail("drawn again"))) == 3
    assert not [path for path in tmp_path.rglob(".*") if path.is_file()]
