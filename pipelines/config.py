"""The configuration of a run: one YAML file, every value overridable on the command line."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from assay.components.core.arms import Arm
from assay.components.core.checkpoints import ENCODER, is_ranker
from assay.components.core.errors import BadInput
from assay.components.ingest.columns import checked_columns, parse_columns
from assay.components.score.plans import DEFAULT_METHODS, PLANS
from assay.pipelines.choices import (
    BASELINES,
    BY_SCORE,
    LEARNING_RATES,
    LEAST,
    ON_REQUEST,
    POINTS,
    RANKERLESS,
    TRAITS,
    TUNED,
    WEIGHTED,
)
from assay.pipelines.settings import Curve, Gates, Policy, Rules, listed
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator


class RunConfig(BaseModel):
    """What `assay run` and `assay curve` do. Zero and "" mean: not given."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    data: str = Field(
        "",
        description="csv, tsv, jsonl or parquet file, or a folder of one and items.*; the simulated store if "
        "not given",
    )
    task: Literal["search", "recommendation", "review", "ads"] = Field(
        "search", description="the task: search, recommendation, review or ads"
    )
    format: str = Field(
        "", description="format of every file, by its name; told by their headers if not given"
    )
    mapping: str = Field(
        "", description="YAML file that says what the columns are, or the name of a shipped one"
    )
    columns: dict[str, list[str]] = Field(
        {},
        description="role=column,...; roles: query item label group item_id segment click position timestamp "
        "category brand colour size type price dwell; of other tasks than search also user session text "
        "helpful votes action order id feature",
    )
    max_grade: float = Field(0.0, ge=0, description="grade of label 1; the largest in the file if not given")
    relevant_at: float = Field(
        0.0, ge=0, description="grade from which a row is relevant; half of max-grade if not given"
    )
    policy: Policy = Field(Policy(), description="how a log becomes rows")
    gain: Literal["linear", "exponential"] = Field("exponential", description="gain of a grade in nDCG")
    split_column: str = Field("", description="column that names each row's split")
    sample: int = Field(0, ge=0, description="rows at most of train, validation and target together")
    test_sample: int = Field(0, ge=0, description="rows at most of test")
    budget: str = Field("0.3", description="a fraction of the training rows, or a count")
    noise: float = Field(
        0.0, ge=0, lt=1, description="share of training labels to flip, to measure how well they are found"
    )
    rules: Rules = Field(default_factory=Rules, description="how rows are chosen within the budget")
    with_full: bool = Field(False, description="also train on all training rows")
    control: bool = Field(
        True, description="train on a random selection of the same size; without it the verdict is unproven"
    )
    baselines: list[str] = Field(
        [],
        description=f"other arms to train, or all: {', '.join(BASELINES)}",
    )
    seeds: int = Field(
        1, ge=1, description="trainings of each arm, each by a seed of its own: intervals over retraining"
    )
    curve: Curve = Field(Curve(), description="what `assay curve` draws")
    drop_unlabelled: bool = Field(
        False, description="drop rows without a usable grade rather than refuse the file"
    )
    ranker: Literal["cross", "bi"] = Field("bi", description="bi-encoder (bi) or cross-encoder (cross)")
    model: str = Field(
        ENCODER, description="what is fine-tuned: minilm, a folder, a hub id or models:/NAME@ALIAS"
    )
    encoder: str = Field(
        "", description="what makes the vectors and the baseline `base`; the model if not given"
    )
    pooling: Literal["", "mean", "last"] = Field(
        "",
        description="how the encoder's token vectors become one; last in a decoder, else mean, if not given",
    )
    traits: list[Literal["category", "tags", "behaviour"]] | None = Field(
        None,
        description="features in plain words for the surrogate; all where measured is below 1 if not given",
    )
    tagger: str = Field(
        "", description="token-classification checkpoint; learnt from the items' attributes if not given"
    )
    adapter: Literal["lora"] = Field("lora", description="how it is fine-tuned")
    epochs: int = Field(2, ge=1, description="passes over the rows, at most")
    batch_size: int = Field(16, ge=1, description="rows a step")
    learning_rate: float = Field(0.0, ge=0, description="at its peak; by the ranker if not given")
    warm_up_share: float = Field(
        0.1, gt=0, le=0.5, description="share of the training rows a warm-up ranker sees"
    )
    warm_up_epochs: int = Field(
        0,
        ge=0,
        description="passes of a warm-up over its rows; 1, or those of the arms where the target has one, "
        "if not given",
    )
    measured: float = Field(
        1.0,
        gt=0,
        le=1,
        description="share of the rows on which rankers' methods are measured; a surrogate gives the rest",
    )
    score_splits: list[Literal["train", "validation", "test"]] = Field(
        ["train"],
        description="splits whose rows are scored: train, and to find wrong labels validation and test",
    )
    store: str = Field(
        "", description="folder that keeps scores: rows measured before are not measured again"
    )
    shards: int = Field(
        0,
        ge=0,
        description="shards of the sample table at most, measured side by side; by size if 0",
    )
    plan: Literal["vectors", "default", "full"] = Field(
        "default",
        description="what is spent on scores: vectors (no ranker is asked), default, full",
    )
    methods: list[str] = Field([], description="scores to compute; those of the plan if not given")
    weights: dict[str, float] | Literal["learned"] = Field(
        {}, description="weight of each method in importance, or learned: on the target; default if empty"
    )
    gates: Gates = Field(Gates(), description="bounds of the gate")
    name: str = Field("", description="registered model; assay-<task> if not given")
    seed: int = Field(
        0, ge=0, lt=2**32, description="of noise, shares, control and training; never of the splits"
    )

    @field_validator("columns", mode="before")
    @classmethod
    def _columns(cls, value: Any) -> Any:
        return parse_columns(value) if isinstance(value, str) else checked_columns(value or {})

    @field_validator("score_splits", mode="before")
    @classmethod
    def _splits(cls, value: Any) -> Any:
        return listed(value)

    @field_validator("baselines", mode="before")
    @classmethod
    def _baselines(cls, value: Any) -> Any:
        return listed(value)

    @field_validator("baselines")
    @classmethod
    def _known_baselines(cls, value: list[str]) -> list[str]:
        unknown = sorted(set(value) - {*BASELINES, "all"})
        if unknown:
            raise ValueError(f"unknown {', '.join(unknown)}; known: all, {', '.join(BASELINES)}")
        return ["all"] if "all" in value else list(dict.fromkeys(value))

    @field_validator("score_splits")
    @classmethod
    def _with_train(cls, value: list[str]) -> list[str]:
        if "train" not in value:
            raise ValueError("train is always scored: name it, and validation or test beside it")
        return [split for split in ("train", "validation", "test") if split in value]

    @field_validator("name")
    @classmethod
    def _name(cls, value: str) -> str:
        if value and not re.fullmatch(r"\w[\w.\- ]*", value):
            raise ValueError("letters, digits, dots, dashes, underscores and spaces, the first no mark")
        return value

    @field_validator("weights")
    @classmethod
    def _weights(cls, value: dict[str, float] | str) -> dict[str, float] | str:
        if isinstance(value, str):
            return value
        if any(weight < 0 for weight in value.values()) or (value and not any(value.values())):
            raise ValueError("weights are 0 or more, at least one of them above 0")
        return value

    @field_validator("budget", mode="before")
    @classmethod
    def _budget(cls, value: Any) -> str:
        return str(value)

    @property
    def registered_name(self) -> str:
        """Name of the registered model."""
        return self.name or f"assay-{self.task}"

    @property
    def embedding_model(self) -> str:
        """What makes the vectors: the model itself, unless that is a trained ranker already."""
        trained = self.model.startswith("models:/") or is_ranker(self.model)
        return self.encoder or (ENCODER if trained else self.model)

    @property
    def computed_traits(self) -> list[str]:
        """Families of traits to compute: nobody but the surrogate pays for them."""
        return list(TRAITS if self.measured < 1 else ()) if self.traits is None else list(self.traits)

    @property
    def given_weights(self) -> dict[str, float]:
        """Weights by method; none where they are the default or learned."""
        return self.weights if isinstance(self.weights, dict) else {}

    @property
    def computed_methods(self) -> list[str]:
        """Scores to compute."""
        return self.methods or list(PLANS[self.plan])

    @property
    def warm_ups(self) -> list[str]:
        """Rankers that scores come from: of two shares and, for some methods, of the target; or none."""
        methods = set(self.computed_methods)
        if not methods - set(RANKERLESS):
            return []
        return ["a", "b", *(["target"] if methods & set(TUNED) else [])]

    @property
    def learn_weights(self) -> bool:
        """Whether the weights of importance are learned on the target."""
        return self.weights == "learned" or (self.plan == "full" and not self.methods and not self.weights)

    @property
    def trained_baselines(self) -> list[str]:
        """Baselines to train; all are those that the methods allow."""
        if self.baselines != ["all"]:
            return self.baselines
        return [name for name in BASELINES if name not in BY_SCORE or name in self.computed_methods]

    @property
    def arms(self) -> list[str]:
        """Rankers to train, the challenger first; then all of them once more, a seed after the other."""
        control, full = (["control"] if self.control else []), (["full"] if self.with_full else [])
        names = ["challenger", *control, *full, *self.trained_baselines]
        return [str(Arm(name, repeat=k)) for k in range(self.seeds) for name in names]

    @property
    def cells(self) -> list[list[str]]:
        """Rankers of a budget curve: an arm and seed a list, its budgets in it, so that each is a task."""
        # The longest training first, or it is alone at the end.
        names = sorted(self.curve.arms, key=lambda name: name != "full")
        return [
            [str(Arm(name, budget, k)) for budget in ([""] if name in POINTS else self.curve.budgets)]
            for k in range(self.seeds)
            for name in names
        ]

    def run_hash(self, data_sha256: str, code: str, curve: bool = False) -> str:
        """What the run, or a curve, is a function of: config, data, code. 16 hex digits."""
        # Shards change no result, and neither pipeline looks at what the other alone is told.
        unasked = {"budget", "gates", "control", "with_full", "baselines"} if curve else {"curve"}
        about = [self.model_dump(mode="json", exclude={"data", "shards", *unasked}), data_sha256, code]
        return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]

    def _arguments(self, *unknown: str) -> dict[str, Any]:
        """Arguments of a pipeline that come from here, but for the settings it does not know."""
        known_otherwise = {"with_full", "control", "baselines", "seeds", "curve", "plan"}
        out = self.model_dump(exclude={*known_otherwise, *unknown})
        return out | {
            "methods": self.computed_methods,
            "encoder": self.embedding_model,
            "learning_rate": self.learning_rate or LEARNING_RATES[self.ranker],
            "name": self.registered_name,
            "warm_up_share": str(self.warm_up_share),
            "warm_ups": self.warm_ups,
            "warm_up_epochs": self.warm_up_epochs or (self.epochs if "target" in self.warm_ups else 1),
            "measured": str(self.measured),
            "traits": self.computed_traits,
            "weights": {k: float(v) for k, v in self.given_weights.items()},
            "learn_weights": self.learn_weights,
            # What is not said is the step's own default.
            "policy": self.policy.model_dump(exclude_defaults=True),
            "rules": out["rules"] | {"least": self.rules.least or LEAST[self.ranker]},
        }

    def pipeline_arguments(self) -> dict[str, Any]:
        """Arguments of the `importance` pipeline that come from here."""
        gates = {k: float(v) for k, v in self.gates.model_dump().items()}
        return self._arguments() | {"arms": self.arms, "gates": gates}

    def curve_arguments(self) -> dict[str, Any]:
        """Arguments of the `budget_curve` pipeline that come from here."""
        cells = self.cells
        return self._arguments("gates", "score_splits") | {
            "cells": cells,
            "arms": [arm for each in cells for arm in each],
            "budget": self.curve.budgets[-1],
            "epsilon": self.curve.epsilon,
        }


def load_config(file: Path | None, overrides: dict[str, Any], settings: Sequence[str] = ()) -> RunConfig:
    """Read a YAML file and put the values of the command line over it.

    Args:
        file: The file, or None.
        overrides: {field: value} of what was given on the command line.
        settings: `field=value` or `field.key=value`, the value as YAML; put over all else.

    Raises:
        BadInput: The file or a value is wrong; the message names the field.
    """
    values: dict[str, Any] = {}
    if file is not None:
        try:
            values = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
        except FileNotFoundError as error:
            raise BadInput(f"--config {file}: no such file") from error
        except OSError as error:
            raise BadInput(f"--config {file}: cannot be read: {error.strerror}") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise BadInput(f"--config {file}: not YAML: {error}") from error
        if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
            raise BadInput(f"--config {file}: expected a mapping of settings, NAME: VALUE")
    values |= overrides
    for setting in settings:
        _put(values, setting)
    try:
        config = RunConfig(**values)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, e['loc'])).replace('_', '-')}: {e['msg']}" for e in error.errors()
        )
        raise BadInput(problems) from error
    known = (*DEFAULT_METHODS, *ON_REQUEST)
    methods = config.computed_methods
    unknown = sorted((set(methods) | set(config.given_weights)) - set(known))
    if unknown:
        raise BadInput(f"unknown methods {', '.join(unknown)}; known: {', '.join(known)}")
    asking = sorted(set(methods) - set(RANKERLESS))
    if config.plan == "vectors" and asking:
        raise BadInput(
            f"methods {', '.join(asking)}: they ask a warm-up ranker, and plan vectors trains none; "
            "leave them out, or choose plan default or full"
        )
    unscored = sorted((set(config.baselines) | set(config.curve.arms)) & set(BY_SCORE) - set(methods))
    if unscored:
        raise BadInput(f"arms {', '.join(unscored)}: name the methods of these names too, or leave them out")
    uncomputed = sorted(
        name for name, weight in config.given_weights.items() if weight and name not in methods
    )
    if uncomputed:
        raise BadInput(f"weights of {', '.join(uncomputed)}: not among the methods to compute")
    if config.learn_weights and not set(methods) - set(TUNED):
        raise BadInput(
            f"weights learned: {', '.join(TUNED)} cannot be judged on the target; compute other methods too"
        )
    if not config.weights and not config.learn_weights and not set(methods) & set(WEIGHTED):
        raise BadInput(
            f"methods: none of them has a weight; compute one of {', '.join(WEIGHTED)}, or give weights"
        )
    return config


def _put(values: dict[str, Any], setting: str) -> None:
    """Put one `field.key=value` into nested values; `field=value` takes the place of all of it."""
    path, equals, text = setting.partition("=")
    *parents, last = path.strip().split(".")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadInput(f"--set {setting}: the value is not YAML: {error}") from error
    if not equals or not last:
        raise BadInput(f"--set {setting}: write NAME=VALUE, e.g. --set gates.slice_floor=0.05")
    for parent in parents:
        inner = values.get(parent)
        values[parent] = dict(inner) if isinstance(inner, dict) else {}
        values = values[parent]
    values[last] = value
