"""The formats by name, and which of them a file is: adding one touches one new file and one line here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl
from assay.components.core.errors import BadInput
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.readers import (
    amazon_reviews,
    avazu,
    beir,
    bge,
    criteo,
    esci,
    interactions,
    judgments,
    letor,
    mapping,
    metarank,
    movielens,
    msrd,
    open_bandit,
    otto,
    recbole,
    rees46,
    retailrocket,
    reviews,
    trec,
    ubi,
    wands,
)
from assay.components.ingest.readers.reader import Reader
from assay.components.ingest.readers.sources import Source
from assay.components.ingest.tables import LOGGED, Tables, canonical, joined

_SEARCH = (
    *(ubi.UBI, metarank.METARANK, esci.ESCI, wands.WANDS, msrd.MSRD, bge.BGE),
    *(judgments.WORKBENCH, judgments.QUEPID, beir.BEIR, letor.LETOR),
)
_SHOP = (
    *(amazon_reviews.REVIEWS, amazon_reviews.RATINGS, amazon_reviews.META),
    *(open_bandit.IMPRESSIONS, open_bandit.ITEMS, avazu.IMPRESSIONS, criteo.DISPLAY, criteo.UPLIFT),
    *(retailrocket.EVENTS, retailrocket.PROPERTIES, retailrocket.TREE, rees46.EVENTS, otto.EVENTS),
    *(recbole.INTERACTIONS, recbole.ITEMS, movielens.RATINGS, movielens.MOVIES),
    *(interactions.INTERACTIONS, interactions.ITEMS, reviews.REVIEWS),
    *map(mapping.reader_of, mapping.shipped()),
)
# `4 qid:1 # 7557` is four cells too: letor before the judgments of TREC.
READERS: dict[str, Reader] = {reader.name: reader for reader in (*_SEARCH, *_SHOP, trec.QRELS, trec.RUN)}
"""In the order they are asked: what is told by more comes first."""


@dataclass(frozen=True)
class Claim:
    """A file and the format it is of.

    Attributes:
        source: The file.
        reader: Who reads it.
        why: What it was told by, in words.
    """

    source: Source
    reader: Reader
    why: str


def claim(source: Source, named: str = "") -> Claim | None:
    """The first reader that claims a file, or the one that is named; None where none does.

    Raises:
        BadInput: There is no reader of that name.
    """
    if named:
        if named not in READERS:
            raise BadInput(f"--format {named}: no such format; known: {', '.join(READERS)}")
        return Claim(source, READERS[named], "named by --format")
    for reader in READERS.values():
        why = reader.claims(source)
        if why:
            return Claim(source, reader, why)
    return None


def claimed(sources: Sequence[Source], named: str = "") -> list[Claim]:
    """A claim on every file.

    Raises:
        BadInput: A file is of no known format.
    """
    found = []
    for source in sources:
        one = claim(source, named)
        if one is None:
            seen = ", ".join(source.columns[:20]) or repr(source.head[0][:80])
            raise BadInput(
                f"{source.path}: no reader knows this format (it has {seen}); name its columns with "
                f"--columns, its format with --format ({', '.join(READERS)}), or describe it in a file "
                "for --mapping"
            )
        found.append(one)
    return found


def chunks(one: Claim, ledger: Ledger) -> Iterator[tuple[str, pl.DataFrame]]:
    """Rows of a file as canonical tables, a chunk at a time; `rows_in` are those that the ledger counts.

    Raises:
        BadInput: The file cannot be read to its end.
    """
    before = sum(ledger.dropped.values())
    for name, chunk in one.reader.read(one.source, ledger):
        ledger.rows_in += len(chunk) if name in LOGGED else 0
        yield name, canonical(name, chunk)
    ledger.rows_in += sum(ledger.dropped.values()) - before


def gathered(claims: Sequence[Claim], ledger: Ledger) -> Tables:
    """All `chunks` of all files, as one table each."""
    return joined(chunk for one in claims for chunk in chunks(one, ledger))
