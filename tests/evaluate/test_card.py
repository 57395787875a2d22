"""The card says of a selection what can be counted by hand."""

import json
from pathlib import Path

import jinja2
import numpy as np
import pandas as pd
import pytest
from assay.components.evaluate import card as module
from assay.components.evaluate.card import card
from assay.components.evaluate.drift import drift

SEGMENTS = ["head", "torso", "tail"]
MANIFEST = {
    "facts": {
        "duplicates": {
            "threshold": 0.95,
            "collapsed": 3,
            "conflicts": {"groups": 1, "rows": 2, "of_them_look_mislabelled": 1},
        }
    }
}


@pytest.fixture
def samples() -> pd.DataFrame:
    """300 rows in 30 lists of 10; three segments by turns, a segment a third of the lists; half relevant."""
    n = np.arange(300)
    return pd.DataFrame(
        {
            "sample_id": [f"{i:04d}" for i in n],
            "group_id": [f"user {i // 10}" for i in n],
            "item_id": [f"item {i % 150}" for i in n],
            "segment": [SEGMENTS[i // 10 % 3] for i in n],
            "label": (n % 2).astype(np.float32),
            "grade": (n % 2) * 3.0,
        }
    )


def selection_of(samples: pd.DataFrame, kept: np.ndarray) -> pd.DataFrame:
    table = samples[["sample_id", "group_id", "item_id", "label"]].copy()
    table["arm"] = np.where(kept, "challenger", "none")
    table["reason"] = np.where(kept, "important", "over_budget")
    return table.assign(weight=np.float32(1), decision="keep")


@pytest.fixture
def vectors(tmp_path, samples) -> str:
    """Vectors as `embed` writes them; those of a segment lie together."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(3, 16))
    texts = rng.normal(size=(600, 16)) * 0.5
    texts[:300] += centres[np.arange(300) // 10 % 3]
    texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    np.save(tmp_path / "texts.npy", texts.astype(np.float32))
    np.save(tmp_path / "pairs.npy", np.column_stack([np.arange(300), np.arange(300, 600)]))
    samples[["sample_id"]].to_parquet(tmp_path / "sample_ids.parquet", index=False)
    return str(tmp_path)


def of(samples, selection, vectors="", manifest=MANIFEST):
    return card(samples, selection, manifest, vectors, 1.5, 0)


def test_all_rows_kept_is_no_drift_and_nothing_to_warn_of(samples, vectors):
    found = of(samples, selection_of(samples, np.ones(300, bool)), vectors)
    assert found["warnings"] == []
    assert found["drift"]["frechet"]["distance"] == found["drift"]["frechet"]["random"] == 0.0
    assert (found["drift"]["mmd"]["mmd2"], found["drift"]["mmd"]["p"]) == (0.0, 1.0)
    assert {s["change"] for s in [*found["segments"], *found["classes"], *found["labels"]]} == {0.0}
    assert found["groups"]["without_rows"] == found["items"]["lost"] == found["groups"]["lost_half"] == 0
    assert found["rows"] == {"before": 300, "after": 300, "kept": {"important": 300}, "left_out": {}}


def test_a_segment_that_is_gone_is_counted_warned_of_and_drifts(samples, vectors):
    kept = (samples["segment"] != "tail").to_numpy()
    found = of(samples, selection_of(samples, kept), vectors)
    assert found["segments"][1] == {
        "name": "tail", "before": 100, "after": 0,
        "share_before": 0.333333, "share_after": 0.0, "change": -0.333333,
    }  # fmt: skip
    assert [s["name"] for s in found["segments"]] == ["head", "tail", "torso"]
    assert found["segments"][0]["change"] == pytest.approx(1 / 6, abs=1e-6)
    assert found["warnings"][0] == "Segment tail has no row left of 100."
    assert "Fréchet" in found["warnings"][1]
    assert len(found["warnings"]) == 2
    assert found["groups"]["without_rows"] == found["groups"]["lost_half"] == 10
    assert found["groups"]["without_rows_random"] == 0
    assert found["drift"]["mmd"]["p"] == pytest.approx(1 / 201, abs=1e-4)
    assert found["drift"]["mmd"]["mmd2"] > 5 * found["drift"]["mmd"]["random"]
    assert found["rows"]["left_out"] == {"over_budget": 100}


def test_a_random_subset_drifts_as_random_subsets_do(samples, vectors):
    kept = np.random.default_rng(1).random(300) < 0.5
    found = of(samples, selection_of(samples, kept), vectors)
    assert found["warnings"] == []
    assert found["drift"]["frechet"]["distance"] < 1.5 * found["drift"]["frechet"]["random"]
    assert found["drift"]["mmd"]["p"] > 0.05


def test_the_distance_is_the_formula_of_the_paper(samples, vectors):
    from assay.components.core.vectors import row_vectors
    from scipy.linalg import sqrtm

    kept = (samples["segment"] != "tail").to_numpy()
    found = drift(samples["sample_id"].tolist(), kept, vectors, 0)["frechet"]
    rows = row_vectors(vectors, samples["sample_id"]).astype(np.float64)
    one, other = np.cov(rows.T), np.cov(rows[kept].T)
    apart = ((rows.mean(axis=0) - rows[kept].mean(axis=0)) ** 2).sum()
    assert found["components"] == 32  # all there are, so nothing is lost
    expected = apart + np.trace(one + other - 2 * sqrtm(one @ other).real)
    assert found["distance"] == pytest.approx(expected, abs=1e-5)
    assert found["variance"] == pytest.approx(np.trace(one), abs=1e-5)


def test_the_kernel_distance_is_the_formula_of_the_paper(samples, vectors):
    from assay.components.core.vectors import row_vectors
    from scipy.spatial.distance import pdist, squareform

    kept = (samples["segment"] != "tail").to_numpy()
    apart = pdist(row_vectors(vectors, samples["sample_id"]).astype(np.float64))
    kernel = np.exp(-(squareform(apart) ** 2) / (2 * np.median(apart) ** 2))
    expected = kernel.mean() + kernel[np.ix_(kept, kept)].mean() - 2 * kernel[kept].mean()
    found = drift(samples["sample_id"].tolist(), kept, vectors, 0)["mmd"]
    assert found["mmd2"] == pytest.approx(expected, abs=1e-5)


def test_more_rows_than_are_looked_at_are_drawn_by_hash(samples, vectors, monkeypatch):
    monkeypatch.setattr("assay.components.evaluate.drift.ROWS", 100)
    monkeypatch.setattr("assay.components.evaluate.drift.KERNEL_ROWS", 90)
    kept = (samples["segment"] != "tail").to_numpy()
    found = drift(samples["sample_id"].tolist(), kept, vectors, 0)
    assert (found["frechet"]["rows"], found["mmd"]["rows"]) == (100, 90)
    assert found["frechet"]["distance"] > found["frechet"]["random_most"]
    assert found["mmd"]["p"] < 0.02


def test_without_vectors_there_is_no_drift(samples):
    assert of(samples, selection_of(samples, np.arange(300) % 2 < 2))["drift"] is None


def test_a_class_that_vanished_is_warned_of(samples):
    found = of(samples, selection_of(samples, (samples["label"] == 0).to_numpy()))
    assert found["warnings"] == ["The class relevant has no row left of 150."]
    assert found["labels"][1]["after"] == 0


def test_a_small_segment_that_chance_would_lose_too_is_no_warning(samples):
    samples.loc[:1, "segment"] = "rare"
    kept = np.arange(300) % 3 == 2
    found = of(samples, selection_of(samples, kept))
    assert found["segments"][-1]["name"] == "rare"
    assert found["segments"][-1]["after"] == 0
    assert found["warnings"] == []


def test_relabelled_rows_count_under_what_they_train_on(samples):
    kept = np.arange(300) < 150
    selection = selection_of(samples, kept)
    change = np.arange(300) < 10
    selection["label"] = np.where(change, 1 - selection["label"], selection["label"])
    selection.loc[:3, "label"] = np.float32(0.5)  # between the classes: not as relevant as the least that is
    selection["decision"] = np.where(np.arange(300) // 5 == 2, "downweight", "keep")
    found = of(samples, selection)
    assert (found["relabelled"], found["downweighted"]) == (10, 5)
    after = {one["name"]: one["after"] for one in found["labels"]}
    assert after == {"0": 73, "1": 73, "0.5": 4}
    assert {one["name"]: one["after"] for one in found["classes"]} == {"not relevant": 77, "relevant": 73}


def test_duplicates_are_as_the_selection_says(samples):
    kept = np.arange(300) < 150
    assert of(samples, selection_of(samples, kept))["duplicates"] == MANIFEST["facts"]["duplicates"]
    assert of(samples, selection_of(samples, kept), manifest={})["duplicates"] is None


def test_items_that_are_gone_come_by_how_often_they_were_seen(samples):
    samples.loc[samples["item_id"] == "item 7", "item_id"] = "item 8"
    kept = ~samples["item_id"].isin(["item 8", "item 3"]).to_numpy()
    found = of(samples, selection_of(samples, kept))["items"]
    assert (found["before"], found["lost"]) == (149, 2)
    assert found["most_frequent"] == [{"item": "item 8", "rows": 4}, {"item": "item 3", "rows": 2}]


def test_no_id_of_a_list_stands_in_the_card_and_the_order_of_rows_does_not_matter(samples, vectors):
    kept = (samples["segment"] != "tail").to_numpy()
    selection = selection_of(samples, kept)
    one = json.dumps(of(samples, selection, vectors), allow_nan=False)
    mixed, shuffled = samples.sample(frac=1, random_state=0), selection.sample(frac=1, random_state=1)
    other = pd.concat([shuffled, selection.assign(arm="full")])
    assert json.dumps(of(mixed, other, vectors)) == one
    assert "user" not in one
    assert len({g["group"] for g in json.loads(one)["groups"]["most_lost"]}) == 10


def test_a_selection_of_other_rows_is_refused(samples):
    with pytest.raises(ValueError, match="select again"):
        of(samples, selection_of(samples, np.ones(300, bool))[:-1])


def test_the_page_puts_warnings_first_and_escapes(samples, vectors):
    samples["segment"] = samples["segment"].replace("tail", "<script>")
    found = of(samples, selection_of(samples, (samples["segment"] != "<script>").to_numpy()), vectors)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(module.__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    page = environment.get_template("card.html").render(evidence={"card": found})
    assert "<script" not in page
    assert page.index("has no row left of 100") < page.index("<table>")
    assert page.count("<svg") == 2 * (3 + 2)
    assert "200 of 300 rows are kept (important 200)" in page
    plain = of(samples, selection_of(samples, np.ones(300, bool)), manifest={})
    assert "Nothing to warn of" in environment.get_template("card.html").render(evidence={"card": plain})
