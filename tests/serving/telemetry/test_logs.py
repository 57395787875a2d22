"""Settings of logs are validated, lines are JSON, and an exception's message never passes."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

import pytest
from assay.components.core.errors import BadInput
from assay.serving.telemetry.log_privacy import WithoutUserText
from assay.serving.telemetry.logs import JsonLines, TextLines
from assay.serving.telemetry.request import Request, current
from assay.serving.telemetry.settings import TelemetrySettings
from pydantic import BaseModel


def test_settings():
    assert TelemetrySettings.from_environment({}) == TelemetrySettings("auto", "on", "info")
    given = {
        "ASSAY_TELEMETRY_LOGS": " JSON ",
        "ASSAY_TELEMETRY_ACCESS_LOG": "errors",
        "ASSAY_LIMIT_ITEMS": "x",
    }
    assert TelemetrySettings.from_environment(given) == TelemetrySettings("json", "errors", "info")


@pytest.mark.parametrize(
    ("variable", "text", "message"),
    [
        ("ASSAY_TELEMETRY_LOGS", "xml", "ASSAY_TELEMETRY_LOGS=xml: choose from auto, json, text"),
        (
            "ASSAY_TELEMETRY_LEVEL",
            "loud",
            "ASSAY_TELEMETRY_LEVEL=loud: choose from debug, info, warning, error",
        ),
        ("ASSAY_TELEMETRY_LOG", "json", "ASSAY_TELEMETRY_LOG names no setting"),
    ],
)
def test_a_wrong_setting_is_told(variable, text, message):
    with pytest.raises(BadInput, match=message):
        TelemetrySettings.from_environment({variable: text})


def record(message: str, *args, error: Exception | None = None, name: str = "assay", **extra):
    exc_info = (type(error), error, error.__traceback__) if error else None
    made = logging.LogRecord(name, logging.WARNING, "file.py", 1, message, args, exc_info)
    made.__dict__.update(extra)
    return made


def test_a_line_is_one_json_object_whatever_it_holds():
    text = JsonLines().format(record('quote " newline \n and %s', "ü", version="3", status=200, secret="x"))
    assert "\n" not in text
    line = json.loads(text)
    assert line["message"] == 'quote " newline \n and ü'
    assert (line["version"], line["status"], line["level"]) == ("3", 200, "warning")
    assert "secret" not in line


def test_a_line_within_a_request_names_it():
    token = current.set(Request("id-1", "/rank", "POST", 0.0, trace_id="ab" * 16))
    try:
        assert json.loads(JsonLines().format(record("x")))["request_id"] == "id-1"
        assert TextLines().format(record("x")).endswith(f"assay: x request_id=id-1 trace_id={'ab' * 16}")
    finally:
        current.reset(token)
    assert "request_id" not in json.loads(JsonLines().format(record("x")))


def refusal() -> Exception:
    class Body(BaseModel):
        text: int

    try:
        Body(text="zanzibar")
    except ValueError as error:
        return error
    raise AssertionError


def test_an_exceptions_message_never_passes():
    kept = record("failed", error=RuntimeError("zanzibar"))
    assert WithoutUserText().filter(kept)
    line = JsonLines().format(kept)
    assert "failed: RuntimeError" in line
    assert "zanzibar" not in line


def test_a_refused_body_is_no_line_but_any_other_validation_error_is():
    http = "bentoml._internal.server.http_app"
    assert not WithoutUserText().filter(record("Exception on /rank", error=refusal(), name=http))
    other = record("assignment.json", error=refusal(), name="assay.versions")
    assert WithoutUserText().filter(other)
    assert "ValidationError" in JsonLines().format(other)
    assert "zanzibar" not in JsonLines().format(other)


@pytest.mark.parametrize(("logs", "first"), [("json", "{"), ("auto", "{"), ("text", "2")])
def test_the_process_writes_to_stderr_alone_and_a_library_cannot_leak(logs, first):
    code = """if True:
        import logging
        logging.basicConfig(format="theirs %(message)s")
        logging.getLogger("bentoml").addHandler(logging.StreamHandler())
        from assay.serving.telemetry.logs import write_logs
        from assay.serving.telemetry.settings import TelemetrySettings
        write_logs(TelemetrySettings.from_environment())
        write_logs(TelemetrySettings.from_environment())
        logging.getLogger("assay.x").info("one")
        logging.getLogger("bentoml.y").info("two")
        logging.getLogger("somebody.else").info("not wanted")
        try:
            raise ValueError("zanzibar")
        except ValueError:
            logging.getLogger("somebody.else").exception("three")
        assert not logging.getLogger("uvicorn.access").hasHandlers()
    """
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "/usr/bin:/bin", "ASSAY_TELEMETRY_LOGS": logs},
    )
    lines = done.stderr.splitlines()
    assert done.stdout == ""
    assert len(lines) == 3
    assert all(line.startswith(first) for line in lines)
    assert "three: ValueError in " in lines[2]
    assert "zanzibar" not in done.stderr
