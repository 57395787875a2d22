"""Records as columns: by schema where all fit it, one by one where one does not, and the same either way."""

import json

import polars as pl
import pytest
from assay.components.core.errors import BadInput
from assay.components.ingest.readers import records as module
from assay.components.ingest.readers.records import of_objects, records
from assay.components.ingest.readers.sources import Source
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ingest.readers.by_claim import written

SCHEMA = {"id": pl.String, "a.b.c": pl.String, "a.n": pl.Float64, "tags": pl.List(pl.String)}
ODD = {"id": {"not": "a text"}, "a": [1]}
SCALAR = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53), 2**53),
    # Beyond these, one number may be written in several ways.
    st.integers(-(10**6), 10**6).map(lambda eighths: eighths / 8),
    st.integers(-(2**40), 2**40).map(float),
    st.text(st.characters(codec="utf-8"), max_size=5),
)
NUMBER = st.one_of(st.none(), st.integers(-(2**40), 2**40), st.floats(-1e12, 1e12))
INNER = st.fixed_dictionaries({}, optional={"b": st.fixed_dictionaries({"c": SCALAR}), "n": NUMBER})
OBJECT = st.fixed_dictionaries(
    {},
    optional={
        "id": SCALAR,
        "a": st.none()
        | st.fixed_dictionaries({}, optional={"b": st.fixed_dictionaries({"c": SCALAR}), "n": NUMBER}),
        "tags": st.none() | st.lists(st.text(st.characters(codec="utf-8"), max_size=3), max_size=3),
        "more": SCALAR,
    },
)


@settings(max_examples=60, deadline=None)
@given(st.lists(OBJECT, min_size=1, max_size=5))
def test_a_record_is_read_alike_beside_one_of_another_shape(tmp_path_factory, objects):
    folder = tmp_path_factory.mktemp("records")
    source = Source(str(written(folder, "log.jsonl", "{}\n")))
    numbered = [(n, json.dumps(one)) for n, one in enumerate(objects, start=1)]
    [fast] = of_objects(source, numbered, SCHEMA)
    [slow] = of_objects(source, [*numbered, (99, json.dumps(ODD))], SCHEMA)
    assert slow.head(-1).equals(fast)
    assert slow.row(-1, named=True) == {
        "row": 99, "id": '{"not": "a text"}', "a.b.c": None, "a.n": None, "tags": None,
    }  # fmt: skip


def test_chunks_are_bounded_by_characters_too(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHARACTERS", 100)
    source = Source(str(written(tmp_path, "log.jsonl", '{"id": "0123456789"}\n' * 50)))
    chunks = list(records(source, {"id": pl.String}))
    assert [len(chunk) for chunk in chunks] == [6] * 8 + [2]
    assert pl.concat(chunks)["row"].to_list() == list(range(1, 51))


@pytest.mark.parametrize("line", ["null", "5", '["a"]', '{"id": 1', '{"id": 1} {"id": 2}', "{'id': 1}"])
def test_a_line_that_is_no_object_is_named(tmp_path, line):
    file = written(tmp_path, "log.jsonl", '{"id": "a"}\n\n' + line + "\n")
    with pytest.raises(BadInput, match=r"log.jsonl, line 3: (not JSON|expected an object)"):
        list(records(Source(str(file)), {"id": pl.String}))


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
        ({"a": [1.0, None, "b"]}, "a", "1, b"),
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


def test_a_table_without_an_ending_has_a_header(tmp_path):
    (tmp_path / "train").write_text("a,b\n1,2\n3,\n")
    source = Source(str(tmp_path / "train"))
    assert (source.kind, source.columns) == ("lines", ["a", "b"])
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
