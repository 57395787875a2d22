"""What a builder is: canonical tables of one task -> rows, by a stated policy; one file a task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from assay.components.core.errors import BadInput
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.tables import Tables

_CHOICES = {
    "predict": ("item", "action", "category"),
    "label": ("liked", "rating", "helpful"),
    "holdout": ("", "last", "time"),
}


@dataclass(frozen=True)
class Policy:
    """How tables become rows.

    Attributes:
        predict: Of a recommendation: the next `item`, the next `action` (view, cart, purchase, ...), or the
            `category` that is bought from next, which is whom a campaign should reach.
        history: Events of a user's history in a context, the last ones.
        cuts: Points of a user's history at most that are trained on, the last ones.
        negatives: Items drawn beside each positive one to train on; never in the test split.
        test_users: Users at most whose next event is tested, by hash.
        holdout: `last`: the last event of each user is tested; `time`: what happened after one moment. ""
            is the task's own way.
        label: Of a review: whether its product was `liked`, which is whether the rating reaches
            `relevant_at`; the `rating` itself; or whether it was found `helpful`.
        keep_unclicked: Share of the unclicked training ads that is kept, each with one over it as its weight.
        max_grade: Grade of label 1; the largest there is if 0.
        relevant_at: Grade from which a row is relevant; the task's own way if 0.
        sample: Rows at most of train, validation and target; 0 is all.
        drop_unlabelled: Drop rows without a usable label rather than refuse them.
    """

    predict: str = "item"
    history: int = 5
    cuts: int = 2
    negatives: int = 4
    test_users: int = 300
    holdout: str = ""
    label: str = "liked"
    keep_unclicked: float = 1.0
    max_grade: float = 0.0
    relevant_at: float = 0.0
    sample: int = 0
    drop_unlabelled: bool = False

    def __post_init__(self) -> None:
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise BadInput(
                    f"policy.{name} {getattr(self, name)!r}: known: {', '.join(filter(None, known))}"
                )
        for name in ("history", "cuts", "negatives", "test_users"):
            value = getattr(self, name)
            if value < 1 or value != int(value):
                raise BadInput(f"policy.{name} {value}: a whole number, 1 or more")
            # A pipeline's parameters are JSON, whose whole numbers arrive as floats.
            object.__setattr__(self, name, int(value))
        if not 0 < self.keep_unclicked <= 1:
            raise BadInput(f"policy.keep_unclicked {self.keep_unclicked}: a share in (0, 1]")


@dataclass(frozen=True)
class Ranking:
    """What the test lists of a recommendation are ranked over: every item there is.

    Attributes:
        catalogue: item_id, item (its text), popularity (float64, users in training), by item_id.
        interactions: user_id, item_id of training.
        seen: group_id of a test list, item_id that its user knows already, which is no candidate.
    """

    catalogue: pd.DataFrame
    interactions: pd.DataFrame
    seen: pd.DataFrame


@dataclass(frozen=True)
class Built:
    """What a builder made.

    Attributes:
        rows: context, item, item_id, group_id, segment, source (text), split (None where the hash of the
            unit decides), and `grade` or `click` (float64); where there: weight, position (float64),
            timestamp, `user_id` (text, null: whose the row is, the user or else the session), `unit` (what a
            split must not tear, the group if absent), `label` (where it is not the grade over the largest),
            `feature.NAME`, and `happened`, `seen_until` (int64: when the label came about, and the last thing
            that the context knows of).
        label_source: `grade` or `click`.
        max_grade: Grade of label 1.
        relevant_at: Grade or click rate from which a row is relevant.
        metric: The primary one; "" where the lists decide, as search has it.
        clock: What must lie before what: "user" each user's own test events after those trained on; "all"
            all of them; "" nothing.
        ranking: Of a recommendation of items.
    """

    rows: pd.DataFrame
    label_source: str
    max_grade: float
    relevant_at: float
    metric: str = ""
    clock: str = ""
    ranking: Ranking | None = None


Build = Callable[[Tables, Ledger, Policy], Built]


def missing(task: str, table: str, reads: str) -> BadInput:
    """The error of a task whose table is not there."""
    return BadInput(f"--task {task}: needs {reads}, and there are no {table} in the data")
