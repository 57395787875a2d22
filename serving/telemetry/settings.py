"""What the environment says about logs, read once and frozen."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields

from assay.components.core.errors import BadInput

PREFIX = "ASSAY_TELEMETRY_"

CHOICES = {
    "logs": ("auto", "json", "text"),
    "access_log": ("on", "off", "errors"),
    "level": ("debug", "info", "warning", "error"),
}


@dataclass(frozen=True)
class TelemetrySettings:
    """How logs are written. Traces follow the standard `OTEL_` variables, metrics need no setting.

    Each is set by `ASSAY_TELEMETRY_` and its name in capitals: `ASSAY_TELEMETRY_LOGS=json`.

    Attributes:
        logs: `json`, `text`, or `auto`: text on a terminal, JSON elsewhere.
        access_log: A line a request: `on`, `off`, or `errors` (status 400 and above).
        level: The least that is logged by this package and by BentoML: `debug`, `info`, `warning`, `error`.
    """

    logs: str = "auto"
    access_log: str = "on"
    level: str = "info"

    def __post_init__(self):
        for name, choices in CHOICES.items():
            if (value := getattr(self, name)) not in choices:
                raise BadInput(f"{PREFIX}{name.upper()}={value}: choose from {', '.join(choices)}")

    @classmethod
    def variables(cls) -> dict[str, str]:
        """Environment variable of each setting: {"ASSAY_TELEMETRY_LOGS": "logs", ...}."""
        return {PREFIX + field.name.upper(): field.name for field in fields(cls)}

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> TelemetrySettings:
        """Settings as the environment has them, the defaults for the rest.

        Raises:
            BadInput: A value is none of the choices, or a variable names no setting.
        """
        variables = cls.variables()
        unknown = sorted(name for name in environment if name.startswith(PREFIX) and name not in variables)
        if unknown:
            raise BadInput(f"{unknown[0]} names no setting: choose from {', '.join(variables)}")
        given = {name: environment.get(variable, "").strip().lower() for variable, name in variables.items()}
        return cls(**{name: text for name, text in given.items() if text})
