"""Judgment lists of the search relevance workbench, Quepid and Chorus."""

import json

import pytest
from assay.components.core.errors import BadInput

from tests.ingest.readers.by_claim import read, written
from tests.ingest.readers.published import cut, jsonl, quepid, workbench


def test_ratings_of_the_workbench_are_text(tmp_path):
    tables, ledger, readers = read(*workbench(tmp_path))
    assert readers == ["workbench"]
    assert tables["judgments"].select("query", "item_id", "grade", "row").rows()[2:6] == [
        ("tv 0", "p2", 2.0, 3), ("tv 0", "p3", 3.0, 4), ("tv 1", "p0", 0.0, 5), ("tv 1", "p1", 1.0, 6),
    ]  # fmt: skip
    assert ledger.rows_in == 8


def test_an_answer_of_the_api_and_lines(tmp_path):
    one = {
        "query": "tv",
        "ratings": [
            {"docId": 7, "rating": "100.000"},
            {"docId": "8", "rating": 0.5},
            {"docId": "9", "rating": "n/a"},
        ],
    }
    document = {"name": "mine", "judgmentRatings": [one]}
    answer = {"took": 1, "hits": {"total": {"value": 2}, "hits": [{"_id": "1", "_source": document}] * 2}}
    answered, ledger, readers = read(written(tmp_path, "answer.json", json.dumps(answer)))
    assert readers == ["workbench"]
    assert answered["judgments"].select("item_id", "grade").rows() == [("7", 100.0), ("8", 0.5)] * 2
    assert ledger.dropped == {"unlabelled": 2}
    assert ledger.examples["unlabelled"] == ["answer.json, row 3: 'n/a'", "answer.json, row 6: 'n/a'"]
    lines, ledger, _ = read(jsonl(tmp_path / "lists.jsonl", [document, document]))
    assert lines["judgments"]["row"].to_list() == [1, 1, 2, 2]


@pytest.mark.parametrize("header", ["query,docid,rating", "Query Text,Doc ID,Rating", "rating,query,DocId"])
def test_quepid_writes_its_columns_in_several_ways(tmp_path, header):
    cells = {"rating": "3", "query": '"tv, 4k"', "querytext": '"tv, 4k"', "docid": "0012"}
    row = ",".join(cells[name.lower().replace(" ", "")] for name in header.split(","))
    tables, ledger, readers = read(
        written(tmp_path, "ratings.csv", f"{header}\n{row}\n{row.replace('3', '')}\n")
    )
    assert readers == ["quepid"]
    assert tables["judgments"].select("query", "item_id", "grade").rows() == [("tv, 4k", "0012", 3.0)]
    assert (ledger.dropped, ledger.rows_in) == ({"unlabelled": 1}, 2)


def test_files_cut_within_a_record_are_refused(tmp_path):
    [file] = quepid(tmp_path)
    with pytest.raises(BadInput, match=r"ratings.csv, row 7: 1 cells where there are 3"):
        read(cut(file))
    [file] = workbench(tmp_path)
    with pytest.raises(BadInput, match=r"judgments.json: not JSON: .*line \d+"):
        read(cut(file))


def test_a_document_of_another_shape_is_refused(tmp_path):
    bad = {"judgmentRatings": [{"query": "tv", "ratings": {"7": 1}}]}
    with pytest.raises(BadInput, match="must hold objects of query and ratings"):
        read(written(tmp_path, "j.json", json.dumps(bad)))
    with pytest.raises(BadInput, match=r"j.json: no ratings"):
        read(written(tmp_path, "j.json", json.dumps({"judgmentRatings": []})))
