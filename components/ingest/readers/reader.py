"""What a reader is: it knows one format, and no task."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import polars as pl
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.readers.sources import Source

Chunks = Iterator[tuple[str, pl.DataFrame]]
"""(name of a canonical table, some of its rows): as much at once as a chunk of the file holds."""


@dataclass(frozen=True)
class Reader:
    """A format.

    Attributes:
        name: What `ledger.json` and `--format` call it.
        about: What it reads, in one line for people.
        claims: A file -> why it is of this format, in words ("columns query_id, product_id, esci_label"), or
            None. Looks at `Source.columns`, `Source.head` and names, never at the whole file.
        read: A claimed file -> its rows as canonical tables. What it cannot make a row of it counts in the
            ledger with `drop`; what it changes, with `repair`.
    """

    name: str
    about: str
    claims: Callable[[Source], str | None]
    read: Callable[[Source, Ledger], Chunks]
