"""ESCI as released, as at the KDD Cup, and the flat copy."""

import os
from pathlib import Path

import polars as pl
import pytest
from assay.components.core.errors import BadInput

from tests.ingest.readers.by_claim import read
from tests.ingest.readers.published import cut, esci, table

CUP = ["query_id", "query", "query_locale", "product_id", "esci_label"]


def test_a_product_is_one_in_each_locale(tmp_path):
    tables, ledger, readers = read(*esci(tmp_path))
    assert readers == ["esci"] * 3
    assert tables["judgments"].select("item_id", "grade", "locale", "split").rows()[:4] == [
        ("us:B0", 3.0, "us", "train"), ("es:B1", 2.0, "es", "train"),
        ("jp:B2", 1.0, "jp", "train"), ("us:B3", 0.0, "us", "train"),
    ]  # fmt: skip
    assert tables["judgments"]["split"].to_list()[4:] == ["test"] * 3
    assert tables["items"].select("item_id", "brand", "colour").rows() == [
        ("us:B0", "Fleet", "Red"), ("es:B0", "Veloz", None),
    ]  # fmt: skip
    assert tables["items"]["text"].to_list() == [
        "Running shoes Fleet Red <p>For the road.</p> Light\nSoft",
        "Zapatillas Veloz",
    ]
    assert tables["queries"]["attribute.source"].to_list()[:2] == ["other", "behavioral"]
    assert ledger.rows_in == 7


def test_the_cup_has_other_names_words_for_labels_and_rows_without(tmp_path):
    labels = ["exact", "Substitute", "complement", "irrelevant", "", "maybe"]
    examples = table(
        tmp_path / "train.csv", CUP, [(1, "a, b", "us", f"B{n}", label) for n, label in enumerate(labels)]
    )
    header = [
        "product_id",
        "product_title",
        "product_description",
        "product_bullet_point",
        "product_brand",
        "product_color_name",
        "product_locale",
    ]
    catalogue = table(
        tmp_path / "product_catalogue.csv", header, [("B0", "Shoes", "", "", "Fleet", "Rojo", "us")]
    )
    tables, ledger, readers = read(examples, catalogue)
    assert readers == ["esci"] * 2
    assert tables["judgments"]["grade"].to_list() == [3.0, 2.0, 1.0, 0.0]
    assert tables["judgments"]["split"].null_count() == 4
    assert tables["items"].select("item_id", "text", "colour").rows() == [
        ("us:B0", "Shoes Fleet Rojo", "Rojo")
    ]
    assert ledger.dropped == {"unlabelled": 1, "unknown_label": 1}
    assert ledger.examples["unknown_label"] == ["train.csv, row 6: 'maybe'"]
    assert ledger.rows_in == 6


def test_a_fold_is_a_split(tmp_path):
    rows = [(1, "a", "us", "B0", "exact", "train"), (2, "b", "us", "B0", "exact", "public_test")]
    tables, _, _ = read(table(tmp_path / "examples.csv", [*CUP, "fold"], rows))
    assert tables["judgments"]["split"].to_list() == ["train", "test"]


def test_files_that_were_cut_are_refused(tmp_path):
    examples, _, sources = esci(tmp_path)
    with pytest.raises(BadInput, match=r"examples.parquet: not a readable parquet"):
        read(cut(examples))
    with pytest.raises(BadInput, match=r"sources.csv, row 7: 1 cells"):
        read(cut(sources))


@pytest.mark.realdata
@pytest.mark.skipif(not os.environ.get("ASSAY_DATA"), reason="ASSAY_DATA names no folder of data sets")
def test_the_flat_sample():
    """Counts are those of the data set's own description; grades, those it comes with."""
    file = Path(os.environ["ASSAY_DATA"]) / "search_esci_sample" / "pairs.parquet"
    tables, ledger, readers = read(file)
    assert readers == ["esci"]
    judged = tables["judgments"]
    assert ledger.rows_in == len(judged) == 2669
    assert judged["grade"].to_list() == pl.read_parquet(file)["grade"].cast(pl.Float64).to_list()
    assert dict(judged["locale"].value_counts().rows()) == {"us": 1725, "jp": 516, "es": 428}
    assert judged.join(tables["items"], on="item_id", how="anti").is_empty()
    assert tables["items"]["text"].null_count() == 0
