"""Attributes and behaviour of a log: found by name or usual name, never in the way."""

import pandas as pd
import pytest
from assay.components.core.errors import BadInput
from assay.components.core.samples import read_samples
from assay.components.ingest.columns import parse_columns
from assay.components.ingest.prepare import IngestConfig, ingest, prepare

from tests.conftest import PAIRS_COLUMNS, pairs_frame


def written(tmp_path, **columns):
    file = tmp_path / "pairs.parquet"
    pairs_frame().assign(**columns).to_parquet(file)
    return str(file)


def ingested(tmp_path, data, columns=PAIRS_COLUMNS):
    folders = [str(tmp_path / name) for name in ("samples", "texts", "truth")]
    facts = ingest(IngestConfig(data, columns=parse_columns(columns)), *folders)
    return facts, read_samples(folders[0]), pd.read_parquet(tmp_path / "texts" / "attributes.parquet")


def test_what_the_log_says_of_an_item_stands_beside_the_texts(tmp_path):
    title = pairs_frame()["title"].str.split()
    data = written(tmp_path, color=title.str[0], product_type=title.str[1].where(title.str[1] != "lamp"))
    facts, samples, table = ingested(tmp_path, data)
    assert (facts["columns"]["colour"], facts["columns"]["type"]) == ("color", "product_type")
    assert list(table.columns) == ["item", "colour", "type"]
    assert set(table["item"]) == set(samples["item"])
    assert (table["colour"] == table["item"].str.split().str[0]).all()
    silent = table["item"].str.contains("lamp")
    assert table.loc[silent, "type"].isna().all()
    assert (table.loc[~silent, "type"] == table.loc[~silent, "item"].str.split().str[1]).all()


def test_price_and_dwell_become_behaviour_of_a_row(tmp_path):
    n = len(pairs_frame())
    price = pd.Series(range(n), dtype=float).where(pd.Series(range(n)) % 5 > 0)
    data = written(tmp_path, price=price, secs=2.5)
    _, samples, _ = ingested(tmp_path, data, PAIRS_COLUMNS + ",dwell=secs")
    place = pairs_frame()["pid"].astype(str).reset_index().set_index("pid")["index"]
    for item, features in zip(samples["item_id"], samples["features"], strict=True):
        row = int(place[item])
        assert dict(features) == {"dwell": 2.5} | ({"price": float(row)} if row % 5 else {})


def test_a_log_without_them_gives_the_samples_that_it_gave_before(tmp_path, pairs_file):
    found = prepare(IngestConfig(str(pairs_file), columns=parse_columns(PAIRS_COLUMNS)))
    assert found.attributes.empty
    assert found.samples["features"].isna().all()


def test_a_column_that_only_looks_like_an_attribute_stops_nothing(tmp_path):
    n = len(pairs_frame())
    data = written(tmp_path, size=[["a"]] * n, price=pd.Timestamp("2025-01-01"))
    _, samples, table = ingested(tmp_path, data)
    assert table.empty
    assert all(len(features) == 0 for features in samples["features"])


def test_items_alone_join_columns():
    with pytest.raises(BadInput, match="feature may join columns, not brand"):
        parse_columns("query=q,item=t,brand=a+b")
