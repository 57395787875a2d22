"""What the environment sets: a frozen dataclass each, of which every field is a variable."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, ClassVar, Self

from assay.components.core.errors import BadInput

_TRUTHS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


class Settings:
    """Base of a frozen dataclass whose fields all have defaults: text, truths and numbers.

    Each is set by `PREFIX` and its name in capitals: of "ASSAY_LIMIT_", `items` by `ASSAY_LIMIT_ITEMS`. A
    class checks its values in `__post_init__`.
    """

    PREFIX: ClassVar[str]

    @classmethod
    def variable(cls, name: str) -> str:
        """Environment variable of a field."""
        return cls.PREFIX + name.upper()

    @classmethod
    def variables(cls) -> dict[str, str]:
        """Environment variable of each field: {"ASSAY_LIMIT_ITEMS": "items", ...}."""
        return {cls.variable(field.name): field.name for field in fields(cls)}  # type: ignore[arg-type]

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ, **given: object) -> Self:
        """Settings as the environment has them, the defaults for the rest.

        Args:
            environment: To read from; blank values count as unset.
            **given: Fields that are set otherwise, as by the command line; None says nothing.

        Raises:
            BadInput: A value cannot be used, or a variable of the prefix names no setting.
        """
        variables = cls.variables()
        unknown = sorted(
            name for name in environment if name.startswith(cls.PREFIX) and name not in variables
        )
        if unknown:
            raise BadInput(f"{unknown[0]} names no setting: choose from {', '.join(variables)}")
        kinds = {field.name: type(field.default) for field in fields(cls)}  # type: ignore[arg-type]
        values = {
            name: _read(variable, text, kinds[name])
            for variable, name in variables.items()
            if (text := environment.get(variable, "").strip())
        }
        return cls(**values | {name: value for name, value in given.items() if value is not None})

    def environment(self) -> dict[str, str]:
        """The same as environment variables."""
        return {variable: str(getattr(self, name)) for variable, name in self.variables().items()}


def _read(variable: str, text: str, kind: type) -> Any:
    if kind is str:
        return text
    if kind is bool:
        if text.lower() not in _TRUTHS:
            raise BadInput(f"{variable}={text}: write true or false")
        return _TRUTHS[text.lower()]
    try:
        # "٣" and "1_0" are numbers to Python and typing errors here.
        return kind(text if text.isascii() and "_" not in text else "")
    except ValueError:
        needed = "a whole number" if kind is int else "a number"
        raise BadInput(f"{variable}={text}: {needed} is needed") from None
