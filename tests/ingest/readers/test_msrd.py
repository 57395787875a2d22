"""MSRD: Elastic's copy, and the flat tables."""

import os
from pathlib import Path

import polars as pl
import pytest
from assay.components.core.errors import BadInput

from tests.ingest.readers.by_claim import read
from tests.ingest.readers.published import cut, msrd, table


def test_judgments_and_corpus(tmp_path):
    tables, ledger, readers = read(*msrd(tmp_path))
    assert readers == ["msrd"] * 2
    assert tables["judgments"].select("query_id", "query", "item_id", "grade").row(5) == (
        "1",
        "lion king 1",
        "10005",
        1.0,
    )
    item = tables["items"].row(0, named=True)
    assert (item["item_id"], item["text"], item["category"]) == (
        "10000",
        "The Lion King 0 A lion cub.",
        "Family, Animation",
    )
    assert (item["attribute.actors"], item["feature.year"]) == ("A, B", 1994.0)
    assert ledger.rows_in == 7
    assert tables["judgments"].join(tables["items"], on="item_id", how="anti").is_empty()


def test_a_judgment_without_a_grade_is_counted(tmp_path):
    header = ["query_id", "query", "doc_id", "grade"]
    file = table(tmp_path / "j.tsv", header, [("qid:1", "a", 1, 1), ("qid:1", "a", 2, "")], tab=True)
    tables, ledger, _ = read(file)
    assert len(tables["judgments"]) == 1
    assert (ledger.dropped, ledger.examples["unlabelled"]) == ({"unlabelled": 1}, ["j.tsv, row 2: '2'"])


def test_files_that_were_cut_are_refused(tmp_path):
    zipped, corpus = msrd(tmp_path)
    with pytest.raises(BadInput, match=r"movies-judgments.tsv.gz: ends early|movies-judgments.tsv.gz: ends"):
        read(cut(zipped))
    with pytest.raises(BadInput, match=r"movies-corpus.jsonl, line 7: not JSON"):
        read(cut(corpus))


@pytest.mark.realdata
@pytest.mark.skipif(not os.environ.get("ASSAY_DATA"), reason="ASSAY_DATA names no folder of data sets")
def test_the_flat_tables():
    """Counts are those of the data set's own description."""
    folder = Path(os.environ["ASSAY_DATA"]) / "search_msrd_movies"
    tables, ledger, readers = read(folder / "pairs.parquet", folder / "products.parquet")
    assert readers == ["msrd"] * 2
    judged = tables["judgments"]
    assert ledger.rows_in == len(judged) == 96_094
    assert dict(judged["grade"].value_counts().rows()) == {0.0: 81_997, 1.0: 14_097}
    assert dict(judged["split"].value_counts().rows()) == {"train": 76_684, "test": 19_410}
    assert judged["query_id"].n_unique() == 4064
    assert judged.join(tables["items"], on="item_id", how="anti").is_empty()
    known = tables["items"].filter(source="products.parquet")
    assert (len(known), known["feature.year"].dtype) == (9750, pl.Float64)
