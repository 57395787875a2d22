from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from assay.components.core.errors import BadInput
from assay.components.core.manifest import publishing
from assay.components.core.samples import hash_unit, sample_ids, write_samples
from assay.components.select.baselines import BASELINES, Given, pick, read_given
from assay.components.select.baselines.plain import highest
from assay.components.select.baselines.rds import in_turn
from assay.components.select.select import select

N, T = 240, 30
WORDS = ["tent", "lamp", "knife", "desk"]


def rows(start: int, count: int) -> pd.DataFrame:
    """Rows whose words are two of four; every third is relevant, every fifth label of those is wrong."""
    number = np.arange(start, start + count)
    text = [f"{WORDS[i % 4]} {WORDS[i // 4 % 4]} {'x' * (i * 7 % 23)} {i}" for i in number]
    context = [f"list {i // 8}" for i in number]
    return pd.DataFrame(
        {
            "sample_id": sample_ids("search", context, context, text, text, "grade"),
            "task": "search", "group_id": context, "context": context, "item_id": text, "item": text,
            "label": ((number % 3 == 0) != (number % 5 == 0)).astype(np.float32),
            "truth": number % 3 == 0, "grade": np.nan, "weight": 1.0, "segment": "all", "source": "t",
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def given() -> Given:
    samples, target = rows(0, N), rows(1000, T)
    both = pd.concat([samples, target]).set_index("sample_id")
    rng = np.random.default_rng(0)
    vectors = pd.DataFrame(rng.normal(size=(N + T, 6)).astype(np.float32), index=both.index)
    vectors = vectors.div(np.linalg.norm(vectors, axis=1), axis=0)
    features = pd.DataFrame(rng.normal(size=(N + T, 4)).astype(np.float32), index=both.index)
    # One of the features knows the truth.
    features[0] = 2.0 * both["truth"] + 0.1 * features[0]
    scores = samples[["sample_id"]].assign(loss=rng.exponential(size=N), el2n=rng.random(N))
    return Given(
        samples,
        target,
        0.5,
        scores,
        lambda ids: vectors.loc[list(ids)].to_numpy(),
        lambda ids: features.loc[list(ids)].to_numpy(),
    )


def shuffled(given: Given, seed: int) -> Given:
    frames = {name: getattr(given, name).sample(frac=1, random_state=seed) for name in ("samples", "target")}
    return replace(given, **frames, scores=given.scores.sample(frac=1, random_state=seed + 1))


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_keeps_its_contract(given, name):
    baseline = BASELINES[name]
    train, target = set(given.ids), set(given.target_ids)
    for count in (1, 71, N):
        found = pick(name, given, count, 3)
        assert len(set(found)) == len(found)
        if baseline.trusted:
            assert set(found) & target == target
            assert len(set(found) & train) == (0 if name == "target_only" else count)
        else:
            assert len(found) == count
            assert set(found) <= train
        assert pick(name, shuffled(given, 1), count, 3).tolist() == found.tolist()
    drawn = name in ("stratified", "dsir", "cleanlab", "random_target")
    assert (pick(name, given, 71, 3).tolist() != pick(name, given, 71, 4).tolist()) == drawn
    without = {"scores": {"scores": None}, "vectors": {"vectors": None},
               "target": {"target": given.target.iloc[:0]}}  # fmt: skip
    for need, nothing in without.items():
        if need in baseline.needs:
            with pytest.raises(BadInput, match=f"arm {name}: .*{need}"):
                pick(name, replace(given, **nothing), 71, 3)
        else:
            assert len(pick(name, replace(given, **nothing), 71, 3))
    for count in (0, N + 1):
        with pytest.raises(BadInput, match=f"arm {name}: {count} rows"):
            pick(name, given, count, 3)
    assert baseline.words[0].islower()


def test_what_is_not_asked_for_is_not_read(given):
    def never(ids):
        raise AssertionError("read")

    for name in set(BASELINES) - {"rds", "cleanlab"}:
        pick(name, replace(given, vectors=never, features=never), 20, 0)


def test_a_name_nobody_knows_is_refused(given):
    with pytest.raises(BadInput, match="arm best: .*stratified"):
        pick("best", given, 10, 0)


def test_a_score_that_was_not_computed_is_named(given):
    with pytest.raises(BadInput, match="arm el2n: no score el2n"):
        pick("el2n", replace(given, scores=given.scores.drop(columns="el2n")), 10, 0)
    with pytest.raises(BadInput, match="arm loss: 3 of 240"):
        pick("loss", replace(given, scores=given.scores.iloc[3:]), 10, 0)


def test_strata_keep_their_proportions(given):
    found = given.samples.set_index("sample_id").loc[pick("stratified", given, 100, 0)]
    assert found["label"].sum() == pytest.approx(100 * given.samples["label"].mean(), abs=0.6)
    drawn = pd.concat([pd.Series(pick("stratified", given, 60, s)) for s in range(60)])
    assert drawn.value_counts().reindex(given.ids, fill_value=0).between(3, 32).all()


def test_the_longest_texts_are_taken(given):
    characters = (given.samples["context"] + given.samples["item"]).str.len().set_axis(given.ids)
    found = pick("length", given, 50, 0)
    assert characters[found].min() >= characters.drop(found).max()


@pytest.mark.parametrize("name", ["loss", "el2n"])
def test_the_highest_scores_are_taken(given, name):
    values = given.scores.set_index("sample_id")[name]
    found = pick(name, given, 50, 0)
    assert values[found].min() > values.drop(found).max()


def test_ties_go_to_the_smaller_id():
    ids = np.array(["a", "b", "c", "d"], dtype=object)
    assert highest(ids, np.array([1.0, 2.0, 1.0, 1.0]), 3).tolist() == ["b", "a", "c"]


def test_dsir_draws_by_the_ratio_of_likelihoods(given):
    """Rows of two one-word kinds, the target nearly all of one: the draw's odds are the kinds' ratio."""
    kinds = np.where(np.arange(N) < N // 2, "tent", "lamp")
    samples = given.samples.assign(context="", item=kinds)
    target = given.target.assign(context="", item=np.where(np.arange(T) < 20, "tent", "lamp"))
    two = replace(given, samples=samples, target=target)
    tents = set(samples.loc[samples["item"] == "tent", "sample_id"])
    # The first of the draw is a tent with probability 2/3: weights are 4/3 and 2/3, half the rows each.
    first = [pick("dsir", two, 1, seed)[0] in tents for seed in range(400)]
    assert np.mean(first) == pytest.approx(2 / 3, abs=0.07)


def test_dsir_prefers_the_words_of_the_target(given):
    target = given.target.assign(item=[f"tent knife {i}" for i in range(T)])
    found = given.samples.set_index("sample_id").loc[pick("dsir", replace(given, target=target), 40, 0)]
    mine = given.samples["item"].str.contains("tent|knife")
    assert found["item"].str.contains("tent|knife").mean() > mine.mean() + 0.15


def in_turn_by_the_book(vectors: np.ndarray, target: np.ndarray, count: int) -> list[int]:
    alike, taken = target @ vectors.T, []
    while len(taken) < count:
        for one in alike[: count - len(taken)]:
            order = np.argsort(-one, kind="stable")
            taken.append(int(next(i for i in order if i not in taken)))
    return taken


@pytest.mark.parametrize("count", [1, 5, 90, 200])
def test_target_rows_pick_in_turn(count):
    rng = np.random.default_rng(2)
    # Small integers: many rows are equally alike, and no product is rounded.
    vectors = rng.integers(-1, 2, (200, 3)).astype(np.float32)
    target = rng.integers(-1, 2, (9, 3)).astype(np.float32)
    assert in_turn(vectors, target, count).tolist() == in_turn_by_the_book(vectors, target, count)


def test_cleanlab_leaves_out_the_wrong_labels_until_it_must_not(given):
    samples = given.samples.set_index("sample_id")
    wrong = samples["label"] != samples["truth"]
    assert wrong.mean() > 0.15
    assert wrong[pick("cleanlab", given, 150, 0)].mean() < 0.05
    assert wrong[pick("cleanlab", given, N, 0)].mean() == wrong.mean()


@pytest.mark.parametrize("labels", [lambda i: 0 * i, lambda i: i % 4 / 3, lambda i: i / N, lambda i: i == 7])
def test_cleanlab_takes_any_labels(given, labels):
    other = given.samples.assign(label=np.asarray(labels(np.arange(N)), dtype=np.float32))
    assert len(set(pick("cleanlab", replace(given, samples=other), 50, 0))) == 50


@pytest.fixture
def folders(tmp_path, given):
    table = pd.concat([given.samples.assign(split="train"), given.target.assign(split="target")])
    table = table.sort_values("sample_id").reset_index(drop=True)
    with publishing(tmp_path / "samples", relevant_at=0.5) as (folder, _):
        write_samples(table, folder)
    with publishing(tmp_path / "vectors") as (folder, _):
        table[["sample_id"]].to_parquet(folder / "sample_ids.parquet")
        texts = np.eye(4, dtype=np.float32)
        np.save(folder / "texts.npy", texts)
        np.save(folder / "pairs.npy", np.column_stack([np.arange(N + T) % 4, np.arange(N + T) % 3]))
        np.save(folder / "features.npy", np.arange(2.0 * (N + T), dtype=np.float32).reshape(-1, 2))
    scores = given.scores.sort_values("sample_id").reset_index(drop=True)
    with publishing(tmp_path / "scores") as (folder, _):
        scores.assign(
            group_id="g", item_id="i", importance=0.5, noise=0.5, decision="keep", reason="label_plausible"
        ).to_parquet(folder / "scores.parquet")
    return tmp_path, table


def test_what_the_steps_wrote_is_read(folders, given):
    folder, table = folders
    found = read_given(*(str(folder / name) for name in ("samples", "scores", "vectors")))
    assert found.ids.tolist() == sorted(given.ids)
    assert found.target_ids.tolist() == sorted(given.target_ids)
    place = table.index[table["sample_id"].isin(found.target_ids)]
    assert found.features(found.target_ids)[:, 0].tolist() == (2.0 * place).tolist()
    assert np.linalg.norm(found.vectors(found.ids), axis=1) == pytest.approx(np.ones(N), abs=1e-6)
    with pytest.raises(KeyError, match="no features of 1 of 1 rows"):
        found.features(["nobody"])
    for name in BASELINES:
        assert len(pick(name, found, 50, 0))
    bare = read_given(str(folder / "samples"))
    assert pick("stratified", bare, 50, 0).tolist() == pick("stratified", found, 50, 0).tolist()
    with pytest.raises(BadInput, match="arm rds: the rows have no vectors"):
        pick("rds", bare, 50, 0)


def test_random_target_is_the_control_and_the_target(folders):
    folder, _ = folders
    paths = [str(folder / name) for name in ("samples", "scores", "out")]
    select(*paths, ["control"], "0.25", 5)
    control = pd.read_parquet(folder / "out" / "selection.parquet").query("arm == 'control'")["sample_id"]
    given = read_given(*paths[:2])
    assert set(pick("random_target", given, 60, 5)) == set(control) | set(given.target_ids)
    order = hash_unit(given.ids.tolist(), "assay-control-5")
    assert set(control) == set(given.ids[np.argsort(order)[:60]])
