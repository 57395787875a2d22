"""The page of reasons and the rules agree."""

import re
from pathlib import Path

from assay.components.ingest.cleaning.clean import RULES

PAGE = Path(__file__).parents[3] / "docs" / "ingest-reasons.md"


def test_the_page_lists_the_reasons_in_the_order_of_the_rules():
    listed = re.findall(r"^\| `(\w+)` \|", PAGE.read_text(), re.M)
    reasons = [reason for rule in RULES for reason in rule.reasons]
    assert listed[: len(reasons)] == reasons
    assert len(set(listed)) == len(listed)
