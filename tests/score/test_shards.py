"""The same bytes whatever the number of shards, and whatever else is scored beside the training rows."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from assay.components.core.manifest import read_manifest
from assay.components.core.samples import shard_files
from assay.components.score.measure import measure, measured
from assay.components.score.methods import METHODS
from assay.components.score.plans import PLANS
from assay.components.score.reading import read_inputs
from assay.components.score.score import score

ALL = [name for name, method in METHODS.items() if not method.jointly]
"""Those that need all rows at once are dear, and computed once for all shards: `test_methods` has them."""


def scored(table, name, frame=None, shards=1, splits=("train",), methods=ALL, share=1.0):
    """Folder of the scores of a table that was cut into shards, the last of them measured first."""
    samples, vectors = table.written(name, frame, shards)
    folders = []
    for file in reversed(shard_files(samples)):
        folders.append(f"{samples}-{file.stem}")
        measure(samples, vectors, table.warm_ups, folders[-1], methods, file.name, share, splits)
    score(samples, vectors, table.warm_ups, folders, f"{samples}-scores", methods)
    return Path(f"{samples}-scores")


@pytest.fixture(scope="module")
def whole(table):
    return scored(table, "whole")


@pytest.mark.parametrize("shards", [2, 6])
def test_shards_and_row_order_change_no_byte(table, whole, shards):
    shuffled = table.frame.sample(frac=1, random_state=shards)
    folder = scored(table, f"cut-{shards}", shuffled, shards)
    assert len(list(folder.parent.glob(f"cut-{shards}-samples-part-*"))) == {2: 2, 6: 6}[shards]
    assert (folder / "scores.parquet").read_bytes() == (whole / "scores.parquet").read_bytes()
    assert (folder / "plans.parquet").read_bytes() == (whole / "plans.parquet").read_bytes()
    ours, theirs = (read_manifest(f) for f in (folder, whole))
    assert ours["methods"] == theirs["methods"]
    assert ours["decisions"] == theirs["decisions"]


def test_a_smaller_plan_gives_the_importance_that_it_gives_alone(table, whole):
    plans = pd.read_parquet(whole / "plans.parquet")
    assert list(plans) == ["sample_id", "full", "default", "vectors"]
    alone = scored(table, "alone", methods=PLANS["default"])
    importance = pd.read_parquet(alone / "scores.parquet")["importance"]
    assert plans["default"].tolist() == importance.tolist()
    about = read_manifest(whole)["plans"]
    assert (about["vectors"]["spares"]["warm_up"], about["default"]["spares"]["warm_up"]) == (
        read_manifest(whole)["warm_up_seconds"], 0.0,
    )  # fmt: skip
    assert list(pd.read_parquet(scored(table, "vectors", methods=PLANS["vectors"]) / "plans.parquet")) == [
        "sample_id"
    ]


def test_every_ranker_scored_some_rows_in_some_finite_difference(whole):
    """Or else the test above would say little."""
    table, methods = pd.read_parquet(whole / "scores.parquet"), read_manifest(whole)["methods"]
    assert set(table["scored_by"]) == {"a", "b"}
    for name in ("a", "b"):
        assert {way["way"] for way in methods["influence"][name].values()} <= {"one-sided", "central"}
        assert len(methods["segment_influence"][name]) == 2


def test_without_warm_ups_rows_are_scored_by_their_vectors_alone(table, whole):
    names = ["label_quality", "target_agreement", "knn_shapley"]
    samples, vectors = table.written("vectors", shards=2)
    folders = []
    for file in shard_files(samples):
        folders.append(f"{samples}-{file.stem}")
        measure(samples, vectors, {}, folders[-1], names, file.name)
    score(samples, vectors, {}, folders, f"{samples}-scores", names)
    found, theirs = (pd.read_parquet(Path(f) / "scores.parquet") for f in (f"{samples}-scores", whole))
    assert set(found["scored_by"]) == {""}
    pd.testing.assert_frame_equal(found[names], theirs[names], check_exact=True)
    manifest = read_manifest(f"{samples}-scores")
    assert (manifest["warm_up_seconds"], type(manifest["warm_up_seconds"])) == (0.0, float)
    with pytest.raises(ValueError, match="no warm-up ranker was given"):
        measure(samples, vectors, {}, f"{samples}-x", ["el2n"])


def test_a_share_is_the_same_rows_whatever_the_shards(table):
    found = []
    for shards in (1, 3):
        samples, vectors = table.written(f"share-{shards}", shards=shards)
        tables = []
        for file in shard_files(samples):
            measure(samples, vectors, table.warm_ups, f"{samples}-x", ["margin"], file.name, 0.5)
            tables.append(pd.read_parquet(f"{samples}-x/measured.parquet"))
        found.append(pd.concat(tables, ignore_index=True))
    pd.testing.assert_frame_equal(*found, check_exact=True)
    assert 0.3 < found[0]["margin"].notna().mean() < 0.7


def test_diagnosed_splits_leave_the_training_rows_alone(table, whole):
    folder = scored(table, "diagnosed", shards=2, splits=("train", "validation", "test"))
    assert (folder / "scores.parquet").read_bytes() == (whole / "scores.parquet").read_bytes()
    diagnosis = pd.read_parquet(folder / "diagnosis.parquet")
    mine = table.frame[table.frame["split"].isin(["validation", "test"])]
    assert set(diagnosis["sample_id"]) == set(mine["sample_id"])
    assert set(diagnosis) - set(pd.read_parquet(whole / "scores.parquet")) == {"split"}
    assert not (whole / "diagnosis.parquet").exists()
    # Rows that no warm-up trained on are scored by the first.
    assert set(diagnosis["scored_by"]) == {"a"}
    test = diagnosis[diagnosis["split"] == "test"]
    suspicious = test.sort_values("noise", ascending=False)["sample_id"].head(len(table.wrong))
    assert len(table.wrong & set(suspicious)) >= 0.6 * len(table.wrong) > 0


def test_selection_takes_training_rows_only(table, whole):
    from assay.components.select.select import select

    samples, _ = table.written("whole")
    folders = {"with": scored(table, "chosen", splits=("train", "test")), "without": whole}
    for name, folder in folders.items():
        select(samples, str(folder), str(table.folder / name), ["challenger", "control", "full"], "0.5", 0)
    chosen = {name: (table.folder / name / "selection.parquet") for name in folders}
    assert chosen["with"].read_bytes() == chosen["without"].read_bytes()
    train = set(table.frame.loc[table.frame["split"] == "train", "sample_id"])
    assert set(pd.read_parquet(chosen["with"])["sample_id"]) == train
    # Not even by a file of scores that holds them.
    both = pd.concat([pd.read_parquet(folders["with"] / f"{n}.parquet") for n in ("scores", "diagnosis")])
    both.drop(columns="split").to_parquet(folders["with"] / "scores.parquet", index=False)
    with pytest.raises(ValueError, match="scores other rows"):
        select(samples, str(folders["with"]), str(table.folder / "bad"), ["challenger"], "0.5", 0)


def test_what_is_missing_is_said(table):
    samples, vectors = table.written("missing", shards=2)
    where = (samples, vectors, table.warm_ups, f"{samples}-m")
    with pytest.raises(ValueError, match="no shard 'part-9.parquet'; it has part-00000.parquet, part-00001"):
        measure(*where, ["margin"], "part-9.parquet")
    with pytest.raises(ValueError, match="splits target: score train, validation or test"):
        measure(*where, ["margin"], splits=("train", "target"))
    with pytest.raises(ValueError, match="unknown methods colour"):
        measure(*where, ["colour"])
    measure(*where, ["margin"], "part-00000.parquet")
    rest = (vectors, table.warm_ups, [f"{samples}-m"], f"{samples}-s")
    with pytest.raises(ValueError, match="rows were not measured: give every shard's"):
        score(samples, *rest, ["margin"], {"margin": 1.0})
    measure(*where, ["margin"])
    with pytest.raises(ValueError, match="el2n was not measured"):
        score(samples, *rest, ["el2n"], {"el2n": 1.0})
    with pytest.raises(ValueError, match="measured twice"):
        score(
            samples,
            vectors,
            table.warm_ups,
            [f"{samples}-m"] * 2,
            f"{samples}-s",
            ["margin"],
            {"margin": 1.0},
        )


def test_a_shard_without_training_rows_is_no_error(table):
    frame = table.frame.sort_values("sample_id").reset_index(drop=True)
    frame.loc[frame.index[:64], "split"] = "test"
    samples, vectors = table.written("bare", frame, shards=6)
    inputs = read_inputs(samples, vectors, table.warm_ups, 0.5, 0, shard="part-00000.parquet")
    values, _, new = measured(inputs, ["influence", "margin"])
    assert (len(values), new, list(values)) == (0, 0, ["logit", "influence", "margin"])
    assert np.isfinite(pd.read_parquet(scored(table, "bare", frame, 6) / "scores.parquet")["influence"]).all()
