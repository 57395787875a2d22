import json

import numpy as np
import pandas as pd
import pytest
from assay.components.core.errors import BadInput
from assay.components.core.manifest import publishing
from assay.components.core.metrics import Lists, auc_of
from assay.components.core.samples import read_samples, sample_ids, write_samples
from assay.components.select import auto
from assay.components.select.auto import auto_budget, smallest_within
from assay.components.select.cheap_rankers import Exam

TRAIN, LISTS, LIST, DIMENSIONS = 1200, 30, 10, 40


@pytest.fixture(scope="module", autouse=True)
def fewer_rankers():
    before, auto.RESAMPLES = auto.RESAMPLES, 4
    yield
    auto.RESAMPLES = before


class Planted:
    """A log whose labels are a linear function of its features, the first of which may give them away.

    Attributes:
        paths: Folders of samples, scores, vectors.
        good: Ids of the training rows whose label is right, the first of them first.
    """

    def __init__(self, folder, wrong=0.0, easy=False, metric="ndcg@10", shards=1, seed=0):
        rng = np.random.default_rng(seed)
        count = TRAIN + LISTS * LIST
        features = rng.normal(size=(count, DIMENSIONS))
        direction = np.eye(DIMENSIONS)[0] * 9 if easy else rng.normal(size=DIMENSIONS)
        truth = features @ direction > 0
        if easy:
            features = 0 * features + np.where(truth, 1.0, -1.0)[:, None] * np.eye(DIMENSIONS)[0]
        train = np.arange(count) < TRAIN
        flipped = train & (rng.random(count) < wrong)
        text = [f"t{i}" for i in range(count)]
        group = [f"g{i // LIST}" for i in range(count)]
        table = pd.DataFrame(
            {
                "sample_id": sample_ids("search", group, text, text, text, "grade"),
                "task": "search", "group_id": group, "context": text, "item_id": text, "item": text,
                "label": (truth != flipped).astype(np.float32), "grade": np.nan, "weight": 1.0,
                "segment": "all", "source": "t", "split": np.where(train, "train", "validation"),
            }
        )  # fmt: skip
        order = np.argsort(table["sample_id"].to_numpy())
        with publishing(folder / "samples", relevant_at=0.5, metric=metric) as (beside, _):
            write_samples(table, beside, shards)
        with publishing(folder / "vectors") as (beside, _):
            table.loc[order, ["sample_id"]].to_parquet(beside / "sample_ids.parquet", index=False)
            np.save(beside / "features.npy", features[order].astype(np.float32))
        self.paths = [str(folder / name) for name in ("samples", "vectors")]
        self.labels = table.set_index("sample_id")["label"]
        self.good = table["sample_id"][train & ~flipped].tolist()
        self.bad = table["sample_id"][flipped].tolist()

    def choose(self, count):
        return self.rows([*self.good, *self.bad][:count])

    def rows(self, ids):
        return pd.DataFrame({"sample_id": ids, "label": self.labels[ids].to_numpy(), "weight": 1.0})


def test_a_curve_that_rises_and_saturates_is_left_at_its_knee(tmp_path):
    planted = Planted(tmp_path)
    found = auto_budget(*planted.paths, planted.choose, len(planted.good), 0, epsilon=0.02)
    curve = pd.DataFrame(found.facts["curve"])
    assert curve["rows"].tolist() == [60, 120, 240, 360, 600, 840, 1200]
    assert curve["budget"].tolist() == pytest.approx([0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0])
    # 60 rows do not tell 40 directions apart.
    assert curve["metric"].iloc[0] < 0.95 < 0.995 < curve["metric"].iloc[-1]
    assert 120 < found.rows <= 360
    assert json.loads(json.dumps(found.facts)) == found.facts
    assert found.facts["chosen"] == found.rows
    assert (curve["low"] < curve["metric"]).all()
    assert (curve["metric"] <= curve["high"]).all()
    assert curve["chosen_in"].sum() == pytest.approx(1)
    assert abs(curve["chosen_in"].to_numpy().argmax() - curve["rows"].tolist().index(found.rows)) <= 1
    # All rows are right: the control is as good, and of all rows there is but one draw.
    assert (curve["metric"] - curve["control"]).abs().max() < 0.08
    assert curve["metric"].iloc[-1] == pytest.approx(curve["control"].iloc[-1])


def test_a_flat_curve_gives_the_smallest_budget(tmp_path):
    planted = Planted(tmp_path, easy=True)
    found = auto_budget(*planted.paths, planted.choose, len(planted.good), 0)
    assert found.rows == 60
    assert all(entry["metric"] == entry["low"] == entry["high"] == 1 for entry in found.facts["curve"])
    assert found.facts["curve"][0]["chosen_in"] == 1
    # No budget below the least is tried; and none beyond the plausible rows.
    for least, rows in ((700, [700, 840, 1200]), (5000, [1200])):
        found = auto_budget(*planted.paths, planted.choose, len(planted.good), 0, least=least)
        assert [entry["rows"] for entry in found.facts["curve"]] == rows
        assert found.rows == rows[0]


def test_wrong_labels_part_the_curve_from_its_control(tmp_path):
    planted = Planted(tmp_path, wrong=0.35)
    found = auto_budget(*planted.paths, planted.choose, len(planted.good), 0)
    curve = pd.DataFrame(found.facts["curve"])
    assert curve["rows"].iloc[-1] == len(planted.good)
    assert (curve["metric"] > curve["control"]).all()
    assert (curve["metric"] - curve["control"]).iloc[2:5].min() > 0.05


def test_rows_are_learnt_as_the_selection_has_them(tmp_path, monkeypatch):
    monkeypatch.setattr(auto, "LADDER", (1.0,))
    planted = Planted(tmp_path, wrong=0.35)

    def metric(**columns):
        every = planted.rows([*planted.good, *planted.bad]).assign(**columns)
        return auto_budget(*planted.paths, every.head, TRAIN, 0).facts["curve"][0]["metric"]

    wrong = np.arange(TRAIN) >= len(planted.good)
    labels = planted.labels[[*planted.good, *planted.bad]].to_numpy()
    as_it_is = metric()
    relabelled, downweighted = (
        metric(label=np.where(wrong, 1 - labels, labels)),
        metric(weight=1 - 0.9 * wrong),
    )
    assert as_it_is + 0.01 < downweighted < relabelled


def test_the_same_seed_gives_the_same_curve_whatever_the_order(tmp_path, monkeypatch):
    monkeypatch.setattr(auto, "LADDER", (0.1, 0.5))
    planted = Planted(tmp_path, wrong=0.2)
    first = auto_budget(*planted.paths, planted.choose, len(planted.good), 0)
    assert auto_budget(*planted.paths, lambda n: planted.choose(n)[::-1], len(planted.good), 0) == first
    assert auto_budget(*planted.paths, planted.choose, len(planted.good), 1) != first


def test_the_primary_metric_may_be_auc(tmp_path):
    planted = Planted(tmp_path, metric="auc")
    found = auto_budget(*planted.paths, planted.choose, len(planted.good), 0, epsilon=0.02)
    curve = pd.DataFrame(found.facts["curve"])
    assert found.facts["metric"] == "auc"
    assert curve["metric"].is_monotonic_increasing
    assert 120 < found.rows <= 600
    assert curve["metric"].iloc[0] < 0.85


def test_labels_between_none_and_all_are_learnt_from(tmp_path):
    planted = Planted(tmp_path)
    table = read_samples(tmp_path / "samples")
    table["label"] = table["label"] * 0.6 + 0.2
    with publishing(tmp_path / "samples", relevant_at=0.5, metric="ndcg@10") as (beside, _):
        write_samples(table, beside)
    assert (
        auto_budget(*planted.paths, planted.choose, len(planted.good), 0).facts["curve"][-1]["metric"] > 0.95
    )


def test_rows_of_one_label_teach_nothing(tmp_path):
    planted = Planted(tmp_path)
    table = read_samples(tmp_path / "samples").set_index("sample_id")
    one = table.index[(table["split"] == "train") & (table["label"] == 1)].tolist()
    found = auto_budget(*planted.paths, lambda n: planted.rows(one[:n]), TRAIN, 0)
    curve = pd.DataFrame(found.facts["curve"])
    assert curve["metric"].nunique() == 1
    assert (curve["control"] > curve["metric"]).all()
    assert found.rows == 60


def test_metrics_are_those_of_a_report():
    rng = np.random.default_rng(0)
    for gain in ("exponential", "linear"):
        groups = np.array([f"g{i}" for i in rng.integers(0, 25, 200)])
        grades = rng.integers(0, 4, 200) * (groups != "g3")
        ids = np.array([f"{i:03d}" for i in rng.permutation(200)])
        lists = Lists(groups, grades.astype(np.float64), ids, 2.0, gain)
        # Rounded, so that there are ties.
        scores = rng.normal(size=(3, 200)).round(1)
        expected = np.stack([lists.ndcg(one) for one in scores])
        assert len(lists.ranked()) < 25
        counts = rng.integers(1, 3, (3, expected.shape[1]))
        marks = Exam(np.empty((200, 0)), lists, "ndcg@10", counts).marks(scores)
        assert marks[0] == pytest.approx(expected.mean())
        assert marks[1:] == pytest.approx(
            [np.average(e, weights=c) for e, c in zip(expected, counts, strict=True)]
        )
        weights = np.column_stack([np.ones(200), rng.integers(0, 3, 200), lists.relevant])
        expected = [lists.auc(scores[0]), lists.auc(scores[0], weights[:, 1].astype(np.float64)), 0.5]
        assert auc_of(scores[0], lists.relevant, weights) == pytest.approx(expected)
        assert auc_of(np.zeros(200), lists.relevant, weights).tolist() == [0.5, 0.5, 0.5]


def test_the_first_within_epsilon_of_the_best():
    curve = np.array([[0.80, 0.9, 0.3], [0.897, 0.91, 0.4], [0.90, 0.90, 0.5]])
    assert smallest_within(curve, 0.005).tolist() == [1, 1, 2]
    assert smallest_within(curve, 0.02).tolist() == [1, 0, 2]


def test_what_cannot_be_judged_is_refused(tmp_path):
    planted = Planted(tmp_path)
    with pytest.raises(BadInput, match="epsilon 1"):
        auto_budget(*planted.paths, planted.choose, len(planted.good), 0, epsilon=1)
    with pytest.raises(ValueError, match="1 of the chosen rows are no training rows"):
        auto_budget(*planted.paths, lambda n: planted.choose(n).replace(planted.good[0], "nobody"), TRAIN, 0)
    table = read_samples(tmp_path / "samples")
    for metric, labels in (("ndcg@10", 0.0), ("auc", 1.0)):
        table.loc[table["split"] == "validation", "label"] = labels
        with publishing(tmp_path / "samples", relevant_at=0.5, metric=metric) as (beside, _):
            write_samples(table, beside)
        with pytest.raises(BadInput, match="no validation list can be judged"):
            auto_budget(*planted.paths, planted.choose, len(planted.good), 0)
    with pytest.raises(BadInput, match="1 of 1200 rows look rightly labelled"):
        auto_budget(*planted.paths, planted.choose, 1, 0)
