"""The plainest thing that is served: the core's own ranker, with counters."""

from __future__ import annotations

from assay.components.core.ranker import open_ranker


class ByCore:
    """A version opened by `open_ranker`; counts what requests have it compute."""

    backend = "torch-fp32"

    def __init__(self, bundle):
        self.name, self.version = bundle.name, bundle.version
        self.rows = self.failed_rows = self.tokens = 0
        self.model_seconds = 0.0
        self.closed = False
        self._ranker = open_ranker(bundle.ranker)

    def score(self, rows):
        assert not self.closed, "scored after it was closed"
        contexts, items = zip(*rows, strict=True)
        return self._ranker.score(self._ranker.tokenise(contexts, items))

    def counted(self, rows=0, failed=0, seconds=0.0):
        """As if requests had done this."""
        self.rows, self.tokens = self.rows + rows, self.tokens + 10 * rows
        self.failed_rows, self.model_seconds = self.failed_rows + failed, self.model_seconds + seconds

    def close(self):
        self.closed = True
