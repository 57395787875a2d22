"""What holds in every test of ingest: each reason that is counted is on a page."""

import re
from pathlib import Path

import pytest
from assay.components.ingest.ledger import Ledger

DOCS = Path(__file__).parents[2] / "docs"
CELLS = re.findall(
    r"^\|([^|]*)\|", "".join((DOCS / f"{p}.md").read_text() for p in ("ledger", "clicks")), re.M
)
LISTED = re.compile("|".join(re.findall(r"`(\w+)`", " ".join(CELLS))).replace("COLUMN", r"\w+"))


@pytest.fixture(autouse=True)
def reasons_are_on_a_page(monkeypatch):
    count = Ledger._count

    def counted(ledger, where, reason, rows, examples):
        assert LISTED.fullmatch(reason), f"{reason} is in no table of docs/ledger.md or docs/clicks.md"
        count(ledger, where, reason, rows, examples)

    monkeypatch.setattr(Ledger, "_count", counted)
