"""Lines of text files that are no csv: those of a chunk, and their cells, cut at a mark and never quoted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl
from assay.components.core.errors import BadInput
from assay.components.ingest.readers.sources import Source

BYTES = 1 << 24
"""Of the lines of a chunk, about."""


def cells(source: Source, mark: str) -> list[list[str]]:
    """The first few lines of a text file, cut at a mark; [] of any other.

    The last of them is left out: a file may be as short, and cut.
    """
    if source.kind in ("parquet", "json", "jsonl"):
        return []
    return [line.split(mark) for line in source.head[:-1] or source.head]


def line_chunks(source: Source, latin: bool = False) -> Iterator[pl.DataFrame]:
    """Lines that are not empty: `row`, their number from 1, and `line`.

    Args:
        source: The file.
        latin: Take a block that is no UTF-8 for Latin-1, as in the older MovieLens.

    Raises:
        BadInput: No rows; not UTF-8; the compressed file ends early.
    """
    none = True
    for first, lines in source.blocks(BYTES, latin):
        frame = pl.DataFrame({"line": pl.Series(lines, dtype=pl.String)}).with_row_index("row", offset=first)
        frame = frame.filter(pl.col("line").str.contains(r"\S"))
        if len(frame):
            none = False
            yield frame
    if none:
        raise BadInput(f"{source.path}: no rows")


def rows_of_cells(
    source: Source, mark: str, names: Sequence[str], latin: bool = False
) -> Iterator[pl.DataFrame]:
    """Rows of a text file without header: `row`, and a text a cell, null where it is empty.

    Args:
        source: The file.
        mark: What cuts a line, of any length; "" is white space.
        names: Of the cells.
        latin: As in `line_chunks`.

    Raises:
        BadInput: A line has fewer or more cells: also the last one, where a file was cut.
    """
    line = pl.col("line")
    cut = line.str.split(mark) if mark else line.str.extract_all(r"\S+")
    for lines in line_chunks(source, latin):
        frame = lines.with_columns(cut.alias("cells"))
        odd = frame.filter(pl.col("cells").list.len() != len(names))
        if len(odd):
            raise BadInput(
                f"{source.path}, line {odd['row'][0]}: {len(odd['cells'][0])} cells, "
                f"where a line has {len(names)}: {odd['line'][0][:80]!r}"
            )
        made = (pl.col("cells").list.get(i).str.strip_chars().alias(name) for i, name in enumerate(names))
        yield frame.select("row", *made).with_columns(pl.col(*names).replace("", None))
