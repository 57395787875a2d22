"""Values as formats write them."""

import polars as pl
import pytest
from assay.components.ingest.readers.values import joined_text, texts


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([12.0, 1.5, None, float("nan"), float("inf")], ["12", "1.5", None, None, None]),
        ([1e19], ["1e+19"]),
        ([12, None], ["12", None]),
        ([" a ", "", " ", "12.0", None], ["a", None, None, "12.0", None]),
        ([True, None], ["true", None]),
        ([[1, 2], [], None], ["1, 2", None, None]),
        ([{"a": "x}"}, None], ['{"a":"x}"}', None]),
        ([[{"a": 1}], [], None], ['[{"a":1}]', "[]", None]),
    ],
)
def test_ids_and_texts(values, found):
    assert texts(pl.Series("c", values)).to_list() == found
    assert texts(pl.Series("c", values)).name == "c"


def test_texts_are_joined_in_order():
    frame = pl.DataFrame({"a": ["x ", None, " "], "b": ["y", "z", None]})
    assert frame.select(t=joined_text("a", "b"))["t"].to_list() == ["x y", "z", None]
    assert frame.select(t=joined_text("b", "a"))["t"].to_list() == ["y x", "z", None]
