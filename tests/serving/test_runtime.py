"""What the engine raises is an answer that says what to do, not a fault."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace

import pytest
from assay.serving.door.asked import ASKED, asked
from assay.serving.door.refused import Refused
from assay.serving.engine.batcher import Ended, Full, RowFailed, TooLate
from assay.serving.limits import Limits
from assay.serving.runtime import Runtime
from assay.serving.telemetry.metrics import REASONS


@pytest.mark.parametrize(
    ("raised", "status", "retry_after"),
    [
        (Full(3.0), 429, 3.0),
        (TooLate(), 504, None),
        (RowFailed(3, "ValueError"), 422, None),
        (Ended(), 503, 5.0),
    ],
)
def test_what_the_engine_raises_is_an_answer(raised, status, retry_after):
    runtime = Runtime(Limits(), telemetry=None)
    runtime.stage = SimpleNamespace(using=lambda key: contextlib.nullcontext(SimpleNamespace(version="3")))
    token = ASKED.set(asked({}, 20))
    try:
        with pytest.raises(Refused) as told, runtime.using("user"):
            raise raised
        assert ASKED.get().version == "3"
    finally:
        ASKED.reset(token)
    assert (told.value.status, told.value.retry_after) == (status, retry_after)
    assert told.value.reason in REASONS
