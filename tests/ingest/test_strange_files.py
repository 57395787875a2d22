"""Files as shops have them: what would otherwise be read wrongly without a word."""

import numpy as np
import pandas as pd
import pytest
from assay.components.core.errors import BadInput
from assay.components.core.samples import read_samples, relevance
from assay.components.ingest.columns import as_text, parse_columns
from assay.components.ingest.prepare import IngestConfig, ingest, prepare
from assay.components.ingest.readers.search_events import times

from tests.conftest import PAIRS_COLUMNS, pairs_frame

COLUMNS = parse_columns(PAIRS_COLUMNS)


def config_of(frame: pd.DataFrame, tmp_path, name="pairs.parquet", **changes) -> IngestConfig:
    file = tmp_path / name
    frame.to_parquet(file, index=False) if name.endswith("parquet") else frame.to_csv(file, index=False)
    return IngestConfig(**({"data": str(file), "columns": COLUMNS} | changes))


def clicks() -> pd.DataFrame:
    frame = pairs_frame().rename(columns={"q": "query"}).drop(columns="part")
    return frame.assign(click=(frame.pop("grade") > 0).astype(int))


@pytest.mark.parametrize("relevant_at", [0.0, 0.7])
def test_a_row_is_as_relevant_when_read_back_as_it_was_when_checked(tmp_path, relevant_at):
    frame = pairs_frame()
    frame["grade"] = frame["grade"] * 0.7
    config = config_of(frame, tmp_path, relevant_at=relevant_at)
    found = prepare(config)
    ingest(config, *(str(tmp_path / part) for part in ("samples", "texts", "truth")))
    read = relevance(read_samples(tmp_path / "samples")) >= found.facts["relevant_at"]
    assert read.sum() == (frame["grade"] >= 0.7).sum() > 0


def test_a_csv_with_more_cells_than_names_shifts_no_column(tmp_path):
    file = tmp_path / "pairs.csv"
    pairs_frame().to_csv(file, index=False)
    expected = prepare(IngestConfig(str(file), columns=COLUMNS)).samples
    header, *rows = file.read_text().splitlines()
    file.write_text("\n".join([header, *(row + "," for row in rows)]))
    pd.testing.assert_frame_equal(prepare(IngestConfig(str(file), columns=COLUMNS)).samples, expected)
    file.write_text("\n".join([header, *(row + ",more" for row in rows)]))
    with pytest.raises(BadInput, match="more cells than the header has names"):
        prepare(IngestConfig(str(file), columns=COLUMNS))


def test_a_csv_of_semicolons_is_told_so(tmp_path):
    file = tmp_path / "pairs.csv"
    pairs_frame().to_csv(file, index=False, sep=";")
    with pytest.raises(BadInput, match="separate cells by commas"):
        prepare(IngestConfig(str(file), columns=COLUMNS))


def test_long_ids_beside_a_null_stay_apart(tmp_path):
    frame = pairs_frame()
    frame["pid"] = pd.array(2**60 + np.arange(len(frame)), dtype="Int64")
    frame.loc[3, "pid"] = None
    assert prepare(config_of(frame, tmp_path)).samples["item_id"].nunique() == len(frame)
    assert as_text(pd.Series([1e19, 2e19, 12.0, None, float("inf")])).tolist() == [
        *("10000000000000000000", "20000000000000000000", "12", "", "inf")
    ]


def test_white_space_makes_no_second_group(tmp_path):
    frame = pairs_frame()
    odd = frame.index % 2 == 1
    frame.loc[odd, "q"] = frame.loc[odd, "q"] + "  "
    found = prepare(config_of(frame, tmp_path)).samples
    assert found["group_id"].nunique() == pairs_frame()["q"].nunique()
    assert found.groupby("context")["split"].nunique().max() == 1


def test_an_order_of_rows_with_conflicts_in_them_changes_nothing(tmp_path):
    frame = pairs_frame()
    again = frame.assign(grade=(frame["grade"] * 0.3 + 0.1).round(1), part="b")
    both = pd.concat([frame, again, again.assign(grade=0.7, part="c")])
    one, two = (
        prepare(config_of(f, tmp_path, columns=COLUMNS | {"segment": ["part"]})).samples
        for f in (both, both.sample(frac=1, random_state=1))
    )
    pd.testing.assert_frame_equal(one, two)


def test_a_line_separator_within_a_json_text_ends_no_line(tmp_path):
    file = tmp_path / "pairs.jsonl"
    frame = pairs_frame()
    frame["title"] = frame["title"] + " a\u2028b\u0085c"
    frame.to_json(file, orient="records", lines=True, force_ascii=False)
    assert len(prepare(IngestConfig(str(file), columns=COLUMNS)).samples) == len(frame)


@pytest.mark.parametrize("column", ["q", "title", "pid"])
def test_lists_are_not_trained_on_as_text(tmp_path, column):
    frame = pairs_frame()
    frame[column] = [[value] for value in frame[column].astype(str)]
    with pytest.raises(BadInput, match=f"column '{column}': holds"):
        prepare(config_of(frame, tmp_path))


def test_times_are_no_grades(tmp_path):
    frame = pairs_frame().assign(grade=pd.Timestamp("2026-01-01"))
    with pytest.raises(BadInput, match="column 'grade': holds times"):
        prepare(config_of(frame, tmp_path))


def test_true_and_false_are_grades_in_every_format(tmp_path):
    frame = pairs_frame()
    frame["grade"] = frame["grade"] > 0
    for name in ("pairs.parquet", "pairs.csv"):
        assert set(prepare(config_of(frame, tmp_path, name)).samples["label"]) == {0, 1}


def test_no_item_text_at_all_is_said(tmp_path):
    with pytest.raises(BadInput, match="no row has item text"):
        prepare(config_of(pairs_frame().assign(title=None), tmp_path))


def test_one_list_that_can_be_ranked_proves_nothing(tmp_path):
    with pytest.raises(BadInput, match="1 of 1 test lists can be ranked"):
        prepare(config_of(pairs_frame(), tmp_path, test_sample=10))


def test_a_click_log_keeps_to_its_own_splits(tmp_path):
    frame = clicks()
    names = dict(zip(frame["query"].unique(), ["test", "dev", "target", *["train"] * 100], strict=False))
    names |= dict.fromkeys(list(names)[3:8], "test")
    frame["fold"] = frame["query"].map(names)
    found = prepare(config_of(frame, tmp_path, columns={}, split_column="fold")).samples
    expected = found["context"].map(names).replace({"dev": "validation"})
    assert (found["split"].astype(str) == expected).all()
    with pytest.raises(BadInput, match="--split-column nope: not in the file"):
        prepare(config_of(frame, tmp_path, columns={}, split_column="nope"))
    with pytest.raises(BadInput, match="--max-grade: a log of clicks has no grades"):
        prepare(config_of(frame, tmp_path, columns={}, max_grade=3))
    with pytest.raises(BadInput, match="400 cells are empty"):
        prepare(config_of(frame.assign(fold=None), tmp_path, columns={}, split_column="fold"))


def test_a_click_log_with_holes_is_refused_or_mended(tmp_path):
    frame = clicks().assign(position=99999.0, timestamp=1_700_000_000)
    frame["click"] = frame["click"].where(frame.index > 4)
    frame.loc[10:20, "position"] = 3
    with pytest.raises(BadInput, match="5 values are not 0 or 1"):
        prepare(config_of(frame, tmp_path, columns={}))
    found = prepare(config_of(frame, tmp_path, columns={}, drop_unlabelled=True))
    assert found.facts["ledger"]["dropped"]["unlabelled"] == 5
    assert found.facts["ledger"]["noted"]["unusable_position"] == len(frame) - 5 - 11
    assert set(found.samples["position"].dropna()) == {3}
    assert set(found.samples["timestamp"].dt.year) == {2023}


@pytest.mark.parametrize("factor", [1, 1_000, 1_000_000, 1_000_000_000])
def test_numbers_are_times_in_the_unit_that_their_size_tells(factor):
    assert times(pd.Series([1_700_000_000 * factor, None])).iloc[0].year == 2023
    assert times(pd.Series(["2026-11-23T10:00:00+02:00", "soon"])).isna().tolist() == [False, True]
