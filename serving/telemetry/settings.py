"""What the environment says about logs, read once and frozen."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from assay.components.core.errors import BadInput
from assay.serving.settings import Settings

CHOICES = {
    "logs": ("auto", "json", "text"),
    "access_log": ("on", "off", "errors"),
    "level": ("debug", "info", "warning", "error"),
}


@dataclass(frozen=True)
class TelemetrySettings(Settings):
    """How logs are written. Traces follow the standard `OTEL_` variables, metrics need no setting.

    Each is set by `ASSAY_TELEMETRY_` and its name in capitals: `ASSAY_TELEMETRY_LOGS=json`.

    Attributes:
        logs: `json`, `text`, or `auto`: text on a terminal, JSON elsewhere.
        access_log: A line a request: `on`, `off`, or `errors` (status 400 and above).
        level: The least that is logged by this package and by BentoML: `debug`, `info`, `warning`, `error`.
    """

    PREFIX: ClassVar = "ASSAY_TELEMETRY_"

    logs: str = "auto"
    access_log: str = "on"
    level: str = "info"

    def __post_init__(self):
        for name, choices in CHOICES.items():
            if (value := getattr(self, name)) not in choices:
                raise BadInput(f"{self.variable(name)}={value}: choose from {', '.join(choices)}")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ, **given: object) -> Self:
        """As `Settings` has it; the words may be in capitals."""
        return super().from_environment({name: text.lower() for name, text in environment.items()}, **given)
