"""ESCI, Amazon's Shopping Queries: examples, products and sources, as released in 2022 and for the KDD Cup.

Reddy et al. 2022, "Shopping Queries Dataset", https://github.com/amazon-science/esci-data. A product id is
one product's in each locale, so an item's id here is `locale:product_id`.
"""

from __future__ import annotations

import polars as pl
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.readers.chunks import kept
from assay.components.ingest.readers.reader import Chunks, Reader
from assay.components.ingest.readers.records import records
from assay.components.ingest.readers.sources import Source
from assay.components.ingest.readers.values import joined_text

_WORDS = {"exact": 3.0, "substitute": 2.0, "complement": 1.0, "irrelevant": 0.0}
GRADES = _WORDS | {word[0]: grade for word, grade in _WORDS.items()}
"""{label in lower case: grade}: letters of the release, words of the KDD Cup."""
_LOCALES = ("product_locale", "query_locale", "locale")
_LABELS = ("esci_label", "label")
_COLOURS = ("product_color", "product_color_name")
_SPLITS = ("split", "fold")
_TEXTS = ("product_title", "product_brand", "colour", "product_description", "product_bullet_point")
_SCHEMA = dict.fromkeys(
    (
        *("query_id", "query", "product_id", "source", *_LOCALES, *_LABELS, *_COLOURS, *_SPLITS),
        *("product_title", "product_brand", "product_description", "product_bullet_point"),
    ),
    pl.String,
)


def _claims(source: Source) -> str | None:
    there = set(source.columns)
    locale = next((name for name in _LOCALES if name in there), "")
    if locale and {"query", "product_id", "esci_label"} <= there:
        return f"columns query, product_id, {locale}, esci_label"
    # A column `label` may be any; beside bullet points it is theirs.
    if locale and {"query", "product_id", "label", "product_bullet_point"} <= there:
        return f"columns query, product_id, product_bullet_point, {locale}, label"
    if {"product_id", "product_title", "product_locale"} <= there:
        return "columns product_id, product_title, product_locale"
    if there == {"query_id", "source"}:
        return "columns query_id, source and no other"
    return None


def _read(source: Source, ledger: Ledger) -> Chunks:
    judged = source.has("product_id", "query")
    for frame in records(source, _SCHEMA):
        frame = frame.with_columns(
            locale=pl.coalesce(_LOCALES),
            colour=pl.coalesce(_COLOURS),
            label=pl.coalesce(_LABELS),
            where=pl.lit(source.name),
        ).with_columns(item_id=pl.col("locale") + ":" + pl.col("product_id"))
        if not source.has("product_id"):
            yield (
                "queries",
                frame.select("query_id", "row", source="where", **{"attribute.source": pl.col("source")}),
            )
            continue
        if source.has("product_title"):
            yield "items", _items(frame)
        if judged:
            yield "judgments", _judgments(frame, source, ledger)


def _items(frame: pl.DataFrame) -> pl.DataFrame:
    """Title, brand, colour, description, bullet points, each product once a chunk."""
    return (
        frame.filter(pl.col("item_id").is_not_null())
        .unique("item_id", maintain_order=True)
        .select(
            "item_id",
            "colour",
            "row",
            text=joined_text(*_TEXTS),
            brand="product_brand",
            source="where",
        )
    )


def _judgments(frame: pl.DataFrame, source: Source, ledger: Ledger) -> pl.DataFrame:
    frame = kept(frame, pl.col("label").is_not_null(), "unlabelled", "product_id", source, ledger)
    label = pl.col("label").str.to_lowercase()
    frame = frame.with_columns(grade=label.replace_strict(GRADES, default=None, return_dtype=pl.Float64))
    frame = kept(frame, pl.col("grade").is_not_null(), "unknown_label", "label", source, ledger)
    split = pl.coalesce(_SPLITS).str.to_lowercase()
    return frame.select(
        "query_id",
        "query",
        "item_id",
        "grade",
        "locale",
        "row",
        split=pl.when(split.str.contains("test"))
        .then(pl.lit("test"))
        .when(split.str.contains("train"))
        .then(pl.lit("train")),
        source="where",
    )


ESCI = Reader("esci", "ESCI / Shopping Queries: examples, products, sources", _claims, _read)
