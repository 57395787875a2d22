"""Logs without user text."""

from __future__ import annotations

import logging
import traceback
from pathlib import Path

REFUSALS = "bentoml._internal.server.http_app"
"""Logger to which BentoML writes what a route raised, a refused body with it."""


class WithoutUserText(logging.Filter):
    """Takes the message out of a logged exception, and leaves its type and where it was raised.

    BentoML logs every refused body and every failure with the exception's message, and a message may quote
    what the caller sent: a field's name, a text that a tokenizer could not read.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite a record that carries an exception; drop that of a refused body, the access log has it."""
        if not record.exc_info or record.exc_info[0] is None:
            return True
        kind, _, trace = record.exc_info
        if kind.__name__ == "ValidationError" and record.name == REFUSALS:
            return False
        # Frame by frame, for a file name and a line hold no user text and say all that is needed.
        frames = [f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in traceback.extract_tb(trace)[-8:]]
        record.msg = f"{record.getMessage()}: {kind.__name__} in {' < '.join(reversed(frames))}"
        record.args, record.exc_info, record.exc_text = (), None, None
        return True
