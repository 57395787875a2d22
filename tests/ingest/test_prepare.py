import json

import numpy as np
import pandas as pd
import pytest
from assay.components.core.errors import BadInput
from assay.components.core.samples import read_samples
from assay.components.ingest.columns import parse_columns
from assay.components.ingest.prepare import IngestConfig, ingest, prepare

from tests.conftest import PAIRS_COLUMNS, pairs_frame

COLUMNS = parse_columns(PAIRS_COLUMNS)


def write(frame: pd.DataFrame, folder, name: str = "pairs.csv"):
    file = folder / name
    if name.endswith(".csv"):
        frame.to_csv(file, index=False)
    elif name.endswith(".parquet"):
        frame.to_parquet(file, index=False)
    else:
        frame.to_json(file, orient="records", lines=True)
    return str(file)


def prepared(frame, tmp_path, **changes):
    return prepare(IngestConfig(**({"data": write(frame, tmp_path), "columns": COLUMNS} | changes)))


@pytest.mark.parametrize("name", ["pairs.csv", "pairs.jsonl", "pairs.parquet"])
def test_the_same_rows_are_the_same_samples_in_every_format(tmp_path, name):
    expected = prepared(pairs_frame(), tmp_path)
    found = prepare(IngestConfig(write(pairs_frame(), tmp_path, name), columns=COLUMNS))
    columns = ["sample_id", "group_id", "item_id", "label", "grade", "segment", "split"]
    pd.testing.assert_frame_equal(found.samples[columns], expected.samples[columns])


def test_labels_grades_and_splits(tmp_path):
    found = prepared(pairs_frame(200), tmp_path)
    samples = found.samples
    assert set(samples["label"]) == {0, 0.5, 1}
    assert found.facts["relevant_at"] == 1
    assert samples.groupby("group_id")["split"].nunique().max() == 1
    shares = samples.groupby("split")["group_id"].nunique() / samples["group_id"].nunique()
    for split, share in {"test": 0.20, "validation": 0.10, "target": 0.05, "train": 0.65}.items():
        assert shares[split] == pytest.approx(share, abs=0.08)  # 3 sd of 200 groups


def test_a_group_keeps_its_split_whatever_else_is_in_the_log_and_whatever_the_seed(tmp_path):
    frame = pairs_frame(200)
    whole = prepared(frame, tmp_path, seed=1).samples.set_index("sample_id")["split"]
    half = prepared(frame.iloc[:1000], tmp_path, seed=2).samples.set_index("sample_id")["split"]
    assert (whole[half.index] == half).all()


def test_row_order_changes_nothing(tmp_path):
    frame = pairs_frame()
    one = prepared(frame, tmp_path, noise=0.3, sample=150)
    two = prepared(frame.sample(frac=1, random_state=3), tmp_path, noise=0.3, sample=150)
    pd.testing.assert_frame_equal(one.samples, two.samples)
    pd.testing.assert_frame_equal(one.truth, two.truth)


def test_rows_reconcile_with_reasons(tmp_path):
    frame = pairs_frame()
    frame.loc[:4, "title"] = None
    frame = pd.concat([frame, frame.iloc[10:13]])  # three rows twice
    twin = frame.iloc[20].to_dict()
    frame = pd.concat([frame, pd.DataFrame([twin | {"grade": 2 - twin["grade"]}])], ignore_index=True)
    found = prepared(frame, tmp_path, test_sample=40, sample=200)
    ledger = found.facts["ledger"]
    assert ledger["dropped"]["no_item_text"] == 5
    assert ledger["rows_in"] == len(frame)
    assert ledger["rows_out"] == len(found.samples) == len(frame) - sum(ledger["dropped"].values())
    whole = prepared(frame, tmp_path).facts["ledger"]
    assert whole["dropped"] == {"no_item_text": 5, "merged_duplicate": 4}


def test_conflicting_grades_are_averaged_and_noted(tmp_path):
    frame = pairs_frame()
    frame.loc[len(frame)] = frame.iloc[20].to_dict() | {"grade": 0}
    frame.loc[len(frame)] = frame.iloc[20].to_dict() | {"grade": 2}
    found = prepared(frame, tmp_path)
    assert found.facts["ledger"]["noted"]["conflicting_grades"] == 1
    row = found.samples[found.samples["item_id"] == str(frame.iloc[20]["pid"])]
    assert row["grade"].tolist() == [pytest.approx((frame.iloc[20]["grade"] + 2) / 3)]


@pytest.mark.parametrize("rate", [0.3, 0.05])
def test_noise_flips_exactly_as_many_training_rows_and_keeps_the_truth(tmp_path, rate):
    clean = prepared(pairs_frame(), tmp_path)
    noisy = prepared(pairs_frame(), tmp_path, noise=rate, seed=5)
    before, after = clean.samples, noisy.samples
    changed = ~np.isclose(before["label"], after["label"])
    train = (before["split"] == "train").to_numpy()
    truth = noisy.truth.set_index("sample_id").loc[after["sample_id"][train]]
    assert truth["flipped"].sum() == int(rate * train.sum() + 0.5)
    assert not changed[~train].any()
    flipped = train.copy()
    flipped[train] = truth["flipped"]
    relevant = (before["grade"] >= 1).to_numpy()
    assert np.array_equal(after["label"][flipped], np.where(relevant[flipped], 0.0, 1.0))
    assert np.array_equal(after["grade"][flipped], 2 * after["label"][flipped])
    assert np.array_equal(truth["label"], before["label"][train])
    other = prepared(pairs_frame(), tmp_path, noise=rate, seed=6).truth
    assert not other["flipped"].equals(noisy.truth["flipped"])


def test_bounds_are_never_exceeded_and_groups_stay_whole(tmp_path):
    whole = prepared(pairs_frame(), tmp_path).samples
    found = prepared(pairs_frame(), tmp_path, sample=123, test_sample=37).samples
    test = found["split"] == "test"
    assert 110 < (~test).sum() <= 123
    assert 27 < test.sum() <= 37
    sizes = whole.groupby("group_id").size()
    assert (found.groupby("group_id").size() == sizes[found["group_id"].unique()].sort_index()).all()


def test_ids_are_text_whatever_they_were(tmp_path):
    frame = pairs_frame()
    as_int = prepared(frame, tmp_path).samples
    frame["pid"] = frame["pid"].astype(float)
    as_float = prepare(IngestConfig(write(frame, tmp_path, "f.parquet"), columns=COLUMNS)).samples
    assert as_int["sample_id"].equals(as_float["sample_id"])
    assert as_float["item_id"].iloc[0].isdigit()


def test_given_splits_are_taken_and_the_missing_ones_cut_from_train(tmp_path):
    frame = pairs_frame()
    number = frame["q"].str.split().str[-1].astype(int)
    frame["fold"] = np.where(number < 10, "Test", np.where(number < 15, "dev", "train"))
    found = prepared(frame, tmp_path, split_column="fold").samples
    splits = found.groupby("group_id")["split"].first()
    assert (splits == "test").sum() == 10
    assert (splits == "validation").sum() == 5
    assert (splits == "target").sum() >= 1


def test_joined_items_and_other_alphabets(tmp_path):
    frame = pairs_frame()
    frame["brand"] = ["ブランド", None] * (len(frame) // 2)
    frame["q"] = "靴 " + frame["q"]
    columns = COLUMNS | {"item": ["brand", "title"]}
    found = prepared(frame, tmp_path, columns=columns).samples
    assert found["context"].str.startswith("靴").all()
    assert found["item"].str.startswith("ブランド ").sum() == len(found) / 2
    assert not found["item"].str.contains("  |None|nan").any()


def test_a_text_of_a_megabyte_is_cut_counted_and_listed(tmp_path):
    frame = pairs_frame()
    frame.loc[7, "title"] = "shoe " * 200_000
    ledger = prepared(frame, tmp_path).facts["ledger"]
    assert ledger["repaired"] == {"text_cut": 1}
    assert ledger["examples"]["text_cut"] == [f"item '{frame.loc[7, 'pid']}'"]


def test_lists_of_one_row_are_judged_by_auc(tmp_path):
    frame = pairs_frame(300, 1)
    assert prepared(frame, tmp_path).facts["metric"] == "auc"


def test_three_outputs_are_published(tmp_path):
    config = IngestConfig(write(pairs_frame(), tmp_path), columns=COLUMNS, noise=0.2)
    ingest(config, *(str(tmp_path / name) for name in ("samples", "texts", "truth")))
    samples = read_samples(tmp_path / "samples")
    texts = pd.read_parquet(tmp_path / "texts" / "texts.parquet")
    assert set(texts["text"]) == set(samples["context"]) | set(samples["item"])
    assert texts["text_id"].is_unique
    manifest = json.loads((tmp_path / "samples" / "manifest.json").read_text())
    assert manifest["ledger"]["rows_out"] == len(samples)
    assert manifest["noise"] == 0.2


BAD = {
    "all labels equal": (lambda f: f.assign(grade=1), {}, "all labels equal|every"),
    "all grades zero": (lambda f: f.assign(grade=0), {}, "nothing to rank by"),
    "one group": (lambda f: f.assign(q="same"), {}, "one group only"),
    "few groups": (lambda f: f[f["q"].isin(f["q"].unique()[:3])], {}, "too few groups|every"),
    "nan labels": (lambda f: f.assign(grade=f["grade"].where(f.index > 5)), {}, "6 of 400 grades"),
    "negative labels": (lambda f: f.assign(grade=f["grade"].where(f.index > 5, -1)), {}, "6 of 400 grades"),
    "label in words": (lambda f: f.assign(grade="good"), {}, "not numbers.*'good'"),
    "grade above the top": (lambda f: f, {"max_grade": 1.0}, "above --max-grade 1"),
    "unknown split": (lambda f: f.assign(fold="hold"), {"split_column": "fold"}, "unknown values 'hold'"),
    "torn group": (
        lambda f: f.assign(fold=np.where(f.index % 2, "train", "test")),
        {"split_column": "fold"},
        "more than one split",
    ),
    "missing column": (lambda f: f.drop(columns="title"), {}, "'title'.*it has: q, grade, pid, part"),
    "tiny bound": (lambda f: f, {"sample": 3}, "--sample 3"),
    "impossible relevance": (lambda f: f, {"relevant_at": 5.0}, "--relevant-at 5"),
    "noise of one": (lambda f: f, {"noise": 1.0}, "--noise 1"),
    "unknown task": (lambda f: f, {"task": "cooking"}, "--task cooking"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_says_what_is_wrong(tmp_path, case):
    spoil, changes, words = BAD[case]
    with pytest.raises(BadInput, match=words):
        prepared(spoil(pairs_frame()), tmp_path, **changes)


def test_unlabelled_rows_are_dropped_where_asked(tmp_path):
    frame = pairs_frame().astype({"grade": float})
    frame.loc[[3, 4], "grade"] = [np.nan, -2]
    ledger = prepared(frame, tmp_path, drop_unlabelled=True).facts["ledger"]
    assert ledger["dropped"] == {"unlabelled": 2}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("absent.csv", None, "no such file"),
        ("empty.csv", b"", "empty"),
        ("header.csv", b"q,title,grade\n", "no rows"),
        ("latin.csv", "q,title,grade\ncaf\xe9,x,1\n".encode("latin-1"), "line 2: not UTF-8 .*0xe9"),
        ("x.xlsx", b"PK", "unknown format .xlsx"),
        ("broken.jsonl", b'{"q": 1}\n{"q": \n', "line 2: not JSON"),
        ("list.jsonl", b"[1]\n", "line 1: expected an object"),
        ("broken.parquet", b"nonsense", "not a readable parquet"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, name, content, words):
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(BadInput, match=f"{name}.*{words}"):
        prepare(IngestConfig(str(file)))


@pytest.mark.parametrize("text", ["query", "flavour=x", "label=a+b", "item="])
def test_a_column_map_that_means_nothing_is_refused(text):
    with pytest.raises(BadInput, match="--columns"):
        parse_columns(text)


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["search_msrd_movies", "search_esci_sample"])
def test_real_pairs_become_samples(data_folder, name):
    file = data_folder / name / "pairs.parquet"
    columns = {"item": ["product_title", "product_description"]}
    found = prepare(IngestConfig(str(file), columns=columns, sample=2000, test_sample=1000))
    assert found.facts["metric"] == {"search_msrd_movies": "ndcg@10", "search_esci_sample": "auc"}[name]
    assert found.samples["sample_id"].is_unique
