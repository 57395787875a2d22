"""What the feedback log keeps and where, read once from the environment and frozen."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from assay.components.core.errors import BadInput
from assay.components.core.pseudonyms import id_key
from assay.serving.settings import Settings

USERS = ("pseudonym", "drop")


@dataclass(frozen=True)
class FeedbackSettings(Settings):
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

    PREFIX: ClassVar = "ASSAY_FEEDBACK_"

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
                raise BadInput(f"{self.variable(name)} must be above 0")
        if self.randomise_top < 0 or self.randomise_top == 1:
            raise BadInput(
                f"ASSAY_FEEDBACK_RANDOMISE_TOP={self.randomise_top}: write 0 to swap nothing, or 2 or more"
            )
        if not 0 < self.randomise_share <= 1:
            raise BadInput(
                f"ASSAY_FEEDBACK_RANDOMISE_SHARE={self.randomise_share}: a share above 0, at most 1"
            )
        if self.users not in USERS:
            raise BadInput(f"ASSAY_FEEDBACK_USERS={self.users}: choose from {', '.join(USERS)}")
        if self.folder and not self.journal:
            raise BadInput(
                "ASSAY_FEEDBACK_FOLDER is set, so ASSAY_FEEDBACK_JOURNAL must name a local folder, "
                "which outlives the process: acknowledged events wait there until a parquet file has them"
            )
        if self.folder and "://" not in self.folder and _inside(self.journal, self.folder):
            raise BadInput(
                f"ASSAY_FEEDBACK_JOURNAL={self.journal} lies in ASSAY_FEEDBACK_FOLDER: "
                "`assay ingest` would read it too"
            )

    @property
    def on(self) -> bool:
        """Whether anything is kept."""
        return bool(self.folder)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ, **given: object) -> Self:
        """As `Settings` has it.

        Raises:
            BadInput: Also where users are to have pseudonyms and there is no key that can be used.
        """
        settings = super().from_environment(environment, **given)
        if settings.on and settings.users == "pseudonym":
            try:
                id_key(environment=environment)
            except BadInput as error:
                raise BadInput(
                    f"ASSAY_FEEDBACK_USERS=pseudonym needs the key of `assay ingest`: {error}; or write "
                    "ASSAY_FEEDBACK_USERS=drop to keep no ids of users and sessions"
                ) from error
        return settings


def _inside(path: str, folder: str) -> bool:
    inner, outer = os.path.realpath(path), os.path.realpath(folder)
    return os.path.commonpath([inner, outer]) == outer
