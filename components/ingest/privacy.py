"""Personal data masked in the tables, and ids of people turned into pseudonyms by a keyed hash."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import pandas as pd
import polars as pl
from assay.components.core.pseudonyms import KEY, KEY_FILE, id_key, pseudonym
from assay.components.ingest.cleaning.account import counted, present
from assay.components.ingest.columns import as_text
from assay.components.ingest.ledger import EXAMPLES, Ledger
from assay.components.ingest.personal import KINDS, LOOKED_AT, masked
from assay.components.ingest.tables import Tables

IDS = ("user_id", "session_id")
"""Columns that name a person."""
WRITTEN = {
    "queries": ("query",),
    "impressions": ("query", "context"),
    "events": ("query",),
    "judgments": ("query",),
    "reviews": ("title", "text"),
}
"""{table: columns that customers write}; items are the shop's own words."""


def mask_texts(tables: Tables, ledger: Ledger, items: bool = False) -> Tables:
    """The tables with personal data masked in what customers wrote.

    Args:
        tables: Canonical tables; not changed.
        ledger: Gets `masked_email` and so on as repaired: rows, with where they are and never with the text.
        items: Mask texts of items as well.
    """
    out = dict(tables)
    columns = WRITTEN | ({"items": ("text",)} if items else {})
    for name in present(tables, *columns):
        frame = tables[name]
        touched = {kind: pl.repeat(False, len(frame), eager=True) for kind in KINDS}
        for column in columns[name]:
            table = _masks(frame[column])
            if table.is_empty():
                continue
            frame = frame.join(table.rename({"_text": column}), on=column, how="left", maintain_order="left")
            touched = {kind: rows | frame[f"_{kind}"].fill_null(False) for kind, rows in touched.items()}
            frame = frame.with_columns(pl.coalesce("_masked", column).alias(column)).select(
                tables[name].columns
            )
        for kind, rows in touched.items():
            counted(ledger.repair, f"masked_{kind}", frame, rows)
        out[name] = frame
    return out


def _masks(texts: pl.Series) -> pl.DataFrame:
    """Of the distinct texts that change: `_text`, `_masked`, and `_KIND`, whether it had any (bool)."""
    looked_at = texts.unique().drop_nulls()
    looked_at = looked_at.filter(looked_at.str.contains(LOOKED_AT))
    changed = [line for text in looked_at.to_list() if (line := (text, *masked(text)))[2]]
    return pl.DataFrame(
        {
            "_text": [text for text, _, _ in changed],
            "_masked": [after for _, after, _ in changed],
            **{f"_{kind}": [kind in kinds for _, _, kinds in changed] for kind in KINDS},
        },
        schema={"_text": pl.String, "_masked": pl.String, **{f"_{kind}": pl.Boolean for kind in KINDS}},
    )


def mask_column(frame: pd.DataFrame, column: str, ledger: Ledger) -> pd.DataFrame:
    """A flat log with personal data masked in a column that customers write.

    Args:
        frame: The log; not changed. Values of the column may be anything that `as_text` reads.
        column: The one; a group of that name is masked with it.
        ledger: As `mask_texts` has it.
    """
    # Distinct values alone are looked at: a log repeats its queries.
    try:
        place, values = pd.factorize(frame[column])
    except TypeError:
        # Lists and the like: the reader refuses them, and says so.
        return frame
    texts = as_text(pd.Series(values, dtype=object, name=column))
    masks = _masks(pl.Series(texts.to_list(), dtype=pl.String))
    if masks.is_empty():
        return frame
    number = pd.Index(masks["_text"].to_list()).get_indexer(texts)
    number = np.where(place >= 0, number[place], -1)
    for kind in KINDS:
        rows = (number >= 0) & masks[f"_{kind}"].to_numpy()[number]
        ledger.repair(
            f"masked_{kind}", int(rows.sum()), [f"row {row}" for row in frame.index[rows][:EXAMPLES]]
        )
    new = frame[column].astype(object)
    changed = number >= 0
    new[changed] = masks["_masked"].to_numpy()[number[changed]]
    return frame.assign(**{column: new})


def protected(tables: Tables, ledger: Ledger) -> Tables:
    """Personal data masked; and ids of people turned into pseudonyms where there is a key for them."""
    tables = mask_texts(tables, ledger)
    return pseudonymised(tables, id_key()) if _keyed() else tables


def pseudonyms(ids: list[str]) -> list[str]:
    """Pseudonyms in place of ids where there is a key for them; else the ids."""
    if not _keyed():
        return ids
    key = id_key()
    return [pseudonym(one, key) for one in ids]


def _keyed() -> bool:
    return bool(os.environ.get(KEY) or os.environ.get(KEY_FILE))


# -- ids -----------------------------------------------------------------------------------------------------


def pseudonymised(tables: Tables, key: bytes, columns: Sequence[str] = IDS) -> Tables:
    """The tables with pseudonyms in place of the ids of people.

    Args:
        tables: Canonical tables; not changed.
        key: Of `id_key`.
        columns: Which ids.
    """
    out = dict(tables)
    for name, frame in tables.items():
        for column in (c for c in columns if c in frame.columns):
            known = frame[column].unique().drop_nulls()
            if not len(known):
                continue
            table = pl.DataFrame(
                {column: known, "_new": [pseudonym(value, key) for value in known.to_list()]}
            )
            frame = frame.join(table, on=column, how="left", maintain_order="left")
            frame = frame.with_columns(pl.col("_new").alias(column)).drop("_new")
        out[name] = frame
    return out
