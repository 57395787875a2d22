"""BEIR and MS MARCO: their files, and quotation marks that are characters."""

import pytest
from assay.components.core.errors import BadInput

from tests.ingest.readers.by_claim import read, written
from tests.ingest.readers.published import beir, cut, jsonl, table


def test_corpus_queries_and_qrels(tmp_path):
    corpus, queries, qrels, *_ = beir(tmp_path)
    tables, ledger, readers = read(corpus, queries, qrels)
    assert readers == ["beir"] * 3
    assert tables["items"].select("item_id", "text").row(0) == ("d0", "T0 x y")
    assert tables["queries"].select("query_id", "query").row(0) == ("q0", "what 0")
    assert tables["judgments"].select("query_id", "item_id", "grade", "split").row(0) == (
        "q0",
        "d0",
        1.0,
        "validation",
    )
    assert ledger.rows_in == 7


def test_ms_marco_has_no_header_and_no_quoting(tmp_path):
    *_, queries, collection, qrels = beir(tmp_path)
    tables, ledger, readers = read(queries, collection, qrels)
    assert readers == ["beir"] * 3
    assert tables["items"].select("item_id", "text").row(3) == ("3", '"3" is high')
    assert tables["queries"].select("query_id", "query").row(3) == ("3", 'how high is "3')
    assert tables["judgments"].select("query_id", "item_id", "grade", "split").row(3) == (
        "3",
        "3",
        1.0,
        "validation",
    )
    assert ledger.rows_in == 7


def test_an_empty_title_is_that_of_an_item_and_no_title_that_of_a_query(tmp_path):
    titled = jsonl(tmp_path / "a.jsonl", [{"_id": 1, "title": "", "text": "x"}])
    untitled = jsonl(tmp_path / "corpus.jsonl", [{"_id": "2", "text": "y"}])
    query = jsonl(tmp_path / "b.jsonl", [{"_id": "3", "text": "z"}])
    tables, _, _ = read(titled, untitled, query)
    assert tables["items"].select("item_id", "text").rows() == [("1", "x"), ("2", "y")]
    assert tables["queries"].select("query_id", "query").rows() == [("3", "z")]


def test_a_score_that_is_none_is_counted(tmp_path):
    file = table(
        tmp_path / "test.tsv",
        ["query-id", "corpus-id", "score"],
        [("q1", "d1", 2), ("q1", "d2", "x")],
        tab=True,
    )
    tables, ledger, _ = read(file)
    assert tables["judgments"].select("grade", "split").rows() == [(2.0, "test")]
    assert (ledger.dropped, ledger.rows_in) == ({"unlabelled": 1}, 2)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "line 7: not JSON"),
        (2, "row 7: 1 cells"),
        (3, "line 7: 1 cells, where a line has 2"),
        (5, "line 7: 1 cells"),
    ],
)
def test_a_file_cut_within_a_record_is_refused(tmp_path, number, words):
    file = beir(tmp_path)[number]
    with pytest.raises(BadInput, match=f"{file.name}, {words}"):
        read(cut(file))


def test_a_tab_within_a_text_is_refused(tmp_path):
    text = "".join(f"{n}\ta\n" for n in range(6)) + "7\ta\tb\n"
    with pytest.raises(BadInput, match="collection.tsv, line 7: 3 cells, where a line has 2"):
        read(written(tmp_path, "collection.tsv", text))
