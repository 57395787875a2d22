"""A shop's own file of graded pairs or clicks -> rows of a search, a chunk at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd
from assay.components.core.errors import BadInput
from assay.components.core.progress import steps
from assay.components.ingest.building import Built
from assay.components.ingest.columns import map_columns
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.parts.seen import Seen
from assay.components.ingest.privacy import mask_column
from assay.components.ingest.readers.files import read_chunks
from assay.components.ingest.readers.pairs import read_pairs
from assay.components.ingest.readers.search_events import read_search_events
from assay.components.ingest.search import ANY_CLICK

UNUSED_SPLIT = "name it with --split-column split"


@dataclass(frozen=True)
class Flat:
    """What a file is known to be once it was read.

    Attributes:
        columns: By role.
        clicks: Whether its rows are clicks, or else grades.
        rows: Those that were given on.
        largest: Grade.
    """

    columns: dict[str, list[str]]
    clicks: bool
    rows: int = 0
    largest: float = 0.0


def read_flat(
    data: str,
    named: dict[str, list[str]],
    ledger: Ledger,
    add: Callable[[pd.DataFrame], None],
    max_grade: float = 0.0,
    split_column: str = "",
    drop_unlabelled: bool = False,
    seen: Seen | None = None,
) -> Flat:
    """Read a file by chunks.

    A click counts only where nothing says how relevant the item is, or where the user names it.

    Args:
        data: The file.
        named: Columns by role, as the user named them.
        ledger: Where rows are counted.
        add: Takes the rows of a chunk, as `Built.rows` has them.
        max_grade: No grade may lie above; 0 is no bound.
        split_column: Column that names each row's split.
        drop_unlabelled: Drop rows without a usable label rather than refuse the file.
        seen: Ids of the events that came before in the same log.

    Raises:
        BadInput: The file cannot be used.
    """
    columns: dict[str, list[str]] = {}
    seen, rows, largest, clicks = seen or Seen(), 0, 0.0, False
    for frame in steps(read_chunks(data), "ingest", "chunk read"):
        if not columns:
            columns = map_columns(list(frame.columns), named)
            clicks = "label" not in columns or ("click" in named and "label" not in named)
            if clicks and max_grade:
                raise BadInput(
                    "--max-grade: a log of clicks has no grades; name them with --columns label=COLUMN"
                )
        ledger.rows_in += len(frame)
        frame = mask_column(frame, columns["query"][0], ledger)
        if "split" in frame and not split_column:
            ledger.note("unused_split_column", len(frame), [UNUSED_SPLIT])
        if clicks:
            found = read_search_events(frame, columns, ledger, split_column or None, drop_unlabelled, seen)
        else:
            found, top = read_pairs(
                frame, columns, ledger, max_grade or None, split_column or None, drop_unlabelled
            )
            largest = max(largest, top)
        rows += len(found)
        add(found)
    return Flat(columns, clicks, rows, largest)


def built_of(files: Sequence[Flat], max_grade: float, relevant_at: float) -> Built:
    """What is known of the rows of all files of a log, without them.

    Args:
        files: One or more.
        max_grade: Grade of label 1; the largest there is if 0.
        relevant_at: Grade from which a row is relevant; half of max_grade, or any click, if 0.

    Raises:
        BadInput: Some hold clicks and others grades; no grade can be used.
    """
    if len({one.clicks for one in files}) > 1:
        raise BadInput("some files hold clicks and others grades; ingest them apart")
    nothing, name = pd.DataFrame(), files[0].columns.get("label", [""])[0]
    if files[0].clicks:
        return Built(nothing, "click", 1.0, relevant_at or ANY_CLICK)
    rows = sum(one.rows for one in files)
    if not rows:
        raise BadInput(f"column {name!r}: no row has a usable grade")
    top = max_grade or max(one.largest for one in files)
    if not top or not any(one.largest for one in files):
        raise BadInput(f"column {name!r}: all {rows} grades are 0; there is nothing to rank by")
    return Built(nothing, "grade", top, relevant_at or top / 2)
