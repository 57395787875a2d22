"""WANDS, Wayfair's annotated searches: query.csv, product.csv, label.csv, all separated by tabs.

Chen et al. 2022, "WANDS: Dataset for Product Search Relevance Assessment", https://github.com/wayfair/WANDS.
"""

from __future__ import annotations

import polars as pl
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.readers.chunks import kept
from assay.components.ingest.readers.reader import Chunks, Reader
from assay.components.ingest.readers.records import records
from assay.components.ingest.readers.sources import Source
from assay.components.ingest.readers.values import joined_text

GRADES = {"exact": 2.0, "partial": 1.0, "irrelevant": 0.0}
_QUERY = dict.fromkeys(("query_id", "query", "query_class"), pl.String)
_LABEL = dict.fromkeys(("query_id", "product_id", "label"), pl.String)
_COUNTS = ("rating_count", "average_rating", "review_count")
_HIERARCHY = ("category hierarchy", "category_hierarchy")
"""As it is published, and as its own description has it."""
_PRODUCT = {
    **dict.fromkeys(
        (
            *("product_id", "product_name", "product_class", *_HIERARCHY),
            *("product_description", "product_features"),
        ),
        pl.String,
    ),
    **dict.fromkeys(_COUNTS, pl.Float64),
}
_FILES = (
    ({"query_id", "query", "query_class"}, "columns query_id, query, query_class"),
    *(({"product_id", "product_name", name}, f"columns product_name, {name}") for name in _HIERARCHY),
)
_LABELLED = {"id", "query_id", "product_id", "label"}


def _claims(source: Source) -> str | None:
    there = set(source.columns)
    if there == _LABELLED:
        return "columns id, query_id, product_id, label and no other"
    return next((why for names, why in _FILES if names <= there), None)


def _read(source: Source, ledger: Ledger) -> Chunks:
    where = pl.lit(source.name).alias("source")
    if source.has("query_class"):
        for frame in records(source, _QUERY):
            named = pl.col("query_class").alias("attribute.query_class")
            yield "queries", frame.select("query_id", "query", named, "row", where)
    elif source.has("product_name"):
        for frame in records(source, _PRODUCT):
            yield "items", _items(frame).with_columns(where)
    else:
        for frame in records(source, _LABEL):
            label = pl.col("label").str.to_lowercase()
            frame = frame.with_columns(
                grade=label.replace_strict(GRADES, default=None, return_dtype=pl.Float64)
            )
            frame = kept(frame, pl.col("label").is_not_null(), "unlabelled", "product_id", source, ledger)
            frame = kept(frame, pl.col("grade").is_not_null(), "unknown_label", "label", source, ledger)
            yield "judgments", frame.select("query_id", "grade", "row", where, item_id="product_id")


def _items(frame: pl.DataFrame) -> pl.DataFrame:
    """Name, class, description, features; bars between features are commas, spaces around colons go."""
    features = pl.col("product_features")
    folded = features.str.replace_all(r"\s*:\s*", ": ").str.replace_all(r"\s*\|\s*", ", ")
    return frame.with_columns(folded=folded).select(
        "row",
        item_id="product_id",
        text=joined_text("product_name", "product_class", "product_description", "folded"),
        category=pl.coalesce(_HIERARCHY),
        type="product_class",
        colour=features.str.extract(r"(?:^|\|)\s*colou?r\s*:\s*([^|]*[^|\s])"),
        **{f"feature.{name}": pl.col(name) for name in _COUNTS},
    )


WANDS = Reader("wands", "WANDS: query.csv, product.csv, label.csv (tab-separated)", _claims, _read)
