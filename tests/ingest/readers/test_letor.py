"""LETOR and LibSVM: dense and sparse features, comments that name the document."""

import pytest
from assay.components.core.errors import BadInput

from tests.ingest.readers.by_claim import read, written
from tests.ingest.readers.published import cut, letor


def test_grades_features_and_documents(tmp_path):
    tables, ledger, readers = read(*letor(tmp_path))
    assert readers == ["letor"]
    judged = tables["judgments"]
    assert judged.select("query_id", "item_id", "grade", "row").row(1) == ("0", "751", 1.0, 3)
    assert judged.select("feature.1", "feature.2", "attribute.comment").row(1) == (9.831, 12.31, "rambo")
    assert tables["queries"].select("query_id", "query").rows() == [("0", "rambo")]
    assert ledger.rows_in == 7


def test_the_ways_in_which_a_document_is_named(tmp_path):
    text = (
        "2 qid:10002 1:0.007477 2:-1e-3 46:0 #docid = GX008-86-4444840 inc = 1 prob = 0.086622\n"
        "\n"
        "4\tqid:1\t1:9.8376875\t3:12.318446 # 7555\trambo\n"
        "0.5 qid:1 3:nan # 12\n"
        "1 qid:1 2:7\n"
        "4\tqid:1 #\t7556\tRambo III\n"
        "4 qid:1 # 7557\n"
    )
    tables, ledger, readers = read(written(tmp_path, "fold1.txt", text))
    assert readers == ["letor"]
    judged = tables["judgments"]
    assert judged.select("item_id", "grade", "row").rows() == [
        ("GX008-86-4444840", 2.0, 1), ("7555", 4.0, 3), ("12", 0.5, 4),
        ("fold1:5", 1.0, 5), ("7556", 4.0, 6), ("7557", 4.0, 7),
    ]  # fmt: skip
    assert judged["feature.1"].to_list() == [0.007477, 9.8376875, None, None, None, None]
    assert judged["feature.2"].to_list() == [-0.001, None, None, 7.0, None, None]
    assert judged["feature.46"].to_list() == [0.0, *[None] * 5]
    assert judged["attribute.comment"].to_list()[4] == "Rambo III"
    assert (ledger.noted, ledger.examples) == ({"unnamed_item": 1}, {"unnamed_item": ["fold1.txt, row 5"]})


def test_comments_first_and_no_features(tmp_path):
    """As the demo of the Elasticsearch plugin has it."""
    head = "".join(
        f"# qid:{n}: {text}*1\n" for n, text in enumerate(["rambo", "m*a*s*h", "her", "emma", "jobs", "u2*2"])
    )
    file = written(
        tmp_path, "movie_judgments.txt", head + "\n4\tqid:0\t # 7555\trambo\n0\tqid:1\t # 11\tm*a*s*h\n"
    )
    tables, ledger, readers = read(file)
    assert readers == ["letor"]
    assert tables["queries"]["query"].to_list() == ["rambo", "m*a*s*h", "her", "emma", "jobs", "u2*2"]
    assert tables["judgments"].select("query_id", "item_id", "grade", "row").rows() == [
        ("0", "7555", 4.0, 8), ("1", "11", 0.0, 9),
    ]  # fmt: skip


def test_a_file_cut_within_a_record_is_refused(tmp_path):
    [file] = letor(tmp_path)
    with pytest.raises(
        BadInput, match=r"movies.txt, line 8: expected a grade, qid:QUERY and NUMBER:VALUE, found '1'"
    ):
        read(cut(file))
