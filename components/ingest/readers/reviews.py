"""Reviews of shops, each as published: Women's Clothing, Datafiniti, Chinese online shopping.

Names and cities of reviewers are not read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.readers.chunks import moment, number, placed
from assay.components.ingest.readers.reader import Chunks, Reader
from assay.components.ingest.readers.records import records
from assay.components.ingest.readers.sources import Source
from assay.components.ingest.readers.values import texts


@dataclass(frozen=True)
class _Layout:
    """One way in which a set of reviews is published.

    Attributes:
        needs: Columns that tell it.
        fields: {canonical column: column of the file}, `attribute.*` among them.
        more: What else is made of a chunk.
        whole: Whether it has no other columns, as names so plain may be any file's.
    """

    needs: tuple[str, ...]
    fields: dict[str, str]
    more: Callable[[pl.DataFrame], list[pl.Expr]] = lambda chunk: []
    whole: bool = False


_WOMENS = {
    "item_id": "Clothing ID",
    "title": "Title",
    "text": "Review Text",
    "rating": "Rating",
    "helpful": "Positive Feedback Count",
    "category": "Class Name",
    "feature.age": "Age",
    "attribute.recommended": "Recommended IND",
    "attribute.division": "Division Name",
    "attribute.department": "Department Name",
}
_WOMENS_PLAIN = {
    "review_id": "review_id",
    "item_id": "clothing_id",
    "title": "title",
    "text": "review_text",
    "rating": "rating",
    "helpful": "positive_feedback_count",
    "category": "class_name",
    "feature.age": "age",
    "attribute.recommended": "recommended",
    "attribute.division": "division",
    "attribute.department": "department",
}
_DATAFINITI = {
    "review_id": "reviews.id",
    "item_id": "id",
    "title": "reviews.title",
    "text": "reviews.text",
    "rating": "reviews.rating",
    "helpful": "reviews.numHelpful",
    "timestamp": "reviews.date",
    "category": "primaryCategories",
    "attribute.recommended": "reviews.doRecommend",
    "attribute.product": "name",
    "attribute.brand": "brand",
}


def _sentiment(column: str) -> Callable[[pl.DataFrame], list[pl.Expr]]:
    """0 and 1 are no stars: what they mean goes along."""
    words = {"0": "negative", "1": "positive"}
    return lambda chunk: [
        texts(chunk[column])
        .replace_strict(words, default=None, return_dtype=pl.String)
        .alias("attribute.sentiment")
    ]


LAYOUTS = (
    _Layout(("Clothing ID", "Review Text", "Rating"), _WOMENS),
    _Layout(("clothing_id", "review_text", "rating"), _WOMENS_PLAIN),
    _Layout(("reviews.rating", "reviews.text"), _DATAFINITI),
    _Layout(
        ("cat", "label", "review"),
        {"category": "cat", "rating": "label", "text": "review"},
        _sentiment("label"),
        whole=True,
    ),
    _Layout(("label", "review"), {"rating": "label", "text": "review"}, _sentiment("label"), whole=True),
    _Layout(
        ("category", "sentiment", "review_text"),
        {"review_id": "review_id", "category": "category", "rating": "sentiment", "text": "review_text"},
        _sentiment("sentiment"),
    ),
)
"""In the order they are asked: more columns first."""


def _layout(source: Source) -> _Layout | None:
    columns = set(source.columns)
    return next(
        (
            layout
            for layout in LAYOUTS
            if (columns == set(layout.needs) if layout.whole else columns >= set(layout.needs))
        ),
        None,
    )


def _claims(source: Source) -> str | None:
    layout = _layout(source)
    return f"columns {', '.join(layout.needs)}" if layout else None


def _read(source: Source, ledger: Ledger) -> Chunks:
    layout = _layout(source) or LAYOUTS[0]
    for chunk in records(source, dict.fromkeys(layout.fields.values())):
        made = [_column(chunk, to, name, source, ledger).alias(to) for to, name in layout.fields.items()]
        yield placed("reviews", chunk.select("row", *made, *layout.more(chunk)), source)


def _column(chunk: pl.DataFrame, to: str, name: str, source: Source, ledger: Ledger) -> pl.Series:
    if to in ("rating", "helpful") or to.startswith("feature."):
        return number(chunk, name, source, ledger)
    if to == "timestamp":
        return moment(chunk, name, source, ledger)
    return texts(chunk[name])


REVIEWS = Reader(
    "reviews", "Women's Clothing, Datafiniti, Chinese online shopping: one row a review", _claims, _read
)
