"""Amazon Reviews (McAuley et al., UCSD) of 2014, 2018 and 2023: reviews, 5-core ratings, products.

He and McAuley 2016; Ni et al. 2019; Hou et al. 2024. Names of reviewers are not read.
"""

from __future__ import annotations

import polars as pl
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.readers.chunks import moment, number, once, placed
from assay.components.ingest.readers.reader import Chunks, Reader
from assay.components.ingest.readers.records import records
from assay.components.ingest.readers.sources import Source
from assay.components.ingest.readers.values import joined_text
from assay.components.ingest.tables import MOMENT

_OLD = ("reviewerID", "asin", "overall")
_NEW = ("user_id", "parent_asin", "rating", "timestamp")
_TEXTS = pl.List(pl.String)
_STYLES = tuple(
    f"style.{name}:"
    for name in ("Color", "Size", "Format", "Style", "Flavor", "Scent", "Edition", "Package Quantity")
)
_OLD_FIELDS = {
    **dict.fromkeys(("reviewerID", "asin", "reviewText", "summary", "vote", "verified"), pl.String),
    **dict.fromkeys(("overall", "unixReviewTime")),
    **dict.fromkeys(("reviewTime", *_STYLES), pl.String),
    "helpful": _TEXTS,
}
_RATED = {**dict.fromkeys(("user_id", "parent_asin"), pl.String), "rating": None, "timestamp": None}
_NEW_FIELDS = {
    **_RATED,
    **dict.fromkeys(("asin", "title", "text", "verified_purchase"), pl.String),
    "helpful_vote": None,
}
_META_FIELDS = {
    **dict.fromkeys(
        ("parent_asin", "asin", "title", "main_category", "main_cat", "store", "brand"), pl.String
    ),
    "price": pl.String,
    **dict.fromkeys(("features", "feature"), _TEXTS),
    **dict.fromkeys(("average_rating", "rating_number")),
}
_TRUE = {"true": True, "True": True, "1": True, "false": False, "False": False, "0": False}
_PRICE = r"^\s*(?:US)?\$?\s*([0-9][0-9,]*(?:\.[0-9]+)?)\s*(?:-.*)?$"
"""A number with or without a currency; of a range, its lower end."""


def _is_review(source: Source) -> str | None:
    if source.has(*_OLD):
        return f"keys {', '.join(_OLD)}: Amazon Reviews of 2014 or 2018"
    if source.has(*_NEW, "text"):
        return f"columns {', '.join((*_NEW, 'text'))}: Amazon Reviews of 2023"
    return None


def _is_rating(source: Source) -> str | None:
    if source.has(*_NEW) and "text" not in source.columns:
        return f"columns {', '.join(_NEW)} and no text: ratings of Amazon Reviews 2023"
    return None


def _is_meta(source: Source) -> str | None:
    if source.has("parent_asin", "title", "main_category"):
        return "keys parent_asin, title, main_category: product meta data of Amazon Reviews 2023"
    names = {"brand", "price", "feature", "description", "also_buy", "imUrl", "salesRank", "imageURL"}
    if source.has("asin", "title") and names & set(source.columns):
        return "keys asin, title and others of a product: meta data of Amazon Reviews 2014 or 2018"
    return None


def _read_reviews(source: Source, ledger: Ledger) -> Chunks:
    return _old_reviews(source, ledger) if source.has(*_OLD) else _new_reviews(source, ledger)


def _old_reviews(source: Source, ledger: Ledger) -> Chunks:
    """2014 counts votes as [helpful, all]; 2018 as one text, "1,234", of the helpful alone."""
    for chunk in records(source, _OLD_FIELDS):
        chunk = chunk.with_columns(
            helpful=pl.coalesce(
                pl.col("helpful").list.get(0, null_on_oob=True), pl.col("vote").str.replace_all(",", "")
            ),
            votes=pl.col("helpful").list.get(1, null_on_oob=True),
        )
        seconds = moment(chunk, "unixReviewTime", source, ledger)
        day = chunk["reviewTime"].str.to_date("%m %d, %Y", strict=False).cast(pl.Datetime("us"))
        style = pl.concat_str(_STYLES, separator=", ", ignore_nulls=True)
        yield placed(
            "reviews",
            chunk.select(
                "row",
                pl.col("asin").alias("item_id"),
                pl.col("reviewerID").alias("user_id"),
                number(chunk, "overall", source, ledger).alias("rating"),
                number(chunk, "helpful", source, ledger).alias("helpful"),
                number(chunk, "votes", source, ledger).alias("votes"),
                _truth("verified"),
                pl.col("summary").alias("title"),
                pl.col("reviewText").alias("text"),
                pl.when(style != "").then(style).alias("attribute.style"),
                timestamp=pl.coalesce(seconds, day.dt.replace_time_zone("UTC").cast(MOMENT)),
            ),
            source,
        )


def _new_reviews(source: Source, ledger: Ledger) -> Chunks:
    """The product is `parent_asin`, which the meta data is by; the variant bought is an attribute."""
    for chunk in records(source, _NEW_FIELDS):
        yield placed(
            "reviews",
            chunk.select(
                "row",
                pl.col("parent_asin").alias("item_id"),
                "user_id",
                number(chunk, "rating", source, ledger).alias("rating"),
                number(chunk, "helpful_vote", source, ledger).alias("helpful"),
                moment(chunk, "timestamp", source, ledger).alias("timestamp"),
                _truth("verified_purchase"),
                "title",
                "text",
                pl.col("asin").alias("attribute.asin"),
            ),
            source,
        )


def _read_ratings(source: Source, ledger: Ledger) -> Chunks:
    for chunk in records(source, _RATED):
        yield placed(
            "events",
            chunk.select(
                "row",
                pl.col("parent_asin").alias("item_id"),
                "user_id",
                number(chunk, "rating", source, ledger).alias("value"),
                moment(chunk, "timestamp", source, ledger).alias("timestamp"),
                action=pl.lit("rating"),
            ),
            source,
        )


def _read_meta(source: Source, ledger: Ledger) -> Chunks:
    """Text: title, brand or store, features. A description repeats both and is mostly advertisement."""
    fresh = once("item_id")
    for chunk in records(source, _META_FIELDS):
        price = chunk["price"]
        # Meta data of 2018 holds style sheets and dashes where a page had no price.
        known = price.is_null() | price.is_in(["None", "—"])
        amount = price.str.extract(_PRICE).str.replace_all(",", "").cast(pl.Float64, strict=False)
        lost = amount.is_null() & ~known
        ledger.repair(
            "unreadable_number",
            int(lost.sum()),
            [f"{source.name}: price {p[:40]!r}" for p in price.filter(lost)[:20]],
        )
        meta = chunk.with_columns(
            item_id=pl.coalesce("parent_asin", "asin"),
            brand=pl.coalesce("brand", "store"),
            category=pl.coalesce("main_category", "main_cat"),
            points=pl.coalesce("features", "feature").list.join(" "),
            price=amount,
        ).with_columns(text=joined_text("title", "brand", "points"))
        meta = meta.with_columns(
            number(chunk, "average_rating", source, ledger).alias("feature.average_rating"),
            number(chunk, "rating_number", source, ledger).alias("feature.ratings"),
        )
        yield placed(
            "items",
            fresh(meta).select(
                "row",
                "item_id",
                "text",
                "category",
                "brand",
                "price",
                "feature.average_rating",
                "feature.ratings",
            ),
            source,
        )


def _truth(name: str) -> pl.Expr:
    return pl.col(name).replace_strict(_TRUE, default=None, return_dtype=pl.Boolean).alias("verified")


REVIEWS = Reader(
    "amazon_reviews",
    "Amazon Reviews 2014, 2018, 2023: reviews, jsonl, csv or parquet",
    _is_review,
    _read_reviews,
)
RATINGS = Reader(
    "amazon_ratings",
    "Amazon Reviews 2023, 5-core: user_id, parent_asin, rating, timestamp",
    _is_rating,
    _read_ratings,
)
META = Reader("amazon_meta", "Amazon Reviews 2014 (strict JSON), 2018, 2023: products", _is_meta, _read_meta)
