"""Open Bandit Dataset (Saito et al. 2021): fashion shown in three places, each with its propensity."""

from __future__ import annotations

from pathlib import PurePosixPath

import polars as pl
from assay.components.core.errors import BadInput
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.readers.chunks import moment, number, placed
from assay.components.ingest.readers.reader import Chunks, Reader
from assay.components.ingest.readers.records import records
from assay.components.ingest.readers.sources import Source

_NEEDS = ("timestamp", "item_id", "position", "click")
_PROPENSITIES = ("propensity_score", "action_prob")
"""As the file calls it, and as its readme does."""
_CAMPAIGNS = ("all", "men", "women")
_POLICIES = ("random", "bts")
_AFFINITY = "user-item_affinity_"
_ITEM = tuple(f"item_feature_{i}" for i in range(4))


def _is_impressions(source: Source) -> str | None:
    named = [name for name in _PROPENSITIES if source.has(name)]
    if named and source.has(*_NEEDS, "user_feature_0"):
        return f"columns {', '.join((*_NEEDS, named[0], 'user_feature_0'))}"
    return None


def _is_items(source: Source) -> str | None:
    return f"columns item_id, {', '.join(_ITEM)}" if source.has("item_id", *_ITEM) else None


def _folder(source: Source, known: tuple[str, ...]) -> str | None:
    """Which of these names the file or its folders bear: `random/men/men.csv` is of men, at random."""
    parts = (source.stem, *reversed(PurePosixPath(source.path).parts[:-1]))
    return next((part for part in parts if part in known), None)


def _named(source: Source, column: str, known: tuple[str, ...]) -> pl.Expr:
    if source.has(column):
        return pl.col(column).cast(pl.String)
    return pl.lit(_folder(source, known), dtype=pl.String)


def _key(name: str, *folders: str) -> pl.Expr:
    """Items are numbered anew in each campaign, impressions in each campaign of a policy."""
    return pl.concat_str([*folders, name], separator="/", ignore_nulls=True)


def _read_impressions(source: Source, ledger: Ledger) -> Chunks:
    """Impressions, clicked or not.

    Of a user's affinity to each item, 34 to 80 columns that are nearly all zero, what counts is that to the
    item shown, and the sum.

    Raises:
        BadInput: A file with affinities shows an item that has none.
    """
    columns = source.columns
    propensity = next(name for name in _PROPENSITIES if name in columns)
    affinities = [name for name in columns if name.startswith(_AFFINITY)]
    users = [name for name in columns if name.startswith("user_feature_")]
    plain = [name for name in ("affinity_shown_item", "affinity_sum") if name in columns]
    number_of = next((name for name in ("impression_id", "", "Unnamed: 0") if name in columns), None)
    names = ["item_id", *users, *(name for name in ("campaign", "policy") if name in columns)]
    names += [] if number_of is None else [number_of]
    fields = {
        **dict.fromkeys((*_NEEDS, propensity, *plain)),
        **dict.fromkeys(names, pl.String),
        **dict.fromkeys(affinities, pl.Float64),
    }
    for chunk in records(source, fields):
        chunk = chunk.with_columns(
            campaign=_named(source, "campaign", _CAMPAIGNS), policy=_named(source, "policy", _POLICIES)
        )
        made = [
            number(chunk, "click", source, ledger).alias("clicked"),
            number(chunk, propensity, source, ledger).alias("propensity"),
            number(chunk, "position", source, ledger).cast(pl.Int32, strict=False).alias("position"),
            moment(chunk, "timestamp", source, ledger).alias("timestamp"),
            *(pl.col(name).alias(f"attribute.{name}") for name in users),
            *(number(chunk, name, source, ledger).alias(f"feature.{name}") for name in plain),
        ]
        if number_of is not None:
            numbered = chunk.select(_key(number_of, "policy", "campaign").alias("impression_id"))
            made.append(numbered.to_series())
        if affinities:
            made += _affinity(chunk, affinities, source)
        item = _key("item_id", "campaign").alias("item_id")
        shown = chunk.select("row", "policy", pl.col("campaign").alias("context"), *made, item)
        yield placed("impressions", shown, source)


def _affinity(chunk: pl.DataFrame, names: list[str], source: Source) -> list[pl.Series]:
    values = chunk.select(pl.col(names).fill_null(0.0))
    items = chunk["item_id"]
    columns = pl.DataFrame({"item_id": [name.removeprefix(_AFFINITY) for name in names]}).with_row_index(
        "place"
    )
    place = items.to_frame("item_id").join(columns, on="item_id", how="left", maintain_order="left")["place"]
    lost = chunk.filter(place.is_null() & items.is_not_null())
    if len(lost):
        raise BadInput(
            f"{source.path}, row {lost['row'][0]}: item {lost['item_id'][0]!r} has no column {_AFFINITY}...: "
            "is it a log of this campaign?"
        )
    table = values.to_numpy()
    shown = table[range(len(table)), place.fill_null(0).to_numpy()]
    return [
        pl.Series("feature.affinity_shown_item", shown),
        pl.Series("feature.affinity_sum", table.sum(axis=1)),
    ]


def _read_items(source: Source, ledger: Ledger) -> Chunks:
    """Text: the hashed features in their order, each after its name, for one hash may be of several."""
    campaign = ["campaign"] if source.has("campaign") else []
    for chunk in records(source, ["item_id", *_ITEM, *campaign]):
        chunk = chunk.with_columns(campaign=_named(source, "campaign", _CAMPAIGNS))
        words = [pl.lit(f"{name} ") + pl.col(name) for name in _ITEM[1:]]
        items = chunk.select(
            "row",
            _key("item_id", "campaign").alias("item_id"),
            number(chunk, _ITEM[0], source, ledger).alias(f"feature.{_ITEM[0]}"),
            pl.concat_str(words, separator=", ", ignore_nulls=True).alias("text"),
        )
        yield placed("items", items, source)


IMPRESSIONS = Reader(
    "open_bandit",
    "Open Bandit Dataset: fashion shown, clicks, propensities",
    _is_impressions,
    _read_impressions,
)
ITEMS = Reader("open_bandit_items", "Open Bandit Dataset: item_context", _is_items, _read_items)
