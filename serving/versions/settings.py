"""How versions are followed, read once from the environment and frozen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from assay.components.core.errors import BadInput
from assay.components.core.tracking import CHALLENGER
from assay.serving.settings import Settings

MODES = ("pinned", "follow")


@dataclass(frozen=True)
class Following(Settings):
    """Which versions are served, and when one replaces another.

    Each is set by `ASSAY_FOLLOW_` and its name in capitals: `ASSAY_FOLLOW_SECONDS=60`.

    Attributes:
        mode: `pinned`: the version of the start, for ever; `follow`: the champion, whichever it is by now.
        seconds: From one look at the registry to the next; a tenth is added or taken by chance.
        challenger: Alias or number of the version that gets the shares.
        shadow_share: Share of ranked lists that the challenger scores too, after the answer; logged only.
        shadow_log: File of what the challenger made of those lists: figures, no texts; "" keeps none.
        canary_share: Share of requests that the challenger answers.
        tolerance: By how much the metric on the canary set may be worse than the current version's.
        difference: By how much a score of an fp32 backend may differ from the registered one.
        probation_seconds: How long the last version is kept open after a swap, to go back to it at once.
        failed_share: Share of failed rows from which a new version is taken back.
        slower: Times the old seconds a token from which a new version is taken back.
        rows: Rows that a version must have computed before its speed or failures are judged.
    """

    PREFIX: ClassVar = "ASSAY_FOLLOW_"

    mode: str = "pinned"
    seconds: float = 15.0
    challenger: str = CHALLENGER
    shadow_share: float = 0.0
    shadow_log: str = ""
    canary_share: float = 0.0
    tolerance: float = 0.02
    difference: float = 1e-3
    probation_seconds: float = 60.0
    failed_share: float = 0.01
    slower: float = 2.0
    rows: int = 200

    def __post_init__(self):
        if self.mode not in MODES:
            raise BadInput(f"ASSAY_FOLLOW_MODE={self.mode}: choose {' or '.join(MODES)}")
        for name in ("shadow_share", "canary_share", "failed_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadInput(f"{self.variable(name)}={getattr(self, name)}: a share from 0 to 1 is needed")
        for name in ("tolerance", "difference", "probation_seconds"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise BadInput(f"{self.variable(name)}={getattr(self, name)}: a number from 0 is needed")
        if not 0.1 <= self.seconds < float("inf"):
            raise BadInput(f"ASSAY_FOLLOW_SECONDS={self.seconds}: 0.1 or more is needed")
        if not 1 <= self.slower < float("inf"):
            raise BadInput(f"ASSAY_FOLLOW_SLOWER={self.slower}: 1 or more is needed")
        if self.rows < 1:
            raise BadInput(f"ASSAY_FOLLOW_ROWS={self.rows}: 1 or more is needed")
        if not self.challenger:
            raise BadInput("ASSAY_FOLLOW_CHALLENGER is empty: name an alias or a number")

    @property
    def shares(self) -> bool:
        """Whether a challenger is served at all."""
        return self.shadow_share > 0 or self.canary_share > 0
