"""Flat logs of searches: queries are masked first of all, and near-duplicates stay together."""

import itertools

import numpy as np
import pandas as pd
import pytest
from assay.components.core.samples import SPLIT_SALT, SPLITS, hash_unit
from assay.components.ingest.columns import parse_columns
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.prepare import IngestConfig, ingest, prepare
from assay.components.ingest.privacy import mask_column
from assay.components.ingest.split import apart, assign_splits, groups_of

from tests.conftest import PAIRS_COLUMNS, pairs_frame

PERSONAL = ["mail ann@example.com", "mail bob@example.com", "call 5551234567", "card 4111 1111 1111 1111"]
OF_A_SHOP = ["SM-G991B/DS", "EAN 4006381333931", "size 32-34-36", "firmware 2.0.1.14"]


def by_hash_alone(rows):
    groups, group = groups_of(rows[["group_id"]].assign(split=None))
    return np.asarray(SPLITS)[assign_splits(groups)[group]]


def prepared(frame, tmp_path, columns=PAIRS_COLUMNS, **more):
    frame.to_csv(tmp_path / "pairs.csv", index=False)
    return prepare(IngestConfig(str(tmp_path / "pairs.csv"), columns=parse_columns(columns), **more))


def planted():
    """40 lists of 10 rows; the queries of the first 8 are personal data, or look like it."""
    frame = pairs_frame()
    queries = dict(zip(frame["q"].unique(), PERSONAL + OF_A_SHOP, strict=False))
    frame["title"] += " call 5559876543"
    return frame.assign(q=frame["q"].map(lambda query: queries.get(query, query)))


@pytest.mark.parametrize("label", ["label=grade", "click=grade"])
def test_queries_are_masked_before_samples_are_made_of_them(tmp_path, label):
    frame = planted().assign(grade=planted()["grade"].clip(upper=1))
    found = prepared(frame, tmp_path, PAIRS_COLUMNS.replace("label=grade", label))
    contexts = set(found.samples["context"])
    assert {"mail [email]", "call [phone]", "card [card]", *OF_A_SHOP} <= contexts
    assert contexts == set(found.samples["group_id"])
    assert not contexts & set(PERSONAL)
    ledger = found.facts["ledger"]
    assert ledger["repaired"] == {"masked_email": 20, "masked_phone": 10, "masked_card": 10}
    assert ledger["examples"]["masked_phone"] == [f"row {row}" for row in range(20, 30)]
    # Titles are the shop's own words.
    assert found.samples["item"].str.endswith("call 5559876543").all()


def test_no_file_of_the_ingest_holds_what_was_masked(tmp_path):
    planted().to_parquet(tmp_path / "pairs.parquet")
    folders = [tmp_path / "out" / name for name in ("samples", "texts", "truth")]
    config = IngestConfig(str(tmp_path / "pairs.parquet"), columns=parse_columns(PAIRS_COLUMNS))
    ingest(config, *map(str, folders))
    for file in (tmp_path / "out").rglob("*"):
        if file.suffix == ".parquet":
            values = repr(pd.read_parquet(file).to_dict())
        else:
            values = file.read_text() if file.is_file() else ""
        assert not [text for text in PERSONAL if text in values], file


def test_the_frame_given_and_what_is_no_text_stay_as_they_are():
    frame = pd.DataFrame({"q": ["call 5551234567", None, 12, "red shoe", 4111111111111111], "n": range(5)})
    before, ledger = frame.copy(), Ledger()
    out = mask_column(frame, "q", ledger)
    pd.testing.assert_frame_equal(frame, before)
    assert out["q"].tolist() == ["call [phone]", None, 12, "red shoe", "[card]"]
    assert ledger.examples == {"masked_phone": ["row 0"], "masked_card": ["row 4"]}
    numbers = pd.DataFrame({"q": [12, 4111111111111111]})
    assert mask_column(numbers, "q", ledger)["q"].tolist() == [12, "[card]"]
    assert mask_column(numbers.head(1), "q", ledger)["q"].tolist() == [12]


def test_near_duplicates_lie_in_one_split_and_lone_queries_where_they_lay(tmp_path):
    frame = pairs_frame(200)
    twins = frame.assign(q=frame["q"].map(lambda q: " ".join(q.upper().split()[::-1]) + "!"))
    alone, both = prepared(frame, tmp_path).samples, prepared(pd.concat([frame, twins]), tmp_path).samples
    assert both.groupby("group_id")["split"].nunique().max() == 1
    words = both["group_id"].map(lambda q: " ".join(sorted(q.lower().strip("!").split())))
    assert words.nunique() == 200
    assert both.groupby(words)["split"].nunique().max() == 1
    by_hash = by_hash_alone(alone)
    assert (alone["split"] == by_hash).all()
    # A later log with near-duplicates of them tests nothing that was not tested.
    before, after = (s.groupby("group_id")["split"].first() for s in (alone, both))
    was = before[after.index[after == "test"].intersection(before.index)]
    assert len(was) > 0
    assert set(was) == {"test"}


@pytest.mark.parametrize("order", list(itertools.permutations(["Red shoe!", "shoe red", "RED SHOE"])))
def test_a_unit_is_the_alike_text_of_the_largest_hash(order):
    largest = order[int(np.argmax(hash_unit(order, SPLIT_SALT)))]
    assert apart(pd.Series([*order, "lamp", order[0]])).tolist() == [
        *[largest] * 3,
        "lamp",
        largest,
    ]


def test_splits_that_a_file_names_are_taken_and_near_duplicates_across_them_noted(tmp_path):
    frame = pairs_frame()
    frame["fold"] = np.where(frame["q"].str.split().str[-1].astype(int) < 10, "test", "train")
    twin = frame[frame["q"] == frame["q"].iloc[0]]
    frame = pd.concat([frame, twin.assign(q=twin["q"].str.upper(), fold="train")])
    found = prepared(frame, tmp_path, split_column="fold")
    assert found.facts["ledger"]["noted"] == {"near_duplicate_across_splits": 20}
    names = [twin["q"].iloc[0], twin["q"].iloc[0].upper()]
    assert found.facts["ledger"]["examples"]["near_duplicate_across_splits"] == names
    assert found.samples.loc[found.samples["group_id"] == names[0], "split"].unique() == ["test"]


def test_groups_that_are_no_queries_are_no_words(tmp_path):
    frame = pairs_frame()
    frame["visit"] = frame["q"].map(lambda q: f"{int(q.split()[-1]) // 2}-{'ab' if len(q) % 2 else 'AB'}")
    found = prepared(frame, tmp_path, PAIRS_COLUMNS + ",group=visit").samples
    by_hash = by_hash_alone(found)
    assert (found["split"] == by_hash).all()
    assert found["group_id"].nunique() > found["group_id"].str.lower().nunique()
