"""Records as columns: by schema where all fit it, one by one where one does not, and the same either way."""

import json

import polars as pl
import pytest
from assay.components.core.errors import BadInput
from assay.components.ingest.readers import records as module
from assay.components.ingest.readers.records import ids, records, rows, text_of
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
    [fast] = records(source, numbered, SCHEMA)
    [slow] = records(source, [*numbered, (99, json.dumps(ODD))], SCHEMA)
    assert slow.head(-1).equals(fast)
    assert slow.row(-1, named=True) == {
        "row": 99, "id": '{"not": "a text"}', "a.b.c": None, "a.n": None, "tags": None,
    }  # fmt: skip


def test_chunks_are_bounded_by_characters_too(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHARACTERS", 100)
    source = Source(str(written(tmp_path, "log.jsonl", '{"id": "0123456789"}\n' * 50)))
    chunks = list(rows(source, {"id": pl.String}))
    assert [len(chunk) for chunk in chunks] == [6] * 8 + [2]
    assert pl.concat(chunks)["row"].to_list() == list(range(1, 51))


@pytest.mark.parametrize("line", ["null", "5", '["a"]', '{"id": 1', '{"id": 1} {"id": 2}', "{'id': 1}"])
def test_a_line_that_is_no_object_is_named(tmp_path, line):
    file = written(tmp_path, "log.jsonl", '{"id": "a"}\n\n' + line + "\n")
    with pytest.raises(BadInput, match=r"log.jsonl, line 3: (not JSON|expected an object)"):
        list(rows(Source(str(file)), {"id": pl.String}))


def test_ids_are_text_and_texts_are_joined_in_order():
    assert ids(pl.Series([12.0, 12.5, None])).to_list() == ["12", "12.5", None]
    assert ids(pl.Series([" a ", "", None])).to_list() == ["a", None, None]
    assert ids(pl.Series([[1, 2], []])).to_list() == ["1, 2", None]
    frame = pl.DataFrame({"a": ["x ", None, " "], "b": ["y", "z", None]})
    assert frame.select(t=text_of("a", "b"))["t"].to_list() == ["x y", "z", None]
    assert frame.select(t=text_of("b", "a"))["t"].to_list() == ["y x", "z", None]
