"""Values as formats write them."""

import polars as pl
import pytest
from assay.components.ingest.readers.values import joined_text, moments, numbers, texts
from assay.components.ingest.tables import MOMENT


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


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (["1", " 2.5 ", "x", "", None, "inf", "nan"], [1.0, 2.5, None, None, None, None, None]),
        (["1", "2e3"], [1.0, 2000.0]),
        ([1.5, float("nan"), float("-inf"), None], [1.5, None, None, None]),
        ([3, None], [3.0, None]),
        ([True, False, None], [1.0, 0.0, None]),
    ],
)
def test_numbers(values, found):
    assert numbers(pl.Series("c", values)).to_list() == found


NOON = "2026-03-01T12:00:00.000000Z"


@pytest.mark.parametrize(
    "written",
    [
        *("2026-03-01T12:00:00Z", "2026-03-01 12:00:00", " 2026-03-01 12:00:00 UTC ", "2026-03-01T12:00"),
        *(
            "2026-03-01T13:00:00+01:00",
            "2026-03-01 13:00:00.000+0100",
            "2026/03/01 12:00",
            "20260301T120000Z",
        ),
        *(1772366400, "1772366400", 1772366400_000, 1772366400_000_000.0, "1772366400000000000"),
    ],
)
def test_a_moment_in_every_way_it_is_written(written):
    found = moments(pl.Series("t", [written, None]))
    assert found.dt.to_string("%FT%T%.6fZ").to_list() == [NOON, None]


def test_moments_beside_each_other_and_what_is_none():
    rows = [
        *(("2026-03-01", "2026-03-01T00:00:00"), ("2026-03-01T12:00:00Z", NOON[:19])),
        *(
            ("3e9", "2065-01-24T05:20:00"),
            ("99999999999999", "5138-11-16T09:46:39"),
            ("-5", "1969-12-31T23:59:55"),
            (None, None),
            ("", None),
        ),
        *(("soon", None), ("now", None), ("today", None), ("2026-13-01", None)),
    ]
    found = moments(pl.Series("t", [written for written, _ in rows]))
    assert (found.name, found.dtype) == ("t", MOMENT)
    assert found.dt.to_string("%FT%T").to_list() == [moment for _, moment in rows]
    assert moments(found).equals(found)
    assert moments(found.dt.replace_time_zone(None)).equals(found)


def test_texts_are_joined_in_order():
    frame = pl.DataFrame({"a": ["x ", None, " "], "b": ["y", "z", None]})
    assert frame.select(t=joined_text("a", "b"))["t"].to_list() == ["x y", "z", None]
    assert frame.select(t=joined_text("b", "a"))["t"].to_list() == ["y x", "z", None]
