"""Settings that are several under one name: bounds of the gate, rules of the selection, the curve."""

from __future__ import annotations

from typing import Any, Literal

from assay.pipelines.choices import CURVE_ARMS, POINTS
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class Gates(BaseModel):
    """Bounds of the gate; 0 means, of the last three: not asked for."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    slice_floor: float = Field(0.02, ge=0, description="loss of the primary metric allowed in any slice")
    max_ece: float = Field(0.0, ge=0, description="expected calibration error at most")
    max_milliseconds: float = Field(0.0, ge=0, description="CPU milliseconds a row at most")
    max_megabytes: float = Field(0.0, ge=0, description="megabytes of weights at most")


class Policy(BaseModel):
    """How a log becomes rows: the part of `ingest`'s own `Policy` that is a setting, which checks itself."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    predict: str = Field(
        "item", description="recommendation: the next item, the next action, or the category bought from next"
    )
    history: int = Field(5, description="recommendation: events of a history in a context")
    cuts: int = Field(2, description="recommendation: points of a history that are trained on")
    negatives: int = Field(4, description="recommendation: items drawn beside each right one to train on")
    test_users: int = Field(300, description="recommendation: users tested, by hash")
    holdout: str = Field(
        "", description="last event of each user, or what is last in time; the task's own way if not given"
    )
    label: str = Field(
        "",
        description="review: liked (by --relevant-at), rating or helpful; search: click or graded; the "
        "task's own way if not given",
    )
    min_dwell: float = Field(0.0, description="search, graded: seconds below which a visit counts for none")
    bias: str = Field("none", description="search: estimator of position bias, auto or none")
    keep_unclicked: float = Field(1.0, description="ads: share of unclicked training rows that is kept")

    @model_validator(mode="after")
    def _can_be_built(self) -> Policy:
        from assay.components.ingest.building import Policy as PolicyOfIngest

        PolicyOfIngest(**self.model_dump())
        return self


class Rules(BaseModel):
    """How `select` chooses, beside the budget: its own `Rules`, which check themselves."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    noisy: Literal["drop", "relabel", "downweight", "keep"] = Field(
        "drop", description="what becomes of rows that look mislabelled"
    )
    soft: bool = Field(False, description="rows count by their importance, 1 on average, rather than 1 each")
    duplicates: float = Field(
        0.0, description="cosine from which rows are near-duplicates, one of which is kept; 0 is none"
    )
    by_segment: bool = Field(
        False, description="quotas by (task, label, segment) rather than by (task, label)"
    )
    floor: float = Field(
        0.0,
        description="what each segment keeps at least of its plausible rows: a share, or rows from 1 up",
    )
    group: Literal["rows", "whole"] = Field("rows", description="choose rows, or whole lists of them")
    constraints: list[str] = Field([], description="what a selection must hold, e.g. category >= 5%")
    attributes: str = Field("", description="file of attributes that constraints may name")
    coverage: str = Field("top", description="how rows are chosen within a stratum; top is by importance")
    explore: float = Field(0.0, description="share of the rows that are drawn at random")
    seconds_per_row: float = Field(
        0.0, description="seconds that training takes a row, all epochs together; for a budget in gpu-min"
    )
    least: int = Field(
        0, description="rows below which the budget auto tries none; by the ranker if not given"
    )

    @model_validator(mode="after")
    def _can_be_held(self) -> Rules:
        from assay.components.select.rules import Rules as RulesOfSelect

        RulesOfSelect.of(self.model_dump())
        return self


class Curve(BaseModel):
    """What `assay curve` draws; `assay run` looks at none of it."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    arms: list[str] = Field(
        ["challenger", "control", "full"],
        description=f"arms to draw a curve of: {', '.join(CURVE_ARMS)}; full is a point",
    )
    budgets: list[str] = Field(["0.1", "0.3", "0.5"], description="budgets, each as --budget has it")
    epsilon: float = Field(
        0.005,
        ge=0,
        lt=1,
        description="loss against the best budget that is allowed, as a share of its metric",
    )

    @field_validator("arms", "budgets", mode="before")
    @classmethod
    def _with_commas(cls, value: Any) -> Any:
        return listed(value)

    @field_validator("arms")
    @classmethod
    def _known(cls, value: list[str]) -> list[str]:
        unknown = sorted(set(value) - set(CURVE_ARMS))
        if unknown:
            raise ValueError(f"unknown {', '.join(unknown)}; known: {', '.join(CURVE_ARMS)}")
        if len(set(value)) < len(value) or not set(value) - set(POINTS):
            raise ValueError(f"name each arm once, and one beside {', '.join(POINTS)}")
        return value

    @field_validator("budgets")
    @classmethod
    def _distinct(cls, value: list[str]) -> list[str]:
        if not value or len(set(value)) < len(value):
            raise ValueError("name one budget at least, and each once")
        return value


def listed(value: Any) -> Any:
    """A list as YAML has it, its members as text, or names with commas between them."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, int | float):
        return [str(value)]
    return [str(part) for part in value] if isinstance(value, list) else value
