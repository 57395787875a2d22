"""Lines of text files: cut at a mark or at white space, in two encodings."""

import polars as pl
import pytest
from assay.components.core.errors import BadInput
from assay.components.ingest.readers import lines
from assay.components.ingest.readers.lines import rows_of_cells
from assay.components.ingest.readers.sources import Source


def test_lines_cut_at_a_mark(tmp_path):
    (tmp_path / "m.dat").write_bytes("1::x\r\n\n2:: \xe9\n3::\n".encode("latin-1"))
    source = Source(str(tmp_path / "m.dat"))
    rows = [(1, "1", "x"), (3, "2", "é"), (4, "3", None)]
    assert pl.concat(rows_of_cells(source, "::", ["a", "b"], latin=True)).rows() == rows
    with pytest.raises(BadInput, match=r"m\.dat, line 3: not UTF-8 \(byte 0xe9\); convert it first"):
        list(rows_of_cells(source, "::", ["a", "b"]))


def test_lines_cut_at_white_space_whatever_the_size_of_a_chunk(tmp_path, monkeypatch):
    (tmp_path / "qrels").write_text("\ufeffa b\n \n  c\td \n" + "e f\n" * 9)
    source = Source(str(tmp_path / "qrels"))
    whole = pl.concat(rows_of_cells(source, "", ["x", "y"]))
    assert whole.rows()[:3] == [(1, "a", "b"), (3, "c", "d"), (4, "e", "f")]
    monkeypatch.setattr(lines, "BYTES", 5)
    parts = list(rows_of_cells(source, "", ["x", "y"]))
    assert len(parts) > 1
    assert pl.concat(parts).equals(whole)


def test_a_line_of_other_cells_is_shown(tmp_path):
    (tmp_path / "pairs.txt").write_text("1\tone\n2\ttwo\tmore\n")
    with pytest.raises(BadInput, match=r"line 2: 3 cells, where a line has 2: '2\\ttwo\\tmore'"):
        list(rows_of_cells(Source(str(tmp_path / "pairs.txt")), "\t", ["id", "text"]))
