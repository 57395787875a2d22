"""Metrics of tasks whose figure is a loss, or of ratings; and rankings over a whole catalogue."""

import numpy as np
import pandas as pd
import pytest
from assay.components.core.full_ranking import Catalogue, read_ranking, write_ranking
from assay.components.core.metrics import METRICS, Lists, detectable, gained, list_draws, paired_bootstrap
from assay.components.core.vectors import PAIRS, SAMPLE_IDS, TEXTS
from assay.components.evaluate.baselines import bm25, bm25_of_all, calibrated, item_knn
from assay.components.evaluate.comparisons import best_arm, says
from assay.components.evaluate.evaluate import rare
from assay.components.evaluate.full_ranking import FullRanking
from assay.components.evaluate.gates import GateConfig, gate, slices, verdict
from assay.components.evaluate.pictures import intervals, results_bars
from assay.components.evaluate.tfidf_lr import TfidfLR
from sklearn.metrics import cohen_kappa_score, f1_score, log_loss

RNG = np.random.default_rng(0)
N = 600
RATINGS = RNG.choice([1.0, 2.0, 4.0, 5.0], N)
IDS = np.array([f"{k:04d}" for k in range(N)])
GROUPS = np.array([f"g{k // 3:03d}" for k in range(N)])
SCORES = RATINGS / 2 - 1.5 + RNG.normal(size=N)


def probability(scores):
    return 1 / (1 + np.exp(-scores))


def test_losses_are_those_of_scikit_learn():
    lists = Lists(GROUPS, (RATINGS >= 4).astype(float), IDS, 0.5)
    found = lists.results(SCORES, "log_loss", ("auc", "ece", "macro_f1"))
    assert list(found) == ["log_loss", "auc", "ece", "macro_f1"]
    assert found["log_loss"] == pytest.approx(log_loss(RATINGS >= 4, probability(SCORES)))
    assert found["macro_f1"] == pytest.approx(f1_score(RATINGS >= 4, SCORES >= 0, average="macro"))
    edges = np.minimum((probability(SCORES) * 10).astype(int), 9)
    gaps = [
        (edges == b).mean() * abs(probability(SCORES)[edges == b].mean() - (RATINGS >= 4)[edges == b].mean())
        for b in set(edges)
    ]
    assert found["ece"] == pytest.approx(sum(gaps))


def test_ratings_are_foretold_as_the_nearest_there_is():
    lists = Lists(GROUPS, RATINGS, IDS, 2.5, scale=5.0)
    classes = np.array([1.0, 2.0, 4.0, 5.0])
    said = classes[np.abs(5 * probability(SCORES)[:, None] - classes).argmin(axis=1)]
    numbers = np.searchsorted(classes, RATINGS), np.searchsorted(classes, said)
    found = lists.results(SCORES, "quadratic_kappa", ("macro_f1",))
    assert found["quadratic_kappa"] == pytest.approx(cohen_kappa_score(*numbers, weights="quadratic"))
    assert found["macro_f1"] == pytest.approx(f1_score(*numbers, average="macro"))
    right = np.log(np.clip(RATINGS / 5, 0.01, 0.99) / (1 - np.clip(RATINGS / 5, 0.01, 0.99)))
    assert lists.value(right, "quadratic_kappa") == pytest.approx(1)
    assert lists.value(np.zeros(N), "quadratic_kappa") == pytest.approx(0)


@pytest.mark.parametrize("metric", ["log_loss", "ece", "quadratic_kappa", "macro_f1"])
def test_resampled_lists_give_what_the_rows_themselves_would(metric):
    scale = 5.0 if metric == "quadratic_kappa" else 0.0
    lists = Lists(GROUPS, RATINGS, IDS, 2.5, scale=scale)
    value, draws = list_draws(lists, SCORES[None], metric, seed=3, resamples=200)
    assert value[0] == pytest.approx(lists.value(SCORES, metric))
    names = np.unique(GROUPS)
    drawn = np.random.default_rng(3).integers(0, len(names), (20, len(names)))[0]
    rows = np.concatenate([np.flatnonzero(names[k] == GROUPS) for k in drawn])
    again = Lists(GROUPS[rows], RATINGS[rows], IDS[rows], 2.5, scale=scale)
    assert draws[0, 0] == pytest.approx(again.value(SCORES[rows], metric))


def test_recall_and_reciprocal_rank_stop_at_ten():
    groups, grades = np.repeat(["a", "b"], 20), np.zeros(40)
    grades[[0, 5, 12, 20]] = 1
    scores = np.tile(-np.arange(20.0), 2)
    scores[20] = -10.5  # rank 11 of list b
    lists = Lists(groups, grades, np.array([f"{k:02d}" for k in range(40)]), 1.0)
    assert lists.recall(scores).tolist() == pytest.approx([2 / 3, 0])
    assert lists.by_list(scores, "mrr@10").tolist() == [1, 0]
    assert lists.by_list(scores, "mrr").tolist() == pytest.approx([1, 1 / 11])


def test_a_smaller_loss_passes_the_gate_and_is_a_gain():
    truth = (RATINGS >= 4).astype(float)
    lists = Lists(GROUPS, truth, IDS, 0.5)
    good, bad = SCORES, np.full(N, 0.3) + 0.01 * RNG.normal(size=N)
    better = paired_bootstrap(lists, good, bad, "log_loss")
    worse = paired_bootstrap(lists, bad, good, "log_loss")
    assert better["high"] < 0 < worse["low"]
    assert (verdict(better, "log_loss"), verdict(worse, "log_loss")) == ("gain", "loss")
    assert (verdict(better, "auc"), verdict(worse, "auc")) == ("loss", "gain")
    config = GateConfig(slice_floor=0.02)
    passed = gate(config, "base", better, [], good, lists.relevant, 1, 1, "log_loss")
    failed = gate(config, "base", worse, [], good, lists.relevant, 1, 1, "log_loss")
    assert passed["passed"]
    assert not failed["passed"]
    assert "must lie below 0" in failed["reasons"][0]
    segments = np.where(np.arange(N) < 300, "one", "two")
    by_slice = slices(lists, segments, bad, good, "log_loss")
    lost = gate(config, "base", better, by_slice, good, lists.relevant, 1, 1, "log_loss")
    assert not lost["passed"]
    assert "one, two lost" in lost["reasons"][2]
    assert gained(better, "log_loss")[0] == -better["difference"]


def test_words_and_pictures_know_that_less_is_better():
    results = {"control": {"log_loss": 0.2}, "challenger": {"log_loss": 0.1}, "full": {"log_loss": 0.1}}
    assert best_arm(results, list(results), "log_loss") == "challenger"
    assert best_arm({**results, "full": {"log_loss": 0.05}}, list(results), "log_loss") == "full"
    c = {"difference": -0.1, "low": -0.2, "high": -0.05, "p": 0.01}
    lines = says({"length": c | {"wins": gained(c, "log_loss")[2] < 0, "words": "long"}}, "log_loss")
    assert lines == ["The challenger beats length with certainty."]
    gold, rose = "#b8860b", "#b0413e"
    assert gold in intervals({"challenger-control": c}, "", "log_loss")
    assert rose in intervals({"challenger-control": c}, "", "auc")
    assert "<svg" in results_bars(results, "log_loss")


def test_what_few_clicks_can_tell_is_said():
    rng = np.random.default_rng(5)
    clicks = (rng.random(4000) < 0.01).astype(float)
    lists = Lists(np.arange(4000).astype(str), clicks, np.arange(4000).astype(str), 0.5)
    scores = np.full(4000, -4.6) + 0.5 * rng.normal(size=4000)
    c = paired_bootstrap(lists, scores, scores + 0.3 * rng.normal(size=4000), "log_loss")
    found = rare(lists, {"challenger-control": c}, "log_loss")
    assert (found["rows"], found["relevant"], found["against"]) == (4000, clicks.sum(), "control")
    # A normal interval of width 2 x 1.96 s.e. and a power of 0.8: 2.8 s.e.
    assert (
        found["detectable"] == detectable(c) == pytest.approx((c["high"] - c["low"]) / 3.92 * 2.8, rel=1e-2)
    )
    assert rare(lists, {}, "ndcg@10") is None


def test_every_metric_of_a_task_is_known():
    from assay.components.core.metrics import ALSO

    assert {name for also in ALSO.values() for name in also} <= set(METRICS)


def test_item_knn_by_hand():
    interactions = pd.DataFrame(
        [("u1", "a"), ("u1", "b"), ("u2", "a"), ("u2", "b"), ("u3", "a"), ("u3", "c")],
        columns=["user_id", "item_id"],
    )
    seen = pd.DataFrame({"group_id": ["g", "h", "h"], "item_id": ["a", "b", "c"]})
    found = item_knn(interactions, seen, ["g", "h", "new"], ["a", "b", "c", "d"])
    ab, ac = 2 / np.sqrt(3 * 2), 1 / np.sqrt(3)
    assert found == pytest.approx(np.array([[0, ab, ac, 0], [ab + ac, 0, 0, 0], [0, 0, 0, 0]]), abs=1e-6)


def test_bm25_of_all_is_bm25_of_each():
    contexts, items = ["red shoe", "blue", ""], ["red shoe", "blue shoe", "lamp"]
    every = bm25_of_all(contexts, items)
    rows = [(c, i) for c in contexts for i in items]
    assert every.ravel() == pytest.approx(bm25([c for c, _ in rows], [i for _, i in rows]), abs=1e-6)


def test_tfidf_learns_what_contexts_and_items_share_and_scores_all_alike():
    rng = np.random.default_rng(2)
    words = np.array(["shoe", "lamp", "tent", "desk", "手机", "苹果"])
    left, right = rng.integers(0, 6, 900), rng.integers(0, 6, 900)
    contexts = [f"{words[k]} please" for k in left]
    items = [f"{words[k]} no{n % 7}" for n, k in enumerate(right)]
    labels = (left == right).astype(float)
    rows = contexts, items, labels, np.ones(900)
    model = TfidfLR(contexts, items).fit(rows, rows)
    found = model.pairs(contexts, items)
    assert found[labels == 1].min() > found[labels == 0].max()
    every = model.of_all(contexts[:5], items[:7])
    one_by_one = model.pairs([c for c in contexts[:5] for _ in range(7)], items[:7] * 5)
    assert every.ravel() == pytest.approx(one_by_one, abs=1e-4)


def test_weights_and_labels_between_count_for_the_tfidf_regression():
    contexts, items = [""] * 400, ["word"] * 400
    labels, weights = np.r_[np.ones(100), np.zeros(300)], np.r_[np.ones(100), np.full(300, 3.0)]
    rows = contexts, items, labels, weights
    # 100 of 1000 in weight: the prior of what was thinned out.
    assert probability(TfidfLR(*rows[:2]).fit(rows, rows).pairs(["x"], ["word"]))[0] == pytest.approx(
        0.1, abs=0.01
    )
    soft = contexts, items, np.full(400, 0.3), np.ones(400)
    assert probability(TfidfLR(*rows[:2]).fit(soft, soft).pairs(["x"], ["word"]))[0] == pytest.approx(
        0.3, abs=0.01
    )


def test_calibration_keeps_the_order_and_finds_the_rate():
    rng = np.random.default_rng(4)
    scores = 5 + 3 * rng.normal(size=20_000)
    relevant = (rng.random(20_000) < probability(-3 + 0.5 * (scores - 5))).astype(float)
    found = calibrated(scores, relevant, scores)
    assert np.array_equal(np.argsort(found), np.argsort(scores))
    assert probability(found).mean() == pytest.approx(relevant.mean(), abs=1e-3)
    assert found == pytest.approx(-3 + 0.5 * (scores - 5), abs=0.2)
    falling = calibrated(-scores, relevant, -scores)
    assert np.array_equal(np.argsort(falling), np.argsort(-scores))
    assert probability(falling) == pytest.approx(relevant.mean(), abs=1e-3)


@pytest.fixture
def ranking(tmp_path):
    """40 lists over 500 items, three known to each user."""
    rng = np.random.default_rng(7)
    items = [f"i{k:03d}" for k in range(500)]
    texts = sorted([*(f"item {k}" for k in items), *(f"list {k}" for k in range(40))])
    catalogue = pd.DataFrame(
        {"item_id": items, "item": [f"item {k}" for k in items], "popularity": rng.integers(0, 5, 500) * 1.0}
    )
    groups = [f"g{k:02d}" for k in range(40)]
    picks = np.stack([rng.choice(500, 4, replace=False) for _ in groups])
    seen = pd.DataFrame({"group_id": np.repeat(groups, 3), "item_id": np.array(items)[picks[:, 1:]].ravel()})
    interactions = pd.DataFrame(
        {"user_id": rng.integers(0, 90, 2000).astype(str), "item_id": rng.choice(items, 2000)}
    ).drop_duplicates()
    write_ranking(tmp_path, catalogue, interactions, seen, texts)
    test = pd.DataFrame(
        {
            "sample_id": [f"s{k}" for k in range(40)], "group_id": groups, "segment": "warm",
            "context": [f"list {k}" for k in range(40)], "item_id": np.array(items)[picks[:, 0]],
        }
    )  # fmt: skip
    np.save(tmp_path / TEXTS, rng.normal(size=(540, 8)).astype(np.float32))
    place = {text: k for k, text in enumerate(texts)}
    np.save(tmp_path / PAIRS, np.array([[place[c], 0] for c in test["context"]], dtype=np.int32))
    test[["sample_id"]].to_parquet(tmp_path / SAMPLE_IDS, index=False)
    found = read_ranking(tmp_path)
    assert isinstance(found, Catalogue)
    return FullRanking(found, test), tmp_path, test, seen, items


def test_the_table_gives_the_ranks_of_the_whole_catalogue(ranking):
    full, folder, test, seen, items = ranking
    scores = full.baselines(str(folder))
    assert set(scores) == {"random", "lexical", "base", "popularity", "item_knn"}
    rng = np.random.default_rng(1)
    right = test.set_index("group_id")["item_id"]
    # A ranker that has what is right among its first 30.
    good = rng.normal(size=(40, 500)).astype(np.float32)
    for row, item in enumerate(right):
        good[row, full.items.index[full.items["item_id"] == item]] += 2.5
    scores["challenger"] = good
    scores["reranked"] = np.where(rng.random((40, 500)) < 0.1, good, -np.inf)
    table = full.table(scores)
    lists = Lists(*(table[c].to_numpy() for c in ("group_id", "grade", "sample_id")), 0.5)
    assert len(lists.ranked()) == 40
    assert table.groupby("group_id")["grade"].sum().eq(1).all()
    known = set(zip(seen["group_id"], seen["item_id"], strict=True))
    assert not known & set(zip(table["group_id"], table["item_id"], strict=True))
    for name, found in scores.items():
        ranks = []
        for row, (group, item) in enumerate(right.items()):
            mine = {i for g, i in known if g == group}
            order = np.argsort(-found[row], kind="stable")
            order = [full.items["item_id"][k] for k in order if full.items["item_id"][k] not in mine]
            ranks.append(order.index(item) + 1)
        ranks = np.array(ranks)
        seen_by_ranker = np.array(
            [
                np.isfinite(found[r, full.items.index[full.items["item_id"] == i][0]])
                for r, i in enumerate(right)
            ]
        )
        gain = np.where((ranks <= 10) & seen_by_ranker, 1 / np.log2(ranks + 1), 0.0)
        assert lists.ndcg(table[name].to_numpy()) == pytest.approx(gain), name
        assert lists.value(table[name].to_numpy(), "recall@10") == pytest.approx((gain > 0).mean()), name
    assert lists.value(table["challenger"].to_numpy(), "recall@10") > 0.2


def test_rankers_score_the_catalogue_as_they_score_rows(ranking, tiny_encoder, tmp_path):
    from assay.components.core.ranker import new_ranker, open_ranker

    full, *_ = ranking
    for kind in ("bi", "cross"):
        new_ranker(kind, tiny_encoder, 0).save(tmp_path / kind)
        found = full.scored(tmp_path / kind)
        ranker = open_ranker(tmp_path / kind)
        rows, places = np.nonzero(np.isfinite(found))
        picked = np.random.default_rng(0).choice(len(rows), 60, replace=False)
        texts = [full.contexts[r] for r in rows[picked]], [full.texts[p] for p in places[picked]]
        expected = ranker.score(ranker.tokenise(*texts))
        assert found[rows[picked], places[picked]] == pytest.approx(expected, abs=1e-4)
        count = {"bi": 500, "cross": 50}[kind]
        assert np.isfinite(found).sum(axis=1).tolist() == [count] * 40
    best = np.argsort(
        -np.where(np.isin(np.arange(500), full._known[1][full._known[0] == 0]), -1, full.knn[0]),
        kind="stable",
    )
    assert np.isfinite(found[0, best[:50]]).all()
