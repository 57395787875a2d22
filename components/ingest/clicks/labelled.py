"""Impressions of a search log -> labels by the policy, and the counts that positions are told by."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import polars as pl
from assay.components.core.errors import BadInput
from assay.components.ingest.building import Policy
from assay.components.ingest.cleaning.facts import Facts
from assay.components.ingest.cleaning.policy import Policy as Cleaning
from assay.components.ingest.cleaning.repeats import bots
from assay.components.ingest.clicks.bias import NONE
from assay.components.ingest.clicks.estimators import counted
from assay.components.ingest.clicks.labels import LabelPolicy, graded, with_negatives
from assay.components.ingest.ledger import Ledger

BEHAVIOURS = ("carted", "purchased", "dwell", "rating")
"""What may be known of an impression beside its click."""


def labelled(shown: pl.DataFrame, ledger: Ledger, policy: Policy) -> tuple[pl.DataFrame, pl.DataFrame | None]:
    """Impressions that say something, with what they say.

    Of `click` that is all of them, and the click. Of `graded` it is what `LabelPolicy` says; but where
    position bias is to be taken out, all that was not clicked stays a negative, however deep: who passes over
    what he did not look at is what the correction is about, and it would be corrected twice.

    Args:
        shown: Table `impressions`, with `clicked` 0 or 1 and where known `BEHAVIOURS`.
        ledger: What is left out is counted, as `with_negatives` does.
        policy: `label`, `min_dwell`, `bias`.

    Returns:
        The impressions, of `graded` with `label` in [0, 1], and with `bought` (0 or 1) where any purchase is
        known; and the `counted` of all impressions, None where bias stays in.

    Raises:
        BadInput: Nothing but clicks is known, and the label is to be graded.
    """
    counts = None if policy.bias == NONE else counted(shown, policy.bias)
    lacking = [pl.lit(None, pl.Float64).alias(name) for name in BEHAVIOURS if name not in shown.columns]
    shown = shown.with_columns(lacking)
    if policy.label == "graded":
        _known(shown, policy)
        rule = LabelPolicy(min_dwell=policy.min_dwell)
        paged = any(shown[name].is_not_null().any() for name in ("query_id", "session_id"))
        # Without pages there is no last click of a page to be above or below of.
        if counts is not None or not paged:
            rule = replace(rule, negatives="all")
        shown = with_negatives(graded(shown, rule), ledger, rule).drop("grade")
    if (shown["purchased"].fill_null(0) > 0).any():
        shown = shown.with_columns(bought=(pl.col("purchased").fill_null(0) > 0).cast(pl.Float64))
    return shown.drop(BEHAVIOURS), counts


def _known(shown: pl.DataFrame, policy: Policy) -> None:
    done = shown.select(
        *((pl.col(name) > 0).any() for name in ("carted", "purchased")),
        *(pl.col(name).is_not_null().any() for name in ("dwell", "rating")),
    ).row(0)
    found = dict(zip(BEHAVIOURS, done, strict=True))
    if not any(found[name] for name in ("carted", "purchased", "rating")) and not (
        found["dwell"] and policy.min_dwell
    ):
        dwell = "dwell, of which policy.min_dwell says nothing" if found["dwell"] else "a dwell"
        raise BadInput(
            f"policy.label graded: nothing but clicks is known: no cart, purchase, rating, nor {dwell}; give "
            "the events of what was done, name their columns with --columns purchase=COLUMN, or take "
            "policy.label click"
        )


def without_bots(rows: pd.DataFrame, ledger: Ledger) -> pd.DataFrame:
    """Rows of a flat click log without those of sessions that no person made, as cleaning has it."""
    frame = pl.DataFrame(
        {
            **{name: _texts(rows, name) for name in ("session_id", "user_id")},
            "timestamp": pl.from_pandas(rows["timestamp"]).cast(pl.Datetime("us", "UTC")),
            "clicked": pl.Series(rows["click"].to_numpy(float)),
            "at": pl.Series(range(len(rows)), dtype=pl.Int64),
        }
    )
    shown = {"impressions": frame}
    kept = bots(shown, ledger, Cleaning(), Facts.of({}, Cleaning()))["impressions"]
    return rows.iloc[kept["at"].to_numpy()]


def impressions_of(rows: pd.DataFrame) -> pl.DataFrame:
    """Rows of a flat click log as `labelled` wants impressions, with their places as `at`."""
    names = {"click": "clicked", "bought": "purchased"}
    columns = {
        names.get(name, name): pl.Series(rows[name].to_numpy(float), dtype=pl.Float64, nan_to_null=True)
        for name in ("position", "click", "carted", "bought", "dwell")
        if name in rows
    }
    texts = {name: _texts(rows, name) for name in ("query_id", "session_id", "context", "item_id")}
    frame = pl.DataFrame(columns | texts).with_row_index("at")
    return frame.with_columns(query=pl.lit(None, pl.String))


def _texts(rows: pd.DataFrame, name: str) -> pl.Series:
    """A column of texts, null where it is not there."""
    values = rows[name].tolist() if name in rows else [None] * len(rows)
    return pl.Series(name, values, dtype=pl.String)
