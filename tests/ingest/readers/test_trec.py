"""TREC qrels and runs as published, with their traps."""

import polars as pl
import pytest
from assay.components.core.errors import BadInput
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.readers.known import claimed, gathered
from assay.components.ingest.readers.sources import expand


def read(folder, **files):
    for name, text in files.items():
        (folder / name).write_text(text)
    ledger, claims = Ledger(), claimed(expand([str(folder / name) for name in files]))
    return gathered(claims, ledger), ledger, [one.reader.name for one in claims]


def test_qrels_are_judgments(tmp_path):
    tables, ledger, readers = read(tmp_path, qrels="q1 0 d1 2\nq1\t0\td2\t0\n\nq2 Q0 d9 -1\n")
    assert readers == ["trec_qrels"]
    assert tables["judgments"].select("query_id", "item_id", "grade", "row").rows() == [
        ("q1", "d1", 2.0, 1), ("q1", "d2", 0.0, 2), ("q2", "d9", -1.0, 4),
    ]  # fmt: skip
    assert ledger.rows_in == 3


def test_a_run_is_ordered_by_score_and_ties_by_document_descending(tmp_path):
    """As trec_eval does, whatever the ranks in the file say."""
    text = "q1 Q0 d1 1 2.0 bm25\nq1 Q0 d2 2 9.5 bm25\nq1 Q0 d3 3 2.0 bm25\nq2 Q0 d1 1 0.1 bm25\n"
    tables, _, readers = read(tmp_path, run=text)
    assert readers == ["trec_run"]
    shown = tables["impressions"].sort("query_id", "position")
    assert shown.select("query_id", "item_id", "position").rows() == [
        ("q1", "d2", 1), ("q1", "d3", 2), ("q1", "d1", 3), ("q2", "d1", 1),
    ]  # fmt: skip


def test_a_file_cut_within_a_line_is_refused(tmp_path):
    with pytest.raises(BadInput, match="line 6: 2 cells, where a line has 4"):
        read(tmp_path, qrels="q1 0 d1 2\n" * 5 + "q1 0")


def test_what_is_no_number_is_refused(tmp_path):
    with pytest.raises(BadInput, match="run, line 7: 'high' is no number"):
        read(tmp_path, run="q1 Q0 d1 1 2.0 bm25\n" * 6 + "q1 Q0 d1 2 high bm25\n")


def test_every_table_has_its_columns(tmp_path):
    from assay.components.ingest.tables import SCHEMAS

    tables, _, _ = read(tmp_path, qrels="q1 0 d1 2\n")
    assert tables["judgments"].schema == pl.Schema(SCHEMAS["judgments"])
