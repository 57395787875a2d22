"""README, docs, --help and code agree."""

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest
from assay.components.evaluate.gates import GateConfig
from assay.components.ingest.readers.known import READERS
from assay.components.score.combine import WEIGHTS
from assay.components.score.methods import METHODS
from assay.components.score.plans import DEFAULT_METHODS, PLANS
from assay.components.select.baselines import BASELINES as CHOSEN
from assay.components.select.coverage.methods import COVERAGE
from assay.components.select.rules import Rules as RulesOfSelect
from assay.pipelines.budget_curve import budget_curve
from assay.pipelines.choices import BASELINES, BY_SCORE, ON_REQUEST, RANKERLESS, WEIGHTED
from assay.pipelines.config import RunConfig
from assay.pipelines.importance import importance
from assay.pipelines.settings import Curve, Gates, Rules

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        ROOT / "README.md",
        *(ROOT / "docs").glob("*.md"),
        *ROOT.glob("*/README.md"),
        *ROOT.glob("*/*/README.md"),
    ]
)


def help_of(*command: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "assay.pipelines.cli", *command, "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={"COLUMNS": "200", "PATH": "/usr/bin:/bin"},
    ).stdout


COMMANDS = [
    "run",
    "curve",
    "ingest",
    "erase",
    "compile",
    "report",
    "why",
    "export",
    "promote",
    "rollback",
    "serve",
    "bundle",
    "data",
]


@pytest.fixture(scope="module")
def helps() -> dict[str, str]:
    return {command: help_of(command) for command in COMMANDS}


def test_every_command_is_there(helps):
    listed = help_of()
    assert all(re.search(rf"^  {command} ", listed, re.M) for command in COMMANDS)


def test_the_options_of_the_contract_are_there(helps):
    for option in [
        "data",
        "task",
        "columns",
        "max-grade",
        "relevant-at",
        "gain",
        "split-column",
        "sample",
        "test-sample",
        "budget",
        "noise",
        "with-full",
        "no-control",
        "score-splits",
        "store",
        "drop-unlabelled",
        "ranker",
        "model",
        "name",
        "epochs",
        "seed",
        "out",
        "fresh",
    ]:
        assert re.search(rf"--{option}\b", helps["run"]), option


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_what_a_page_names_is_there(page, helps):
    text = page.read_text()
    for line in re.findall(rf"assay (?:{'|'.join(COMMANDS)})\b[^\n`]*", text):
        command = line.split()[1]
        for option in re.findall(r"(?<!\S)(--[a-z][a-z-]*)", line):
            assert option in helps[command], line
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    for target in re.findall(r"`make ([a-z-]+)", text):
        assert target in targets, target
    for link in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", text):
        assert (page.parent / link).exists(), link


def test_methods_and_defaults_are_the_same_in_config_pipeline_and_code():
    assert [*DEFAULT_METHODS, *ON_REQUEST] == list(METHODS)
    page = (ROOT / "docs" / "scores.md").read_text()
    assert re.findall(r"^\| `(\w+)`", page, re.M) == list(METHODS)


@pytest.mark.parametrize(
    ("pipeline", "arguments", "others"),
    [
        (importance, RunConfig().pipeline_arguments(), {"champion"}),
        (budget_curve, RunConfig().curve_arguments(), {"score_splits"}),
    ],
)
def test_settings_and_their_defaults_are_the_same_in_config_and_pipeline(pipeline, arguments, others):
    from google.protobuf import json_format

    inputs = pipeline.pipeline_spec.root.input_definitions.parameters
    assert set(arguments) <= set(inputs)
    filled = {"run_hash", "data_sha256", "encoder_sha256", "model_sha256", "tagger_sha256", "code"}
    assert set(inputs) - set(arguments) == filled | others
    # Gates and rules that are not given are the step's own defaults.
    for name in set(arguments) - {"data", "gates", "rules", "seed"}:
        default = json_format.MessageToDict(inputs[name].default_value)
        assert default == arguments[name] or (default, arguments[name]) == ({}, {}), name


def test_arms_and_what_they_need_are_those_of_the_steps():
    assert tuple(CHOSEN) == BASELINES
    assert tuple(name for name, baseline in CHOSEN.items() if "scores" in baseline.needs) == BY_SCORE
    assert {name for name, method in METHODS.items() if not method.by_ranker} == set(RANKERLESS)
    assert all(set(methods) <= set(METHODS) for methods in PLANS.values())


def test_the_weighted_methods_are_those_of_the_step():
    assert tuple(WEIGHTS) == WEIGHTED


def test_the_gates_of_a_run_are_those_of_the_step():
    assert GateConfig(**RunConfig().gates.model_dump()) == GateConfig()


def test_the_rules_of_a_run_are_those_of_the_step():
    given = RunConfig().rules.model_dump()
    assert set(given) == {field.name for field in dataclasses.fields(RulesOfSelect)}
    assert RulesOfSelect.of(given) == RulesOfSelect()
    page = (ROOT / "docs" / "configuration.md").read_text()
    assert ", ".join(COVERAGE) in page


def test_every_configuration_field_has_a_description():
    example = (ROOT / "docs" / "configuration.md").read_text()
    for model in (RunConfig, Gates, Rules, Curve):
        assert all(field.description for field in model.model_fields.values())
        for name in model.model_fields:
            assert f"`{name}`" in example, name


def test_the_page_of_formats_lists_every_reader():
    page = (ROOT / "docs" / "ingest.md").read_text()
    named = set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\|[^|]*\|([^|]*)\|", page, re.M))))
    assert named == set(READERS)
