"""Fields out of files: what is nested, of another shape, without an ending, or no record at all."""

import json

import polars as pl
import pytest
from assay.components.core.errors import BadInput
from assay.components.ingest.readers.fields import header, ids, once, records, text_lines
from assay.components.ingest.readers.sources import Source

SHAPE = {"a": pl.String, "list": pl.List(pl.Struct({"x": pl.String})), "inner": pl.Struct({"k": pl.String})}


def lines(folder, *texts: str) -> Source:
    (folder / "log.jsonl").write_text("\n".join(texts) + "\n")
    return Source(str(folder / "log.jsonl"))


def decoded(folder, *texts: str) -> list[dict]:
    return pl.concat(records(lines(folder, *texts), SHAPE)).to_dicts()


def test_values_are_texts_and_what_is_missing_is_null(tmp_path):
    rows = decoded(tmp_path, '{"a": 1.5, "list": [{"x": true}, null], "z": 1}', "", '{"inner": {"k": "ü"}}')
    assert rows == [
        {"row": 1, "a": "1.5", "list": [{"x": "true"}, None], "inner": None},
        {"row": 3, "a": None, "list": None, "inner": {"k": "ü"}},
    ]


@pytest.mark.parametrize(
    ("odd", "field", "value"),
    [
        ({"a": [1, "b"]}, "a", '[1, "b"]'),
        ({"a": {"q": 1}}, "a", '{"q": 1}'),
        ({"list": {"x": 1}}, "list", [{"x": "1"}]),
        ({"list": ["text"]}, "list", [None]),
        ({"inner": "text"}, "inner", None),
        ({"inner": [1]}, "inner", None),
        ({"a": float("nan")}, "a", None),
        ({"a": False, "inner": 5}, "a", "false"),
    ],
)
def test_a_value_of_another_shape_is_fitted_and_its_neighbours_are_as_they_were(tmp_path, odd, field, value):
    plain = {"a": 12345678901234567890, "list": [{"x": 1.5}], "inner": {"k": "v"}}
    before, row, after = decoded(tmp_path, *map(json.dumps, (plain, odd, plain)))
    assert row[field] == value
    assert before | {"row": 3} == after
    assert after["a"] == "12345678901234567890"


@pytest.mark.parametrize("bad", ["null", "[1]", "5", '{"a": 1', '{"a": 1} {"a": 2}', "{'a': 1}"])
def test_a_line_that_is_no_object_is_named(tmp_path, bad):
    with pytest.raises(BadInput, match=r"log\.jsonl, line 2: "):
        decoded(tmp_path, '{"a": 1}', bad, '{"a": 2}')


def test_a_table_without_an_ending_has_a_header(tmp_path):
    (tmp_path / "train").write_text("a,b\n1,2\n3,\n")
    source = Source(str(tmp_path / "train"))
    assert (source.kind, header(source)) == ("lines", ["a", "b"])
    assert pl.concat(records(source, ["b", "c"])).rows() == [(1, "2", None), (2, None, None)]


def test_a_header_alone_is_no_table(tmp_path):
    (tmp_path / "train").write_text("a,b\n")
    with pytest.raises(BadInput, match="train: no rows"):
        list(records(Source(str(tmp_path / "train")), ["a"]))


def test_a_column_that_is_called_as_rows_are_counted_is_refused(tmp_path):
    (tmp_path / "log.csv").write_text("row,a\n1,2\n")
    with pytest.raises(BadInput, match="a column is called 'row'"):
        list(records(Source(str(tmp_path / "log.csv")), ["a"]))
    with pytest.raises(BadInput, match="a key is called 'row'"):
        list(records(lines(tmp_path, '{"row": 1}'), ["row"]))


def test_lines_cut_at_a_mark(tmp_path):
    (tmp_path / "m.dat").write_bytes("1::x\r\n\n2::\xe9\n".encode("latin-1"))
    assert pl.concat(text_lines(Source(str(tmp_path / "m.dat")), "::", ["a", "b"])).rows() == [
        (1, "1", "x"), (3, "2", "é"),
    ]  # fmt: skip


def test_ids_are_texts():
    assert ids(pl.Series([12.0, 1.5, None])).to_list() == ["12", "1.5", None]
    assert ids(pl.Series([12, None])).to_list() == ["12", None]
    assert ids(pl.Series([" a ", "", "12.0"])).to_list() == ["a", None, "12.0"]


def test_a_key_comes_once_over_all_chunks():
    fresh = once("k")
    assert fresh(pl.DataFrame({"k": ["a", "b", "a", None], "v": [1, 2, 3, 4]})).rows() == [("a", 1), ("b", 2)]
    assert fresh(pl.DataFrame({"k": ["c", "b"], "v": [5, 6]})).rows() == [("c", 5)]
