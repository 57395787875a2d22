"""Reviews -> rows, one a review, labelled by its rating or by whether it was found helpful."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
from assay.components.core.errors import BadInput
from assay.components.ingest.building import Built, Policy, missing
from assay.components.ingest.cleaning.facts import Facts
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.split import alike
from assay.components.ingest.tables import Tables


def build(tables: Tables, ledger: Ledger, policy: Policy) -> Built:
    """One row a review: the context is its product, the item what was written.

    The list is the product's reviews, and a split never tears it. Where there are no products, each review
    is a list of its own, and reviews of the same words lie in one split. The label is whether the rating
    reaches `relevant_at`, half of the largest unless named; or, where ratings are foretold, the rating over
    the largest one.

    Args:
        tables: `reviews`; `items`, where there.
        ledger: Where rows are counted.
        policy: `label`, `max_grade`, `relevant_at`, `drop_unlabelled`.

    Raises:
        BadInput: There are no reviews; a rating is missing or negative; holdout is not by hash; the label
            is another task's.
    """
    reviews = tables.get("reviews")
    if reviews is None or not len(reviews):
        raise missing("review", "reviews", "texts with a rating, or with votes")
    if policy.holdout:
        raise BadInput(f"policy.holdout {policy.holdout}: reviews are split by product; leave it out")
    policy.labelled_by("review", "liked", "rating", "helpful")
    reviews = _once(reviews, ledger)
    grade = _grade(policy)
    reviews = reviews.with_columns(grade.alias("grade"))
    unusable = reviews.filter(~(pl.col("grade").is_finite() & (pl.col("grade") >= 0)).fill_null(False))
    if len(unusable):
        where = [f"row {row}" for row in unusable["row"].head(20)]
        if policy.label != "helpful" and not policy.drop_unlabelled:
            raise BadInput(
                f"{len(unusable)} of {len(reviews)} reviews have no usable rating (e.g. "
                f"{', '.join(where[:3])}); mend them, name the column with --columns label=COLUMN, or drop "
                "them with --drop-unlabelled"
            )
        ledger.drop("no_votes" if policy.label == "helpful" else "unlabelled", len(unusable), where)
        reviews = reviews.join(
            unusable.select("source", "row"), on=["source", "row"], how="anti", maintain_order="left"
        )
    if not len(reviews):
        raise BadInput("no review has a usable rating, or votes where policy.label is helpful")
    largest = float(reviews["grade"].max())  # type: ignore[arg-type]
    ratings = policy.label != "helpful"
    top = policy.max_grade or (largest if ratings else max(largest, 1.0))
    if largest > top:
        raise BadInput(f"ratings up to {largest:g} are above --max-grade {top:g}")
    relevant_at = policy.relevant_at or (top / 2 if ratings else _helpful_from(reviews))
    several = policy.label == "rating" and reviews["grade"].n_unique() > 2
    items = tables.get("items", pl.DataFrame(schema={"item_id": pl.String, "text": pl.String}))
    products = items.select("item_id", pl.col("text").alias("product")).unique("item_id", keep="first")
    reviews = reviews.join(products, on="item_id", how="left", maintain_order="left")
    said = pl.concat_str(["title", "text"], separator=". ", ignore_nulls=True)
    key = pl.coalesce("review_id", pl.format("{}:{}", "source", "row"))
    text = reviews.select(said.fill_null("")).to_series()
    rows = reviews.select(
        pl.coalesce("product", "category", pl.lit("")).alias("context"),
        text.alias("item"),
        key.alias("item_id"),
        pl.coalesce("item_id", key).alias("group_id"),
        pl.coalesce("item_id", alike(text)).alias("unit"),
        pl.coalesce(
            [pl.col(c) for c in ("attribute.segment", "category") if c in reviews.columns] + [pl.lit("all")]
        ).alias("segment"),
        (
            pl.col("attribute.split") if "attribute.split" in reviews.columns else pl.lit(None, pl.String)
        ).alias("split"),
        pl.col("grade"),
        "timestamp",
        "source",
        pl.coalesce("user_id", "session_id").alias("user_id"),
        *(pl.col(c) for c in reviews.columns if c.startswith("feature.")),
    ).to_pandas()
    rows["split"] = rows["split"].astype(object).where(rows["split"].notna(), None)
    if not several:
        rows["label"] = (rows["grade"] >= relevant_at).astype("float64")
    # A rating of several steps is told by how far off it is; of two, by whether it is right.
    return Built(rows, "grade", top, relevant_at, "quadratic_kappa" if several else "auc")


def knowing(policy: Policy, facts: Facts) -> Policy:
    """The policy with the largest rating of all parts of a log, by which a part's are told good or bad."""
    if policy.max_grade or policy.label == "helpful":
        return policy
    return replace(policy, max_grade=facts.largest_rating("reviews"))


def _once(reviews: pl.DataFrame, ledger: Ledger) -> pl.DataFrame:
    """One review of a product by a user, the last one; and each id once."""
    again = pl.col("review_id").is_not_null() & ~pl.col("review_id").is_first_distinct()
    twice = reviews.filter(again)
    ledger.drop("duplicate_review", len(twice), twice["review_id"].head(20).to_list())
    reviews = reviews.filter(~again)
    known = pl.col("user_id").is_not_null() & pl.col("item_id").is_not_null()
    newest = reviews.with_row_index("_place").sort("timestamp", nulls_last=False, maintain_order=True)
    old = newest.filter(known & ~pl.struct("user_id", "item_id").is_last_distinct())
    ledger.drop("older_review", len(old), [f"row {row}" for row in old["row"].head(20)])
    return newest.join(old.select("_place"), on="_place", how="anti").sort("_place").drop("_place")


def _grade(policy: Policy) -> pl.Expr:
    """The rating; or the share of votes that found it helpful; or how many, where votes are not known."""
    if policy.label != "helpful":
        return pl.col("rating")
    share = pl.when(pl.col("votes") > 0).then(pl.col("helpful") / pl.col("votes"))
    return pl.when(pl.col("votes").is_null()).then(pl.col("helpful")).otherwise(share)


def _helpful_from(reviews: pl.DataFrame) -> float:
    """Half of the votes; one vote, where only those that found it helpful are counted."""
    return 0.5 if reviews["votes"].is_not_null().any() else 1.0
