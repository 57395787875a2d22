"""Columns as text and as numbers, whatever their dtype; each value as if it were alone."""

import numpy as np
import pandas as pd
import pytest
from assay.components.ingest.columns import as_text, numbers
from assay.components.ingest.folding import folded

VALUES = ["12", " 1e3 ", "True", "false", "x", "", None, "12", "inf"]


@pytest.mark.parametrize("dtype", ["str", object])
def test_texts_of_a_file_are_texts_and_numbers(dtype):
    series = pd.Series(VALUES, dtype=dtype, index=range(9, 0, -1), name="c")
    assert as_text(series).tolist() == ["" if v is None else v for v in VALUES]
    found = [12.0, 1000.0, 1.0, 0.0, np.nan, np.nan, np.nan, 12.0, np.inf]
    np.testing.assert_array_equal(numbers(series), found)
    for made in (as_text(series), numbers(series)):
        assert made.index.tolist() == series.index.tolist()
    assert as_text(series).dtype == object


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([3, 4, 3], ["3", "4", "3"]),
        ([3.0, 0.5, None, 2.0**60, float("inf")], ["3", "0.5", "", "1152921504606846976", "inf"]),
        (np.array([1.1, 2], np.float32), ["1.100000023841858", "2"]),
        ([True, False, True], ["True", "False", "True"]),
        (pd.Series([1, True, 1.0, "1"], dtype=object), ["1", "True", "1", "1"]),
        (pd.Series(["\ud800"], dtype=object), ["?"]),
    ],
)
def test_values_are_one_text_each(values, texts):
    assert as_text(pd.Series(values)).tolist() == texts


def test_white_space_is_folded_in_each_row():
    series = pd.Series([" a\t\nb ", "c", " a\t\nb ", ""], index=[3, 1, 2, 0], dtype=object)
    assert folded(series).to_dict() == {3: "a b", 1: "c", 2: "a b", 0: ""}
