"""A feedback log in a folder of its own, and what `assay ingest` makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from assay.components.core.pseudonyms import KEY
from assay.components.ingest.cleaning.clean import clean
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.readers.known import claimed, gathered
from assay.components.ingest.readers.sources import expand
from assay.components.ingest.tables import Tables
from assay.serving.feedback.records import Shown
from assay.serving.feedback.settings import FeedbackSettings

ID_KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """Makes settings: `settings(rotate_rows=3)`; users are pseudonymised with `ID_KEY`."""
    monkeypatch.setenv(KEY, ID_KEY)

    def make(**more) -> FeedbackSettings:
        where = {"folder": str(tmp_path / "feedback"), "journal": str(tmp_path / "journal")}
        return FeedbackSettings(**(where | more))

    return make


def shown(*items: str) -> list[Shown]:
    """A list of items whose texts tell their ids."""
    return [Shown(item, f"text of {item}", 1.0 / place) for place, item in enumerate(items, start=1)]


def read(folder: Path | str) -> tuple[Tables, Ledger]:
    """What `ingest` reads of a folder, cleaned."""
    ledger = Ledger()
    return clean(gathered(claimed(expand([str(folder)])), ledger), ledger), ledger
