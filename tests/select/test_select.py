import dataclasses
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from assay.components.core.errors import BadInput
from assay.components.core.manifest import publishing, read_manifest
from assay.components.core.samples import hash_unit, read_samples, sample_ids, write_samples
from assay.components.select.rules import Rules
from assay.components.select.select import select, warm_up_shares
from assay.components.select.strata import quotas
from assay.components.select.why import LINES

from tests.select.test_auto import Planted


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
    samples["suggested_label"] = (1 - samples["label"]).where(samples["decision"] == "drop")
    with publishing(tmp_path / "scores") as (folder, _):
        samples.sort_values("sample_id").reset_index(drop=True).to_parquet(folder / "scores.parquet")
    return tmp_path, samples.set_index("sample_id")


def run(scored, budget, arms=("challenger", "control", "full"), seed=0, **rules):
    folder, _ = scored
    folders = [str(folder / name) for name in ("samples", "scores", "out")]
    vectors = str(folder / "vectors") if (folder / "vectors").is_dir() else ""
    select(*folders, list(arms), budget, seed, vectors, Rules(**rules))
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


def as_before_there_were_rules(samples, scores, count, seed):
    """Challenger, control, full and none as they were when a selection had no settings."""
    scores = scores.assign(label=samples["label"].astype(np.float32))
    stratum = samples["task"].astype(str) + "/" + scores["label"].round(2).astype(str)
    plausible = scores[scores["decision"] == "keep"]
    quota = quotas(stratum[plausible.index].groupby(stratum).size(), min(count, len(plausible)))
    ordered = plausible.sort_values(["importance", "sample_id"], ascending=[False, True])
    mine = stratum[ordered.index]
    taken = ordered.index[mine.groupby(mine).cumcount() < mine.map(quota)]
    reason = scores["reason"].where(scores["decision"] != "keep", "over_budget")
    reason[taken] = "important"
    cut = scores[scores["decision"] != "keep"].sort_values(["noise", "sample_id"])
    refill = cut.index[: max(0, count - len(plausible))]
    reason[refill] = "budget_exceeds_plausible_rows"
    inside = scores.index.isin(taken.append(refill))
    scores = scores.assign(weight=np.float32(1))
    drawn = np.argsort(hash_unit(scores["sample_id"].tolist(), f"assay-control-{seed}"), kind="stable")
    arms = {
        "challenger": scores.assign(reason=reason)[inside],
        "control": scores.iloc[drawn[:count]].assign(decision="keep", reason="random"),
        "full": scores.assign(decision="keep", reason="all_rows"),
        "none": scores.assign(reason=reason)[~inside],
    }
    table = pd.concat([rows.assign(arm=arm) for arm, rows in arms.items()])
    columns = [
        "sample_id",
        "group_id",
        "item_id",
        "arm",
        "label",
        "weight",
        "importance",
        "decision",
        "reason",
    ]
    return table[columns].sort_values(["arm", "sample_id"]).reset_index(drop=True)


@pytest.mark.parametrize("budget", ["0.3", "0.77", "0.95", "1", "7"])
def test_without_rules_the_selection_is_byte_for_byte_what_it_was(scored, tmp_path, budget):
    found = run(scored, budget, seed=3)
    folder, _ = scored
    samples = read_samples(folder / "samples", ["train"])
    scores = pd.read_parquet(folder / "scores" / "scores.parquet")
    count = (found["arm"] == "challenger").sum()
    before = as_before_there_were_rules(samples, scores, count, 3)
    before.to_parquet(tmp_path / "before")
    found[list(before)].to_parquet(tmp_path / "now")
    assert (tmp_path / "now").read_bytes() == (tmp_path / "before").read_bytes()


def test_neither_shards_nor_the_order_of_scores_change_a_byte(big):
    folder, samples = big
    scores = pd.read_parquet(folder / "scores" / "scores.parquet")
    with publishing(folder / "scores") as (beside, _):
        (beside / "scores.parquet").mkdir()
        shuffled = scores.sample(frac=1, random_state=1)
        for part in range(3):
            shuffled.iloc[part::3].to_parquet(beside / "scores.parquet" / f"part-{part}.parquet")
    rules = {"noisy": "downweight", "explore": 0.1, "constraints": ("segment >= 5%", "label=1 >= 40%")}
    arms = ("challenger", "challenger:1", "control", "stratified", "control@3000tokens", "length")
    files = []
    for shards in (1, 2, 3):
        with publishing(folder / "samples", relevant_at=0.5) as (beside, _):
            assert len(write_samples(samples.sample(frac=1, random_state=shards), beside, shards)) == shards
        run(big, "0.2", arms, 3, **rules)
        files.append((folder / "out" / "selection.parquet").read_bytes())
    assert files[0] == files[1] == files[2]
    assert read_manifest(folder / "out")["rows"]["challenger:1"] == 1800


@pytest.fixture
def big(tmp_path):
    """9,000 training rows in lists of five, three shards at most; a tenth looks mislabelled."""
    n = 9000
    rng = np.random.default_rng(0)
    text, group = [f"t{i:04d}" for i in range(n)], [f"g{i // 5}" for i in range(n)]
    samples = pd.DataFrame(
        {
            "sample_id": sample_ids("search", group, text, text, text, "grade"),
            "task": "search", "group_id": group, "context": text, "item_id": text, "item": text,
            "label": rng.choice([0.0, 0.5, 1.0], n), "weight": 1.0,
            "segment": rng.choice(["head", "torso", "tail"], n, p=[0.9, 0.08, 0.02]),
            "source": "t", "split": "train",
        }
    )  # fmt: skip
    with publishing(tmp_path / "samples", relevant_at=0.5) as (folder, _):
        write_samples(samples, folder)
    wrong = rng.random(n) < 0.1
    scores = samples[["sample_id", "group_id", "item_id"]].assign(
        importance=rng.random(n).round(2),
        noise=np.where(wrong, 0.9, 0.1),
        decision=np.where(wrong, "relabel", "keep"),
        reason=np.where(wrong, "relabel_candidate", "label_plausible"),
        suggested_label=np.where(wrong, 1 - samples["label"], np.nan),
    )
    with publishing(tmp_path / "scores") as (folder, _):
        scores.sort_values("sample_id").to_parquet(folder / "scores.parquet", index=False)
    return tmp_path, samples


def test_scores_of_other_rows_are_refused(scored):
    folder, _ = scored
    scores = pd.read_parquet(folder / "scores" / "scores.parquet")
    with publishing(folder / "scores") as (beside, _):
        scores.iloc[1:].to_parquet(beside / "scores.parquet")
    with pytest.raises(ValueError, match="score again"):
        run(scored, "0.3")


def test_repeats_of_the_challenger_are_the_same_rows_and_of_the_control_are_not(scored):
    found = run(scored, "0.3", ["challenger", "challenger:2", "control", "control:2"], seed=5)
    ids = {arm: set(rows["sample_id"]) for arm, rows in found.groupby("arm")}
    assert ids["challenger"] == ids["challenger:2"]
    assert ids["control"] != ids["control:2"]
    later = run(scored, "0.3", ["control"], seed=7)
    assert ids["control:2"] == set(later.query("arm == 'control'")["sample_id"])
    assert len(set(map(len, ids.values())) - {140}) == 1


def test_exploration_is_drawn_anew_for_each_repeat_and_keeps_the_quotas(big):
    found = run(big, "0.3", ["challenger", "challenger:1"], explore=0.2)
    ids = {arm: set(rows["sample_id"]) for arm, rows in found.groupby("arm")}
    assert 2160 < len(ids["challenger"] & ids["challenger:1"]) < 2500
    mine = found.query("arm == 'challenger'")
    assert (mine["reason"] == "exploration").sum() == 540
    plain = run(big, "0.3", ["challenger"]).query("arm == 'challenger'")
    assert mine["label"].value_counts().equals(plain["label"].value_counts())
    assert set(mine.loc[mine["reason"] == "important", "sample_id"]) < set(plain["sample_id"])


def test_arms_have_budgets_of_their_own_and_random_ones_are_nested(scored):
    found = run(scored, "0.3", ["challenger@0.1", "control@0.1", "control@50", "full"])
    assert found.groupby("arm").size().to_dict() == {
        "challenger@0.1": 20, "control@0.1": 20, "control@50": 50, "full": 200, "none": 140,
    }  # fmt: skip
    ids = {arm: set(rows["sample_id"]) for arm, rows in found.groupby("arm")}
    assert ids["control@0.1"] < ids["control@50"]


@pytest.mark.parametrize(
    ("arms", "wrong"),
    [
        (
            ["challenger", "nobody"],
            "arm nobody: no arm of that name; known: challenger, control, full, strat",
        ),
        (["full@0.5"], "arm full@0.5: full is all rows"),
        (["control@lots"], "--budget lots: not a number"),
        (["control", "control"], "name each once"),
        (["control@300"], "there are only 200 training rows"),
        (["control@auto"], "hand over what `embed` wrote"),
    ],
)
def test_arms_that_cannot_be(scored, arms, wrong):
    with pytest.raises(BadInput, match=wrong):
        run(scored, "0.3", arms)


def test_every_row_in_or_out_says_why(scored):
    found = run(scored, "0.9").set_index("sample_id")
    assert (found["why"].str.len() > 10).all()
    best = found.query("arm == 'challenger' and reason == 'important'").sort_values("importance").iloc[-1]
    assert best["why"] == (
        f"place 1 of {120 if best['label'] == 0 else 40} plausible rows of search/{best['label']:.1f} by "
        f"importance; they get {120 if best['label'] == 0 else 40} of the 180 rows"
    )
    cut = found.query("arm == 'none'").sort_values("importance").iloc[-1]
    assert cut["why"] == (
        f"label {cut['label']:.0f} looks wrong (probability 1, rather {1 - cut['label']:.0f}) and it is cut"
    )
    [refill] = (
        found.query("reason == 'budget_exceeds_plausible_rows'")["why"].str.split(", yet ").str[1].unique()
    )
    assert refill == "taken: the budget of 180 rows exceeds the 160 plausible ones"


def test_tokens_are_a_cap_that_no_further_row_fits_under(big):
    arms = ["challenger", "control", "stratified", "length"]
    found = run(big, "20000tokens", arms).query("arm != 'none'")
    # Every text has five bytes: two of two tokens each, and three around them.
    assert found.groupby("arm").size().to_dict() == dict.fromkeys(arms, 20000 // 7)
    manifest = read_manifest(big[0] / "out")
    assert manifest["budget"] == "20000tokens"
    assert manifest["facts"]["tokens"].startswith("an estimate")


def test_a_column_of_tokens_is_believed(big):
    folder, _ = big
    scores = pd.read_parquet(folder / "scores" / "scores.parquet")
    tokens = np.where(scores["importance"] > 0.5, 100, 10)
    with publishing(folder / "scores") as (beside, _):
        scores.assign(tokens=tokens).to_parquet(beside / "scores.parquet")
    found = run(big, "30000tokens", ["challenger", "control"])
    cost = found["sample_id"].map(dict(zip(scores["sample_id"], tokens, strict=True)))
    spent = cost.groupby(found["arm"]).sum()
    assert 29900 < spent["control"] <= 30000
    assert 29900 < spent["challenger"] <= 30000
    assert read_manifest(folder / "out")["facts"]["tokens"] == "column tokens of the scores"


def test_minutes_are_rows_at_a_measured_cost(big):
    found = run(big, "30gpu-min", ["challenger", "control"], seconds_per_row=2.0)
    assert found.groupby("arm").size().to_dict() == {"challenger": 900, "control": 900, "none": 8100}
    with pytest.raises(BadInput, match="set seconds_per_row"):
        run(big, "30gpu-min")


def test_whole_lists_are_taken_or_left_and_the_control_has_as_many_rows(big):
    found = run(big, "0.3001", ["challenger", "control"], noisy="keep", group="whole")
    rows = found.groupby("arm").size()
    assert rows["challenger"] == rows["control"] == 2700
    assert (found.query("arm == 'challenger'").groupby("group_id").size() == 5).all()
    lists = read_manifest(big[0] / "out")["facts"]["challenger"]["2701"]["lists"]
    assert lists == {"taken": 540, "of": 1800, "rows_short": 1}
    mean = found.query("arm != 'control'").groupby(["arm", "group_id"])["importance"].mean()
    assert mean["challenger"].min() >= mean["none"].max()


@pytest.fixture
def alike(scored):
    """Rows 2k and 2k + 1 have the same vectors, for k from 20 (rows before look mislabelled) to 39."""
    folder, truth = scored
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(200, 16))
    vectors[41:80:2] = vectors[40:80:2]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    with publishing(folder / "vectors") as (beside, _):
        np.save(beside / "texts.npy", vectors.astype(np.float32))
        np.save(beside / "pairs.npy", np.column_stack([np.arange(200)] * 2).astype(np.int32))
        truth.reset_index()[["sample_id"]].to_parquet(beside / "sample_ids.parquet", index=False)
    return folder, truth


def test_near_duplicates_are_left_to_the_most_important_of_their_label(alike):
    folder, truth = alike
    # Row 60 is relevant and row 61 is not: neither can stand for the other.
    found = run(alike, "0.3", ["challenger"], duplicates=0.95).set_index("sample_id")
    ids = truth.index.to_numpy()
    twins = [k for k in range(41, 80, 2) if (k - 1) % 4]
    assert set(found.index[found["reason"] == "near_duplicate"]) == set(ids[twins])
    assert found.loc[ids[43], "why"] == (
        f"near-duplicate (cosine 0.95 or more) of {ids[42]}, which stands for it"
    )
    assert (found["arm"] == "challenger").sum() == 60
    conflicts = pd.read_parquet(folder / "out" / "conflicts.parquet")
    assert set(conflicts["first"]) == {min(ids[k], ids[k + 1]) for k in range(40, 80, 4)}
    facts = read_manifest(folder / "out")["facts"]["duplicates"]
    assert facts["collapsed"] == 10
    assert facts["conflicts"] == {"groups": 10, "rows": 20, "of_them_look_mislabelled": 0}
    # Only a budget beyond the distinct rows reaches for their twins, before it does for wrong labels.
    more = run(alike, "155", ["challenger"], duplicates=0.95).set_index("sample_id")
    assert more["reason"].value_counts().to_dict() == {
        "important": 150, "budget_exceeds_distinct_rows": 5, "near_duplicate": 5, "likely_mislabelled": 40,
    }  # fmt: skip
    assert set(more.index[more["reason"] == "budget_exceeds_distinct_rows"]) == set(ids[twins[:5]])


@pytest.mark.parametrize("name", ["ccs", "facility", "k_centre", "dpp"])
def test_coverage_chooses_within_the_quotas(alike, name):
    found = run(alike, "0.3", ["challenger", "challenger:1"], seed=2, coverage=name)
    ids = {arm: list(rows["sample_id"]) for arm, rows in found.groupby("arm")}
    assert ids["challenger"] == ids["challenger:1"]
    mine, plain = (rows.query("arm == 'challenger'") for rows in (found, run(alike, "0.3", ["challenger"])))
    assert mine["label"].value_counts().equals(plain["label"].value_counts())
    assert set(mine["sample_id"]) != set(plain["sample_id"])
    assert set(mine["reason"]) == {"covers"}
    assert mine["why"].str.startswith(f"chosen by {name} for being unlike the others; place").all()
    assert "not_covering" in set(found.query("arm == 'none'")["reason"])


def test_rules_that_look_at_vectors_ask_for_them(scored):
    with pytest.raises(BadInput, match="duplicates are found by vectors: hand over"):
        run(scored, "0.3", duplicates=0.9)
    with pytest.raises(BadInput, match="coverage facility looks at vectors, and there are none"):
        run(scored, "0.3", coverage="facility")
    assert len(run(scored, "0.3", coverage="ccs").query("arm == 'challenger'")) == 60
    with pytest.raises(BadInput, match="coverage nothing: unknown; known: top, ccs"):
        Rules(coverage="nothing")


def test_relabelled_rows_train_on_the_suggested_label_and_soft_weights_average_to_one(big):
    found = run(big, "0.3", ["challenger", "control"], noisy="relabel", soft=True)
    given = big[1].set_index("sample_id")["label"]
    mine = found.query("arm == 'challenger'").set_index("sample_id")
    changed = mine[mine["reason"] == "relabelled"]
    assert 100 < len(changed) < 500
    assert (changed["decision"] == "relabel").all()
    assert changed["label"].tolist() == pytest.approx((1 - given[changed.index]).tolist())
    kept = mine[mine["reason"] == "important"]
    assert kept["label"].tolist() == pytest.approx(given[kept.index].tolist())
    assert mine["weight"].mean() == pytest.approx(1, abs=1e-6)
    assert kept["weight"].corr(kept["importance"]) == pytest.approx(1)
    # A row of low importance under its label is worth as much more under the other.
    assert changed["importance"].max() < 0.35
    assert (found.query("arm != 'challenger'")["weight"] == 1).all()


def test_downweighted_rows_count_by_the_probability_of_their_label(big):
    found = run(big, "0.3", ["challenger"], noisy="downweight").query("arm == 'challenger'")
    changed = found[found["decision"] == "downweight"]
    assert len(changed) > 100
    assert changed["weight"].tolist() == pytest.approx([0.1] * len(changed))
    assert set(changed["reason"]) == {"downweighted"}
    assert (found.loc[found["decision"] == "keep", "weight"] == 1).all()


def test_the_budget_auto_is_the_same_for_every_arm_and_its_curve_is_kept(tmp_path):
    planted = Planted(tmp_path, wrong=0.2, easy=True)
    train = read_samples(tmp_path / "samples", ["train"])
    good = train["sample_id"].isin(planted.good)
    scores = train[["sample_id", "group_id", "item_id"]].assign(
        importance=np.linspace(0.5, 1, len(train)) * good,
        noise=1 - 0.9 * good,
        decision=np.where(good, "keep", "drop"),
        reason=np.where(good, "label_plausible", "likely_mislabelled"),
        suggested_label=np.where(good, np.nan, 1 - train["label"]),
    )
    with publishing(tmp_path / "scores") as (beside, _):
        scores.to_parquet(beside / "scores.parquet", index=False)
    found = run((tmp_path, None), "auto", ["challenger", "control", "control@0.5"])
    manifest = read_manifest(tmp_path / "out")
    facts = manifest["facts"]["auto"]
    assert manifest["budget"] == "auto"
    assert manifest["selected"] == facts["chosen"] < 200
    assert manifest["rows"] == {
        "challenger": facts["chosen"], "control": facts["chosen"], "control@0.5": 600,
    }  # fmt: skip
    assert len(found.query("arm == 'challenger'")) == facts["chosen"]
    assert {"low", "high", "control", "chosen_in"} <= set(facts["curve"][0])
    least = facts["chosen"] + 50
    run((tmp_path, None), "auto", ["challenger"], least=least)
    facts = read_manifest(tmp_path / "out")["facts"]["auto"]
    assert facts["least"] == least <= min(point["rows"] for point in facts["curve"])


def test_the_page_of_reasons_lists_every_reason():
    page = (Path(__file__).parents[2] / "docs" / "selection.md").read_text()
    listed = re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`.*?) \|", page.split("## Reasons")[1], re.M)))
    of_scores, of_arms = {"likely_mislabelled", "relabel_candidate"}, {"random", "all_rows"}
    assert set(listed) == set(LINES) | of_scores | of_arms


def test_the_page_of_settings_lists_every_setting():
    page = (Path(__file__).parents[2] / "docs" / "selection.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \|", page.split("## Settings")[1].split("## Budgets")[0], re.M)
    assert rows == [field.name for field in dataclasses.fields(Rules)]
