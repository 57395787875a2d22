"""RecBole's atomic files (Zhao et al. 2021): the header says the type of each column, `user_id:token`."""

from __future__ import annotations

import re
from collections.abc import Callable

import polars as pl
from assay.components.core.errors import BadInput
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.readers.chunks import moment, number, placed
from assay.components.ingest.readers.reader import Chunks, Reader
from assay.components.ingest.readers.records import records
from assay.components.ingest.readers.sources import Source
from assay.components.ingest.readers.values import joined_text

_TYPED = re.compile(r"(.+):(token|token_seq|float|float_seq)")
_TIMES = ("timestamp", "time")
_TITLES = ("title", "name")
_KINDS = ("categor", "genre", "class")


def _typed(source: Source) -> dict[str, str]:
    """{name: type} of the header; {} if a column bears no type."""
    found = [_TYPED.fullmatch(column) for column in source.columns]
    return {m[1]: m[2] for m in found if m} if all(found) else {}


def _key(source: Source, names: dict[str, str], part: str, other: str = "") -> str:
    """The id of users or of items: the token that is named so, or the first that is not named as the other.

    Raises:
        BadInput: There is none.
    """
    tokens = [name for name, kind in names.items() if kind == "token"]
    named = [name for name in tokens if part in name.lower()]
    found = named or [name for name in tokens if not other or other not in name.lower()]
    if not found:
        raise BadInput(f"{source.path}: no id of the {part}; call its column {part}_id:token")
    return found[0]


def _claim(ending: str) -> Callable[[Source], str | None]:
    def claims(source: Source) -> str | None:
        if re.search(rf"\.{ending}(\.\w+)?$", source.name.lower()) and _typed(source):
            return f"a .{ending} file with types in its header: {', '.join(source.columns[:4])}"
        return None

    return claims


def _read_interactions(source: Source, ledger: Ledger) -> Chunks:
    """Events: of action rating where there is one, else `click`, the weakest sign that was a choice."""
    names = _typed(source)
    user = _key(source, names, "user", other="item")
    item = _key(source, {k: v for k, v in names.items() if k != user}, "item")
    time = next((name for name in names if name in _TIMES), None)
    others = [name for name in names if name not in (user, item, time, "rating")]
    for chunk in records(source, source.columns):
        chunk = chunk.rename(dict(zip(source.columns, names, strict=True)))
        made = [
            pl.col(user).alias("user_id"),
            pl.col(item).alias("item_id"),
            pl.Series("action", ["rating" if "rating" in names else "click"]).new_from_index(0, len(chunk)),
            *(_other(chunk, name, names[name], source, ledger) for name in others),
        ]
        if time:
            made.append(moment(chunk, time, source, ledger).alias("timestamp"))
        if "rating" in names:
            made.append(number(chunk, "rating", source, ledger).alias("value"))
        yield placed("events", chunk.select("row", *made), source)


def _other(chunk: pl.DataFrame, name: str, kind: str, source: Source, ledger: Ledger) -> pl.Series:
    if kind == "float":
        return number(chunk, name, source, ledger).alias(f"feature.{name}")
    return chunk[name].alias(f"attribute.{name}")


def _read_items(source: Source, ledger: Ledger) -> Chunks:
    """Text: titles, then the other sequences of tokens (genres, categories) in the order of the header."""
    names = _typed(source)
    item = _key(source, names, "item")
    texts = [name for name, kind in names.items() if name != item and kind in ("token_seq", "token")]
    titles = [name for name in texts if any(part in name.lower() for part in _TITLES)]
    words = titles + [name for name in texts if name not in titles and names[name] == "token_seq"]
    kinds = [name for name in texts if any(part in name.lower() for part in _KINDS)]
    for chunk in records(source, source.columns):
        chunk = chunk.rename(dict(zip(source.columns, names, strict=True)))
        made: list = [pl.col(item).alias("item_id")]
        made.append(joined_text(*words).alias("text") if words else pl.lit(None, pl.String).alias("text"))
        if kinds:
            made.append(pl.col(kinds[0]).alias("category"))
        for name, kind in names.items():
            if name == "price":
                made.append(number(chunk, name, source, ledger))
            elif name == "brand":
                made.append(pl.col(name))
            elif kind == "float" or (kind == "token" and name not in (item, *words, *kinds)):
                made.append(_other(chunk, name, kind, source, ledger))
        yield placed("items", chunk.select("row", *made), source)


INTERACTIONS = Reader(
    "recbole_inter", "RecBole .inter: user_id:token, item_id:token, ...", _claim("inter"), _read_interactions
)
ITEMS = Reader(
    "recbole_item", "RecBole .item: item_id:token, title:token_seq, ...", _claim("item"), _read_items
)
