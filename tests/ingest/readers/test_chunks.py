"""What readers make of a chunk."""

import polars as pl
from assay.components.ingest.readers.chunks import once


def test_a_key_comes_once_over_all_chunks():
    fresh = once("k")
    assert fresh(pl.DataFrame({"k": ["a", "b", "a", None], "v": [1, 2, 3, 4]})).rows() == [("a", 1), ("b", 2)]
    assert fresh(pl.DataFrame({"k": ["c", "b"], "v": [5, 6]})).rows() == [("c", 5)]
