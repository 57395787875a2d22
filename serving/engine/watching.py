"""What the batcher does, told to the metrics and counted with the version whose rows they were."""

from __future__ import annotations

from assay.serving.engine.served import OpenPart
from assay.serving.telemetry.telemetry import Telemetry


class Watching:
    """A `Watcher` of the batcher.

    Args:
        telemetry: Is told.
    """

    def __init__(self, telemetry: Telemetry):
        self.telemetry = telemetry

    def batch(self, part: OpenPart, rows: int, tokens: int, padded: int, seconds: float, whose: list) -> None:
        """A batch was computed."""
        part.rows += rows
        part.tokens += tokens
        part.model_seconds += seconds
        self.telemetry.computed(rows, tokens, padded, part.version, seconds, whose)

    def queued(self, seconds: float, whose: object) -> None:
        """A request's first row left the queue."""
        self.telemetry.took("queue", seconds, whose)  # type: ignore[arg-type]

    def failed(self, part: OpenPart, rows: int) -> None:
        """Rows failed alone."""
        part.failed_rows += rows
        self.telemetry.failed_rows(rows, part.version)

    def cancelled(self, rows: int) -> None:
        """Rows were dropped uncomputed."""
        self.telemetry.cancelled_rows(rows)
