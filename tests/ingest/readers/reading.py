"""Reading files in tests: what was claimed, what came out, and the rows of a table without its nulls."""

from pathlib import Path

import polars as pl
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.readers.known import Claim, claimed, gathered
from assay.components.ingest.readers.sources import expand
from assay.components.ingest.tables import Tables


def read(*paths: Path) -> tuple[Tables, Ledger, list[Claim]]:
    ledger, claims = Ledger(), claimed(expand([str(path) for path in paths]))
    return gathered(claims, ledger), ledger, claims


def filled(table: pl.DataFrame) -> list[dict]:
    """Each row's values that are not null; times as texts, the file's name left out."""
    rows = table.drop("source").with_columns(pl.col(pl.Datetime).dt.to_string("%FT%T%.6fZ"))
    return [{name: value for name, value in row.items() if value is not None} for row in rows.to_dicts()]
