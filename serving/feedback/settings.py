"""What the feedback log keeps and where, read once from the environment and frozen."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from assay.components.core.errors import BadInput
from assay.components.core.pseudonyms import KEY, KEY_FILE

PREFIX = "ASSAY_FEEDBACK_"
USERS = ("pseudonym", "drop")
_TRUTHS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


@dataclass(frozen=True)
class FeedbackSettings:
    """Where served lists and events go. Each is set by `ASSAY_FEEDBACK_` and its name in capitals.

    Attributes:
        folder: Where parquet files go: a local folder, or a URI as pyarrow has them
            (`s3://bucket/prefix?endpoint_override=host:9000&scheme=http`). "" is off: nothing is kept.
        journal: Local folder of what is not yet in a parquet file. It must outlive the process.
        rotate_seconds: Age at which a journal segment becomes a parquet file.
        rotate_rows: Rows at which it does.
        queue_events: Rows that may wait for the disk; beyond them events are refused, impressions dropped.
        journal_bytes: Bytes that the journal may hold while the folder cannot be reached.
        fsync: Wait until the disk itself has an event before it is acknowledged. Without it an acknowledged
            event survives the end of the process, but not a loss of power.
        randomise_top: Positions within which neighbours are swapped; 0 swaps nothing.
        randomise_share: Share of lists in which they are.
        randomise_seed: Of the swaps.
        users: "pseudonym" (a keyed hash, as `ingest` makes it) or "drop": of ids of users and sessions.
    """

    folder: str = ""
    journal: str = ""
    rotate_seconds: float = 300.0
    rotate_rows: int = 50_000
    queue_events: int = 10_000
    journal_bytes: int = 1 << 30
    fsync: bool = False
    randomise_top: int = 0
    randomise_share: float = 0.1
    randomise_seed: int = 0
    users: str = "pseudonym"

    def __post_init__(self):
        for name in ("rotate_rows", "queue_events", "journal_bytes", "rotate_seconds"):
            if not 0 < getattr(self, name) < float("inf"):
                raise BadInput(f"{PREFIX}{name.upper()} must be above 0")
        if self.randomise_top < 0 or self.randomise_top == 1:
            raise BadInput(
                f"{PREFIX}RANDOMISE_TOP={self.randomise_top}: write 0 to swap nothing, or 2 or more"
            )
        if not 0 < self.randomise_share <= 1:
            raise BadInput(f"{PREFIX}RANDOMISE_SHARE={self.randomise_share}: a share above 0, at most 1")
        if self.users not in USERS:
            raise BadInput(f"{PREFIX}USERS={self.users}: choose from {', '.join(USERS)}")
        if self.folder and not self.journal:
            raise BadInput(
                f"{PREFIX}FOLDER is set, so {PREFIX}JOURNAL must name a local folder, "
                "which outlives the process: acknowledged events wait there until a parquet file has them"
            )
        if self.folder and "://" not in self.folder and _inside(self.journal, self.folder):
            raise BadInput(
                f"{PREFIX}JOURNAL={self.journal} lies in {PREFIX}FOLDER: `assay ingest` would read it too"
            )

    @property
    def on(self) -> bool:
        """Whether anything is kept."""
        return bool(self.folder)

    @classmethod
    def variables(cls) -> dict[str, str]:
        """Environment variable of each setting: {"ASSAY_FEEDBACK_FOLDER": "folder", ...}."""
        return {PREFIX + field.name.upper(): field.name for field in fields(cls)}

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> FeedbackSettings:
        """Settings as the environment has them, the defaults for the rest.

        Raises:
            BadInput: A value cannot be used, a variable names no setting, or users are to have pseudonyms and
                there is no key for them.
        """
        variables = cls.variables()
        unknown = sorted(name for name in environment if name.startswith(PREFIX) and name not in variables)
        if unknown:
            raise BadInput(f"{unknown[0]} names no setting: choose from {', '.join(variables)}")
        kinds = {field.name: type(field.default) for field in fields(cls)}
        values: dict[str, Any] = {}
        for variable, name in variables.items():
            if text := environment.get(variable, "").strip():
                values[name] = _read(variable, text, kinds[name])
        settings = cls(**values)
        keyed = environment.get(KEY) or environment.get(KEY_FILE)
        if settings.on and settings.users == "pseudonym" and not keyed:
            raise BadInput(
                f"{PREFIX}USERS=pseudonym needs a key: set {KEY} or {KEY_FILE}, as for `assay ingest`, "
                f"or {PREFIX}USERS=drop to keep no ids of users and sessions"
            )
        return settings


def _read(variable: str, text: str, kind: type) -> Any:
    if kind is bool:
        if text.lower() not in _TRUTHS:
            raise BadInput(f"{variable}={text}: write true or false")
        return _TRUTHS[text.lower()]
    try:
        return kind(text)
    except ValueError:
        needed = "a whole number" if kind is int else "a number"
        raise BadInput(f"{variable}={text}: {needed} is needed") from None


def _inside(path: str, folder: str) -> bool:
    inner, outer = os.path.realpath(path), os.path.realpath(folder)
    return os.path.commonpath([inner, outer]) == outer
