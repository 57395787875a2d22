import numpy as np
import pandas as pd
import pytest
from assay.components.core.errors import BadInput
from assay.components.core.manifest import publishing
from assay.components.core.samples import hash_unit, read_samples, sample_ids, write_samples
from assay.components.select.budget import parse_budget, rows_of_budget
from assay.components.select.select import select, warm_up_shares
from assay.components.select.strata import best_of_strata, quotas


@pytest.mark.parametrize(
    ("text", "rows"),
    [("0.3", 30), ("1", 100), ("1.0", 100), ("0.005", 1), ("25", 25), ("0.345", 35), ("2", 2)],
)
def test_budgets_that_mean_something(text, rows):
    assert rows_of_budget(parse_budget(text), 100) == rows


@pytest.mark.parametrize("text", ["0", "1.5", "lots", "-3", "nan", "inf", "2.5", ""])
def test_budgets_that_mean_nothing(text):
    with pytest.raises(BadInput, match=f"--budget {text}"):
        parse_budget(text)


@pytest.mark.parametrize("budget", [101, 0.001])
def test_budgets_that_the_rows_cannot_fill(budget):
    with pytest.raises(BadInput, match="--budget"):
        rows_of_budget(budget, 100)


def test_quotas_are_proportional_and_sum_up():
    found = quotas(pd.Series({"a": 60, "b": 30, "c": 10}), 33)
    assert found.sum() == 33
    assert found.tolist() == [20, 10, 3]


def test_the_best_of_each_stratum_and_ties_by_id():
    rows = pd.DataFrame(
        {
            "sample_id": list("fedcba"),
            "stratum": ["x"] * 4 + ["y"] * 2,
            "importance": [0.9, 0.8, 0.7, 0.7, 0.1, 0.1],
        }
    )
    assert rows.loc[best_of_strata(rows, 3), "sample_id"].tolist() == ["f", "e", "a"]


@pytest.fixture
def scored(tmp_path):
    """200 training rows; rows 0-39 look mislabelled and are most important otherwise."""
    n = 200
    text = [f"t{i:03d}" for i in range(n)]
    samples = pd.DataFrame(
        {
            "sample_id": sample_ids("search", text, text, text, text, "grade"),
            "task": "search", "group_id": text, "context": text, "item_id": text, "item": text,
            "label": [float(i % 4 == 0) for i in range(n)],
            "weight": 1.0, "segment": "all", "source": "t", "split": "train",
        }
    )  # fmt: skip
    with publishing(tmp_path / "samples") as (folder, _):
        write_samples(samples, folder)
    samples["importance"] = np.linspace(1, 0, n)
    samples["decision"] = ["drop"] * 40 + ["keep"] * 160
    samples["reason"] = ["likely_mislabelled"] * 40 + ["label_plausible"] * 160
    samples["noise"] = np.linspace(1, 0, n)
    with publishing(tmp_path / "scores") as (folder, _):
        samples.sort_values("sample_id").reset_index(drop=True).to_parquet(folder / "scores.parquet")
    return tmp_path, samples.set_index("sample_id")


def run(scored, budget, arms=("challenger", "control", "full"), seed=0):
    folder, _ = scored
    select(str(folder / "samples"), str(folder / "scores"), str(folder / "out"), list(arms), budget, seed)
    return pd.read_parquet(folder / "out" / "selection.parquet")


def test_every_arm_but_full_has_as_many_rows(scored):
    arms = run(scored, "0.3").groupby("arm").size()
    assert arms.to_dict() == {"challenger": 60, "control": 60, "full": 200, "none": 140}


def test_the_mislabelled_are_cut_and_both_labels_kept(scored):
    found = run(scored, "0.3").query("arm == 'challenger'")
    truth = scored[1].loc[found["sample_id"]]
    assert (truth["decision"] == "keep").all()
    assert truth["label"].mean() == pytest.approx(0.25, abs=0.01)
    # The most important plausible rows, not any.
    assert truth["importance"].min() > 0.45


def test_every_row_left_out_says_why(scored):
    found = run(scored, "0.3").query("arm == 'none'")
    assert found["reason"].value_counts().to_dict() == {"over_budget": 100, "likely_mislabelled": 40}


def test_only_a_budget_beyond_the_plausible_reaches_for_the_cut(scored):
    found = run(scored, "0.9").query("arm == 'challenger'")
    truth = scored[1].loc[found["sample_id"]]
    assert (truth["decision"] == "drop").sum() == 20
    assert truth.loc[truth["decision"] == "drop", "noise"].max() < scored[1]["noise"].iloc[19]
    assert len(run(scored, "1").query("arm == 'challenger'")) == 200


def test_the_control_is_uniform_over_all_rows_before_any_cut(scored):
    drawn = pd.concat([run(scored, "0.3", seed=s).query("arm == 'control'") for s in range(40)])
    dropped = scored[1].loc[drawn["sample_id"], "decision"] == "drop"
    assert dropped.mean() == pytest.approx(0.2, abs=0.025)
    assert drawn.groupby("sample_id").size().reindex(scored[1].index, fill_value=0).between(2, 25).all()


def test_the_same_seed_gives_the_same_bytes(scored):
    run(scored, "0.3", seed=4)
    first = (scored[0] / "out" / "selection.parquet").read_bytes()
    run(scored, "0.3", seed=4)
    assert (scored[0] / "out" / "selection.parquet").read_bytes() == first
    run(scored, "0.3", seed=5)
    assert (scored[0] / "out" / "selection.parquet").read_bytes() != first


def test_warm_up_shares_are_disjoint_and_random(scored):
    folder, samples = scored
    assert warm_up_shares(str(folder / "samples"), str(folder / "shares"), 0.1, 0) == 20
    shares = pd.read_parquet(folder / "shares" / "selection.parquet")
    assert shares["sample_id"].is_unique
    assert shares.groupby("arm").size().to_dict() == {"a": 20, "b": 20}
    places = hash_unit(shares["sample_id"].tolist(), "assay-warm-up-0")
    assert places.max() < np.sort(hash_unit(samples.index.tolist(), "assay-warm-up-0"))[40]


def test_the_target_is_an_arm_of_its_own_where_asked_for(scored, tmp_path):
    folder, _ = scored
    table = read_samples(folder / "samples")
    table["split"] = table["split"].astype(str)
    table.loc[:9, "split"] = "target"
    with publishing(tmp_path / "samples") as (beside, _):
        write_samples(table, beside)
    warm_up_shares(str(tmp_path / "samples"), str(tmp_path / "shares"), 0.1, 0, ["a", "b", "target"])
    shares = pd.read_parquet(tmp_path / "shares" / "selection.parquet")
    assert shares.groupby("arm").size().to_dict() == {"a": 19, "b": 19, "target": 10}
    assert set(shares.loc[shares["arm"] == "target", "sample_id"]) == set(table["sample_id"][:10])
    assert shares["sample_id"].is_unique
