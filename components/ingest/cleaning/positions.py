"""Positions: counted from 0 or from 1, and those that cannot be."""

from __future__ import annotations

import polars as pl
from assay.components.ingest.cleaning.account import counted, marked, present
from assay.components.ingest.cleaning.facts import APPLICATION, Facts
from assay.components.ingest.cleaning.policy import Policy
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.tables import Tables

_ONE_BASE = 0.9
"""Share of a source's lists that must start at 0 for the others to be lists without their first item."""


def from_one(tables: Tables, ledger: Ledger, policy: Policy, facts: Facts) -> Tables:
    """`zero_based_position`: the positions of a source that counts from 0 are one more.

    A source is a file, or what one application wrote into it. Where it shows whole lists, these say how it
    counts, and a source whose lists start now at 0, now at 1 is two mixed: only lists that start at 0 are
    shifted, and `mixed_positions` is noted. Where it does not, `zero_share` of zeros say it.
    """
    for name in present(tables, "impressions", "events"):
        frame = tables[name]
        if APPLICATION not in frame.columns:
            frame = frame.with_columns(pl.lit(None, pl.String).alias(APPLICATION))
        by, placed = ["source", APPLICATION], pl.col("position").is_not_null()
        whole = placed & pl.col("query_id").is_not_null()
        first = pl.when(whole).then(pl.col("position").min().over(*by, "query_id"))
        frame = frame.with_columns(first.alias("_first")).join(
            facts.listed(name).drop("table"), on=by, how="left", nulls_equal=True, maintain_order="left"
        )
        zeros, listed = pl.col("zeros") / pl.col("placed"), pl.col("starts_0") + pl.col("starts_1")
        share = pl.when(listed > 0).then(pl.col("starts_0") / listed)
        mixed = (share > policy.zero_share) & (share < _ONE_BASE) & placed
        zero_based = pl.coalesce(share >= _ONE_BASE, zeros >= policy.zero_share) & placed
        shifted = marked(frame, zero_based | (mixed & (pl.col("_first") == 0)))
        counted(ledger.note, "mixed_positions", frame, marked(frame, mixed))
        counted(ledger.repair, "zero_based_position", frame, shifted)
        position = (pl.col("position") + pl.lit(shifted).cast(pl.Int32)).alias("position")
        tables = tables | {name: frame.with_columns(position).select(tables[name].columns)}
    return tables


def possible(tables: Tables, ledger: Ledger, policy: Policy, facts: Facts) -> Tables:
    """`impossible_position`: below 1 or beyond `last_position`; taken as missing."""
    for name in present(tables, "impressions", "events"):
        rows = marked(tables[name], (pl.col("position") < 1) | (pl.col("position") > policy.last_position))
        counted(ledger.repair, "impossible_position", tables[name], rows)
        position = pl.when(~pl.lit(rows)).then("position").alias("position")
        tables = tables | {name: tables[name].with_columns(position)}
    return tables
