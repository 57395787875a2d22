"""Which test rows go with a version, and with which scores."""

import json

import numpy as np
import pandas as pd
import pytest
from assay.components.core.full_ranking import write_ranking
from assay.components.core.manifest import publishing
from assay.components.core.samples import write_samples
from assay.components.register.canary import _lists, write_canary

EVIDENCE = {"metric": "ndcg@10", "gain": "linear", "relevant_at": 1.0}


def sample(n):
    return f"{n:032x}"


def written(tmp_path, frame, evidence, predictions, task="search", **facts):
    with publishing(tmp_path / "samples", max_grade=5.0, **facts) as (folder, _):
        full = frame.assign(task=task, label=np.float32(0), weight=np.float32(1), segment="s", source="f")
        write_samples(full, folder)
        if evidence.get("full_ranking"):
            catalogue = pd.DataFrame({"item_id": ["a", "b", "c"], "item": ["item a", "item b", "item c"]})
            texts = ["item a", "item b", "item c"]
            nobody = pd.DataFrame({"user_id": ["u"], "item_id": ["a"]})
            seen = pd.DataFrame({"group_id": ["g0"], "item_id": ["c"]})
            write_ranking(folder, catalogue.assign(popularity=1.0), nobody, seen, texts)
    (tmp_path / "predictions").mkdir()
    predictions.to_parquet(tmp_path / "predictions" / "predictions.parquet", index=False)
    folders = str(tmp_path / "samples"), str(tmp_path / "predictions")
    write_canary(tmp_path / "canary", *folders, evidence, task)
    about = json.loads((tmp_path / "canary" / "canary.json").read_text())
    return pd.read_parquet(tmp_path / "canary" / "canary.parquet"), about


@pytest.mark.parametrize("reranked", [0, 2])
def test_of_a_catalogue_only_what_the_ranker_scored(tmp_path, reranked):
    """Two lists over three items; what a cross-encoder did not see has one below its lowest score."""
    test = pd.DataFrame(
        {
            "sample_id": [sample(0), sample(1)], "group_id": ["g0", "g1"], "context": ["list 0", "list 1"],
            "item_id": ["a", "b"], "item": ["item a", "item b"], "split": "test",
        }
    )  # fmt: skip
    unseen = -2.0 if reranked else 0.5
    predictions = pd.DataFrame(
        {
            "sample_id": [f"{n:08d}-000000" for n in range(6)],
            "group_id": ["g0"] * 3 + ["g1"] * 3,
            "item_id": ["a", "b", "c"] * 2,
            "label": [1.0, 0, 0, 0, 1, 0],
            "grade": [1.0, 0, 0, 0, 1, 0],
            "challenger": [3.0, -1.0, unseen, 2.0, 1.0, unseen],
        }
    )
    evidence = EVIDENCE | {"full_ranking": {"items": 3, "reranked": reranked}}
    rows, _ = written(tmp_path, test, evidence, predictions, "recommendation")
    assert len(rows) == (4 if reranked else 6)
    right = rows[rows["label"] == 1].set_index("group_id")
    assert right["sample_id"].to_dict() == {"g0": sample(0), "g1": sample(1)}
    assert right["score"].to_dict() == {"g0": 3.0, "g1": 1.0}
    assert set(rows["context"]) == {"list 0", "list 1"}
    assert (rows["item"] == "item " + rows["item_id"]).all()


@pytest.mark.parametrize(("metric", "scale"), [("auc", 0.0), ("quadratic_kappa", 5.0)])
def test_where_no_lists_are_ranked_at_most_1000_rows(tmp_path, metric, scale):
    n = np.arange(1200)
    test = pd.DataFrame(
        {
            "sample_id": [sample(i) for i in n], "group_id": [f"g{i}" for i in n], "context": "c",
            "item_id": [f"i{i}" for i in n], "item": [f"item {i}" for i in n], "split": "test",
        }
    )  # fmt: skip
    predictions = test[["sample_id", "group_id"]].assign(label=0.0, grade=n % 2 * 1.0, challenger=n * 1.0)
    rows, about = written(tmp_path, test, EVIDENCE | {"metric": metric}, predictions)
    assert len(rows) == 1000
    assert rows["label"].mean() == pytest.approx(0.5, abs=0.05)
    assert (rows["score"] == rows["item_id"].str[1:].astype(float)).all()
    assert about == {"schema": 1, "task": "search", **EVIDENCE, "metric": metric, "scale": scale}


def test_a_long_list_keeps_one_row_of_each_label_and_few_of_the_rest(tmp_path):
    n = np.arange(300)
    rows = pd.DataFrame(
        {"sample_id": [f"{i:032x}" for i in n], "group_id": [f"q{i // 100}" for i in n], "score": 0.0,
         "label": np.where(n % 100 == 7, 2.0, np.where(n < 200, 0.0, 1.0))}
    )  # fmt: skip
    kept = _lists(rows, 1.0)
    assert kept.groupby("group_id").size().to_dict() == {"q0": 20, "q1": 20, "q2": 20}
    assert (kept.groupby("group_id")["label"].max() == 2).all()
    assert len(_lists(rows[rows["label"] == 1.0], 1.0)) == 0
