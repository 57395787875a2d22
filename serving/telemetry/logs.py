"""Logs: a line a record on stderr, JSON or text, without user text."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from assay.serving.telemetry.log_privacy import WithoutUserText
from assay.serving.telemetry.request import Request, current
from assay.serving.telemetry.settings import TelemetrySettings

access = logging.getLogger("assay.access")

FIELDS = ("method", "route", "status", "seconds", "version", "rejected")
"""What a record may carry beside its message: `logger.info("...", extra={"version": "3"})`."""


class JsonLines(logging.Formatter):
    """A record as one JSON object on one line: time, level, logger, message, what is known of its request."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line = {
            "time": _utc(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_known(record),
        }
        return json.dumps(line, default=str)


class TextLines(logging.Formatter):
    """The same for people: time, level, message, then `name=value`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        known = "".join(f" {name}={value}" for name, value in _known(record).items() if name not in _TOLD)
        message = record.getMessage().replace("\n", " ")
        return f"{_utc(record)} {record.levelname:<7} {record.name}: {message}{known}"


_TOLD = ("method", "route", "status")
"""The message of an access line holds them."""


def _utc(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _known(record: logging.LogRecord) -> dict[str, object]:
    given = record.__dict__
    known = {name: given[name] for name in FIELDS if given.get(name) not in (None, "")}
    request = current.get()
    if request is not None:
        known["request_id"] = request.id
        if request.trace_id:
            known["trace_id"] = request.trace_id
    return known


def write_logs(settings: TelemetrySettings) -> None:
    """Take over the logs of this process: ours, BentoML's, uvicorn's and those of any library.

    BentoML configures its logs before it imports a service, in its supervisor and in its workers, so what is
    called when the service's module is imported comes last. A second call changes nothing but the settings.
    """
    as_json = settings.logs == "json" or (settings.logs == "auto" and not sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if as_json else TextLines())
    handler.addFilter(WithoutUserText())

    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in ("assay", "bentoml", "uvicorn", "uvicorn.error", "circus"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    for name in ("assay", "bentoml"):
        logging.getLogger(name).setLevel(settings.level.upper())
    for name in ("uvicorn.error", "circus"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # uvicorn formats a line a request unless this logger reaches no handler.
    requests = logging.getLogger("uvicorn.access")
    requests.handlers.clear()
    requests.propagate = False
    access.setLevel(logging.INFO)


def log_access(request: Request, seconds: float, which: str) -> None:
    """The access line of a request that is over.

    Args:
        request: It.
        seconds: That it took.
        which: `on`, `off` or `errors`.
    """
    if which == "off" or (which == "errors" and request.status < 400):
        return
    access.info(
        "%s %s %d",
        request.method,
        request.route,
        request.status,
        extra={
            "method": request.method,
            "route": request.route,
            "status": request.status,
            "seconds": round(seconds, 6),
            "version": request.version,
            "rejected": request.rejected,
        },
    )
