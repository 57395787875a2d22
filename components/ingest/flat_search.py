"""A shop's own file of graded pairs or clicks -> rows of a search, a chunk at a time."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
from assay.components.core.errors import BadInput
from assay.components.ingest.building import Built
from assay.components.ingest.columns import map_columns
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.readers.files import read_chunks
from assay.components.ingest.readers.pairs import read_pairs
from assay.components.ingest.readers.search_events import read_search_events
from assay.components.ingest.search import ANY_CLICK
from assay.components.ingest.seen import Seen

UNUSED_SPLIT = "name it with --split-column split"


def flat_search(
    data: str,
    named: dict[str, list[str]],
    ledger: Ledger,
    add: Callable[[pd.DataFrame], None],
    max_grade: float = 0.0,
    relevant_at: float = 0.0,
    split_column: str = "",
    drop_unlabelled: bool = False,
) -> tuple[Built, dict[str, list[str]]]:
    """Read a file by chunks.

    A click counts only where nothing says how relevant the item is, or where the user names it.

    Args:
        data: The file.
        named: Columns by role, as the user named them.
        ledger: Where rows are counted.
        add: Takes the rows of a chunk, as `Built.rows` has them.
        max_grade: Grade of label 1; the largest in the file if 0.
        relevant_at: Grade from which a row is relevant; half of max_grade, or any click, if 0.
        split_column: Column that names each row's split.
        drop_unlabelled: Drop rows without a usable label rather than refuse the file.

    Returns:
        What is known of all rows, without them, and the columns by role.

    Raises:
        BadInput: The file cannot be used.
    """
    columns: dict[str, list[str]] = {}
    seen, rows, largest, clicks = Seen(), 0, 0.0, False
    for frame in read_chunks(data):
        if not columns:
            columns = map_columns(list(frame.columns), named)
            clicks = "label" not in columns or ("click" in named and "label" not in named)
            if clicks and max_grade:
                raise BadInput(
                    "--max-grade: a log of clicks has no grades; name them with --columns label=COLUMN"
                )
        ledger.rows_in += len(frame)
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
    nothing = pd.DataFrame()
    if clicks:
        return Built(nothing, "click", 1.0, relevant_at or ANY_CLICK), columns
    name = columns["label"][0]
    if not rows:
        raise BadInput(f"column {name!r}: no row has a usable grade")
    if not largest:
        raise BadInput(f"column {name!r}: all {rows} grades are 0; there is nothing to rank by")
    top = max_grade or largest
    return Built(nothing, "grade", top, relevant_at or top / 2), columns
