"""BGE training files: texts without ids, scores that may be missing."""

import pytest
from assay.components.core.errors import BadInput
from assay.components.core.samples import text_id

from tests.ingest.readers.by_claim import read
from tests.ingest.readers.published import bge, cut, jsonl


def test_texts_are_items_by_their_hash(tmp_path):
    tables, ledger, readers = read(*bge(tmp_path))
    assert readers == ["bge"]
    assert tables["judgments"].select("query", "item_id", "grade", "feature.score", "row").rows()[:3] == [
        ("what is 0", text_id("0 is a number"), 1.0, 0.9, 1),
        ("what is 0", text_id("1 is a number"), 0.0, 0.4, 1),
        ("what is 0", text_id("a cat"), 0.0, 0.01, 1),
    ]  # fmt: skip
    assert tables["items"]["item_id"].to_list() == [text_id(text) for text in tables["items"]["text"]]
    assert len(tables["items"]) == 9
    assert ledger.rows_in == 21


def test_no_scores_no_negatives_and_empty_texts(tmp_path):
    records = [
        {"query": "a", "pos": ["x\ny"]},
        {"query": "b", "pos": [], "neg": ["z", " "], "neg_scores": [0.5, 0.1]},
        {"query": "c", "pos": "x\ny", "neg": None},
    ]
    tables, ledger, _ = read(jsonl(tmp_path / "train.jsonl", records))
    assert tables["judgments"].select("query", "grade", "feature.score", "row").rows() == [
        ("a", 1.0, None, 1), ("b", 0.0, 0.5, 2), ("c", 1.0, None, 3),
    ]  # fmt: skip
    assert tables["items"]["text"].to_list() == ["x\ny", "z"]
    assert (ledger.dropped, ledger.rows_in) == ({"no_item_text": 1}, 4)


def test_scores_for_other_texts_and_a_cut_file_are_refused(tmp_path):
    records = [{"query": "a", "pos": ["x"], "neg": ["y"], "pos_scores": [1.0], "neg_scores": [0.1, 0.2]}]
    with pytest.raises(BadInput, match=r"train.jsonl, line 1: 2 neg_scores of 1 texts"):
        read(jsonl(tmp_path / "train.jsonl", records))
    [file] = bge(tmp_path)
    with pytest.raises(BadInput, match=r"train.jsonl, line 7: not JSON"):
        read(cut(file))
