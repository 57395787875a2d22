"""The page of reasons and the rules agree; that every reason is on it, the tests of ingest see (conftest)."""

import re
from pathlib import Path

from assay.components.ingest.cleaning.clean import RULES

PAGE = Path(__file__).parents[3] / "docs" / "ledger.md"


def test_the_page_lists_the_reasons_in_the_order_of_the_rules():
    cells = re.findall(r"^\|([^|]*)\|", PAGE.read_text(), re.M)
    listed = re.findall(r"`(\w+)`", " ".join(cells))
    reasons = [reason for rule in RULES for reason in rule.reasons]
    first = listed.index(reasons[0])
    assert listed[first : first + len(reasons)] == reasons
    assert len(set(listed)) == len(listed)
