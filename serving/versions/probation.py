"""The first minute of a version in service: does it fail, or take longer, than the one it replaced?"""

from __future__ import annotations

import statistics
import time

from assay.serving.versions.opened import Opened
from assay.serving.versions.probe import Probe
from assay.serving.versions.settings import Following

ROUNDS = 5
"""Of measuring the two side by side."""
AGAIN_SECONDS = 10.0
"""Between two measurements."""
TEXTS = (("probe", "probe " * 8), ("probe " * 4, "probe " * 32))
"""What is measured on where a version has no probe."""


class Probation:
    """Judges a version by what requests had it compute, against the version before.

    Args:
        new: What answers now.
        old: What answered before; open still.
        probe: Rows to measure both on.
        settings: Of the bounds.
    """

    def __init__(self, new: Opened, old: Opened, probe: Probe | None, settings: Following):
        self.new, self.old, self.settings = new, old, settings
        self.rows = list(probe.rows) if probe is not None else list(TEXTS)
        self._began = time.monotonic()
        self._measured = float("-inf")
        # A challenger that is promoted has computed already.
        self._before = new.rows, new.failed_rows, new.tokens, new.model_seconds

    @property
    def over(self) -> bool:
        """Whether it has lasted long enough."""
        return time.monotonic() - self._began >= self.settings.probation_seconds

    def _since(self) -> tuple[int, int, int, float]:
        rows, failed, tokens, seconds = self._before
        new = self.new
        return new.rows - rows, new.failed_rows - failed, new.tokens - tokens, new.model_seconds - seconds

    def _failed(self) -> str:
        rows, failed, _, _ = self._since()
        # Rows that no version can compute are no fault of this one.
        before = self.old.failed_rows / self.old.rows if self.old.rows else 0.0
        if rows < self.settings.rows or failed <= (self.settings.failed_share + before) * rows:
            return ""
        return f"{failed} of its first {rows} rows failed"

    def suspects(self) -> bool:
        """Whether it failed too often, or seems to be too slow."""
        if self._failed():
            return True
        rows, _, tokens, seconds = self._since()
        if rows < self.settings.rows or not tokens or not self.old.tokens:
            return False
        slow = seconds / tokens > self.settings.slower * self.old.model_seconds / self.old.tokens
        return slow and time.monotonic() - self._measured >= AGAIN_SECONDS

    def objection(self) -> str:
        """Why it must go; "" where it may stay. Scores rows with both versions, in turn."""
        if failed := self._failed():
            return failed
        # Whatever comes of it: what cannot be measured must not keep the next version out.
        self._measured = time.monotonic()
        taken: dict[Opened, list[float]] = {self.new: [], self.old: []}
        for _ in range(ROUNDS):
            for model, seconds in taken.items():
                started = time.perf_counter()
                model.score(self.rows)
                seconds.append(time.perf_counter() - started)
        ratio = statistics.median(n / o for n, o in zip(taken[self.new], taken[self.old], strict=True))
        if ratio <= self.settings.slower:
            return ""
        return f"it takes {ratio:.1f} times as long as version {self.old.version} on the same rows"
