"""What cleaning does where the log leaves a choice: thresholds, and drop, repair or keep."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from assay.components.core.errors import BadInput
from assay.components.ingest.tables import SCHEMAS

_CHOICES = {
    "orphan_query_id": ("drop", "keep"),
    "missing_query_id": ("drop", "keep"),
    "unknown_item": ("drop", "keep"),
    "empty_text": ("drop", "keep"),
    "impossible_timestamp": ("repair", "drop"),
    "clock_skew": ("repair", "drop"),
    "click_without_impression": ("drop", "keep"),
}
FILL = "fill="
FIRST_MOMENT = datetime(1995, 1, 1, tzinfo=UTC)
"""No shop's log is older: an earlier time is a clock that was never set, or a unit that was mistaken."""


@dataclass(frozen=True)
class Policy:
    """How a log is cleaned. What is kept though a rule speaks against it is noted in the ledger.

    Attributes:
        orphan_query_id: `drop` or `keep` rows that name a query nobody knows and have no text of their own.
        missing_query_id: The same of rows that name none, where the log has queries.
        unknown_item: The same of rows whose item has no text, where the log has items.
        empty_text: The same of reviews without a word.
        impossible_timestamp: `repair` (the time becomes null) or `drop`.
        clock_skew: `repair` (to the time of the query, null where that is not known) or `drop`.
        click_without_impression: `drop` or `keep` clicks on what their query's list did not show.
        missing: {"table.column": `drop`, `keep` or `fill=VALUE`}; VALUE is a text, a number, or `median`.
        until: No row can be younger; the moment of the call if None.
        skew_seconds: How far before its query a row may lie: clocks of browsers and servers differ.
        lag_hours: How long after the last query of the log something can still happen.
        bot_rows: Rows of one session above which no person made it.
        bot_rate: Requests a minute above which none did, over `bot_requests` requests or more.
        bot_requests: Requests from which rate and regularity are believed. A request is a distinct moment.
        bot_clicks: Share of what was shown that was clicked, above which none did, of `bot_shown` or more.
        bot_shown: Items shown from which that share is believed.
        bot_regularity: Standard deviation of the gaps between requests over their mean, below which none did.
        zero_share: Share of a source's positions that must be 0 for it to count from 0; fewer are mistakes.
        last_position: Positions beyond are impossible; the sample table's int16 ends there too.
        dwell_quantile: Dwell is winsorised at this quantile of the log's,
        dwell_seconds: but never below this: half an hour on one page is believable in any log.
        ratings: (lowest, highest); None takes 0 and the first of 1, 5, 10, 100 that holds 99 % of them.
    """

    orphan_query_id: str = "drop"
    missing_query_id: str = "drop"
    unknown_item: str = "drop"
    empty_text: str = "drop"
    impossible_timestamp: str = "repair"
    clock_skew: str = "repair"
    click_without_impression: str = "drop"
    missing: Mapping[str, str] = field(default_factory=dict)
    until: datetime | None = None
    skew_seconds: float = 60.0
    lag_hours: float = 24.0
    bot_rows: int = 5_000
    bot_rate: float = 30.0
    bot_requests: int = 20
    bot_clicks: float = 0.4
    bot_shown: int = 100
    bot_regularity: float = 0.1
    zero_share: float = 0.01
    last_position: int = 32_767
    dwell_quantile: float = 0.99
    dwell_seconds: float = 1_800.0
    ratings: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise BadInput(f"cleaning: {name}: {getattr(self, name)!r} is none of {', '.join(known)}")
        for name in ("dwell_quantile", "zero_share", "bot_clicks"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadInput(f"cleaning: {name}: {getattr(self, name)} does not lie in [0, 1]")
        for name in ("skew_seconds", "lag_hours", "bot_rate", "bot_regularity", "dwell_seconds"):
            if not (getattr(self, name) >= 0 and math.isfinite(getattr(self, name))):
                raise BadInput(f"cleaning: {name}: {getattr(self, name)} must be 0 or more")
        for name in ("bot_rows", "bot_requests", "bot_shown", "last_position"):
            if getattr(self, name) < 1:
                raise BadInput(f"cleaning: {name}: {getattr(self, name)} must be 1 or more")
        if self.ratings is not None and self.ratings[0] >= self.ratings[1]:
            raise BadInput(f"cleaning: ratings: {self.ratings} must be lowest and highest, in this order")
        for place, how in self.missing.items():
            table, _, column = place.partition(".")
            if column not in SCHEMAS.get(table, {}) and not column.startswith(("feature.", "attribute.")):
                raise BadInput(
                    f"cleaning: missing: there is no {place}; write TABLE.COLUMN, e.g. events.value"
                )
            if how not in ("drop", "keep") and not how.startswith(FILL):
                raise BadInput(f"cleaning: missing: {place}: {how!r} is none of drop, keep, fill=VALUE")

    def latest(self) -> datetime:
        """The moment after which no row can lie."""
        return self.until or datetime.now(UTC)
