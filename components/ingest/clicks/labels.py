"""Labels from behaviour: what was done to an item shown, as a grade; and what was not done, as negatives."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl
from assay.components.core.errors import BadInput
from assay.components.ingest.ledger import Ledger

NEGATIVES = ("skipped", "all", "none")
_PAGE = pl.coalesce("query_id", "session_id", "context")


@dataclass(frozen=True)
class LabelPolicy:
    """What counts how much. The largest grade of what was done holds; a rating overrules it.

    Attributes:
        purchase: Grade of an item bought.
        cart: Grade of one put into the cart.
        click: Grade of one clicked, where dwell is at least `min_dwell` seconds or nobody measured it.
        min_dwell: Seconds; a shorter visit is as good as none.
        liked_from: A rating from which the item counts as bought, whatever else was done.
        disliked_to: A rating down to which it counts 0, even where it was bought.
        negatives: `skipped`: of what was not clicked, only what lies above the last click of its page, and
            `below` items below it, counts 0, since the rest was perhaps not looked at; `all`: everything not
            clicked; `none`: nothing. Joachims et al. 2005, "Accurately interpreting clickthrough data as
            implicit feedback", sections 5.1 and 5.5.
        below: Items below the last click that count as looked at.
        empty_pages: Keep the items of pages without a click as negatives.

    Raises:
        BadInput: Grades do not rise from click to purchase, or a value is none.
    """

    purchase: float = 3.0
    cart: float = 2.0
    click: float = 1.0
    min_dwell: float = 0.0
    liked_from: float = 4.0
    disliked_to: float = 2.0
    negatives: str = "skipped"
    below: int = 1
    empty_pages: bool = False

    def __post_init__(self) -> None:
        numbers = [value for value in asdict(self).values() if isinstance(value, float)]
        if not all(math.isfinite(value) for value in numbers):
            raise BadInput("labels: every value must be a finite number")
        if not 0 < self.click <= self.cart <= self.purchase:
            raise BadInput(
                f"labels: click {self.click:g}, cart {self.cart:g}, purchase {self.purchase:g}: grades must "
                "be above 0 and not fall from click to purchase"
            )
        if self.negatives not in NEGATIVES:
            raise BadInput(f"labels: negatives {self.negatives!r}: one of {', '.join(NEGATIVES)}")
        if self.min_dwell < 0 or self.below < 0:
            raise BadInput("labels: min_dwell (seconds) and below (items) must be 0 or more")
        if not self.disliked_to < self.liked_from:
            raise BadInput("labels: disliked_to must lie below liked_from")

    @property
    def max_grade(self) -> float:
        """Grade of label 1."""
        return self.purchase

    def as_dict(self) -> dict[str, Any]:
        """As JSON, for the manifest."""
        return asdict(self) | {"max_grade": self.max_grade}


def graded(joined: pl.DataFrame, policy: LabelPolicy | None = None) -> pl.DataFrame:
    """Impressions with `grade`, float64 from 0 to `max_grade`, and `label`, grade / max_grade.

    Args:
        joined: What `join` gave.
        policy: What counts how much; the default if None.
    """
    policy = policy or LabelPolicy()
    visited = (pl.col("clicked").fill_null(0) > 0) & (
        pl.col("dwell").is_null() | (pl.col("dwell") >= policy.min_dwell)
    )
    done = (
        pl.when(pl.col("purchased") > 0).then(policy.purchase)
        .when(pl.col("carted") > 0).then(policy.cart)
        .when(visited).then(policy.click)
        .otherwise(0.0)
    )  # fmt: skip
    grade = (
        pl.when(pl.col("rating") >= policy.liked_from).then(policy.purchase)
        .when(pl.col("rating") <= policy.disliked_to).then(0.0)
        .otherwise(done)
    )  # fmt: skip
    return joined.with_columns(grade=grade).with_columns(label=pl.col("grade") / policy.max_grade)


def with_negatives(rows: pl.DataFrame, ledger: Ledger, policy: LabelPolicy | None = None) -> pl.DataFrame:
    """Rows that say something: what was clicked or more, and what was passed over.

    A page is a search, else a session, else what the items were shown for. Rows without a position cannot be
    above or below anything, and are kept.

    Args:
        rows: What `graded` gave.
        ledger: What is left out is counted: `page_without_click`, `not_looked_at` (below the last click),
            `not_clicked` (with negatives `none`).
        policy: Which negatives; the default if None.

    Returns:
        The rows kept, in their order.
    """
    policy = policy or LabelPolicy()
    touched = (pl.col("clicked").fill_null(0) > 0) | (pl.col("grade") > 0) | pl.col("rating").is_not_null()
    if policy.negatives == "all":
        return rows
    if policy.negatives == "none":
        ledger.drop("not_clicked", rows.select((~touched).sum()).item())
        return rows.filter(touched)
    last = pl.col("position").filter(touched).max().over("__page")
    marked = rows.with_columns(__page=_PAGE).with_columns(
        __last=last, __some=touched.any().over("__page"), __touched=touched
    )
    deep = (pl.col("position") > pl.col("__last") + policy.below).fill_null(False) & ~pl.col("__touched")
    empty = ~pl.col("__some") & pl.lit(not policy.empty_pages)
    ledger.drop("page_without_click", marked.select(empty.sum()).item())
    ledger.drop("not_looked_at", marked.select((deep & ~empty).sum()).item())
    return marked.filter(~empty & ~deep).drop("__page", "__last", "__some", "__touched")
