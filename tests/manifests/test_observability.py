"""Alerts, dashboard and docs name metrics, labels and values that the service has."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from assay.serving.telemetry import metrics as names
from assay.serving.telemetry.metrics import Metrics
from assay.serving.telemetry.settings import TelemetrySettings
from assay.serving.telemetry.telemetry import Telemetry
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "manifests" / "observability"
PAGE = (ROOT / "docs" / "observability.md").read_text()
INSTRUMENTS = {instrument.name: instrument for instrument in Metrics().instruments()}

RULES = [
    rule
    for group in yaml.safe_load((FOLDER / "prometheusrule.yaml").read_text())["spec"]["groups"]
    for rule in group["rules"]
]
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())

OF_A_TARGET = {"namespace", "pod", "job"}
"""Labels that Prometheus adds by where it scrapes."""

VALUES = {
    "stage": names.STAGES,
    "reason": names.REASONS,
    "route": (*names.ROUTES, "other"),
    "role": ("champion", "challenger"),
    "status": tuple(str(status) for status in (200, 400, 401, 404, 405, 413, 415, 429, 499, 500, 503, 504)),
    "job": ("assay-serving",),
    "namespace": ("any",),
    "pod": ("any",),
    ("assay_swaps_total", "outcome"): names.SWAPS,
    ("assay_shadow_total", "outcome"): names.SHADOWS,
    ("assay_feedback_events_total", "outcome"): names.EVENTS,
    ("assay_feedback_impressions_total", "outcome"): names.IMPRESSIONS,
}


def expressions() -> Iterator[tuple[str, str]]:
    for rule in RULES:
        yield rule["alert"], rule["expr"]
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield f"{panel['title']} {target['refId']}", target["expr"]
    for note in DASHBOARD["annotations"]["list"]:
        yield note["name"], note["expr"]


def parsed(expression: str):
    for variable, text in {
        "$__rate_interval": "5m",
        "$namespace": ".*",
        "$pod": ".*",
        "$route": ".*",
    }.items():
        expression = expression.replace(variable, text)
    assert "$" not in expression
    return promql_parser.parse(expression)


def nodes(node) -> Iterator[Any]:
    yield node
    for name in ("lhs", "rhs", "expr", "vector_selector", "param"):
        if isinstance(child := getattr(node, name, None), promql_parser.Expr):
            yield from nodes(child)
    for child in getattr(node, "args", ()):
        yield from nodes(child)


def labels_of(name: str) -> set[str] | None:
    """Labels of a series that the service shows; None where it shows no such one."""
    if name in INSTRUMENTS:
        found = INSTRUMENTS[name]
        return set(found.labels) if type(found).__name__ != "Histogram" else None
    base, _, part = name.rpartition("_")
    if base in INSTRUMENTS and type(INSTRUMENTS[base]).__name__ == "Histogram":
        own = set(INSTRUMENTS[base].labels)
        return {"bucket": own | {"le"}, "sum": own, "count": own}.get(part)
    return set() if name in PROCESS else None


PROCESS = {
    sample.name
    for family in text_string_to_metric_families(Telemetry().exposition().decode())
    for sample in family.samples
    if sample.name.startswith("process_")
}

CASES = list(expressions())


@pytest.mark.parametrize(("where", "expression"), CASES, ids=[where for where, _ in CASES])
def test_an_expression_names_series_labels_and_values_that_are_there(where, expression):
    selectors = [node for node in nodes(parsed(expression)) if isinstance(node, promql_parser.VectorSelector)]
    assert selectors
    for selector in selectors:
        labels = labels_of(selector.name)
        assert labels is not None, selector.name
        for matcher in selector.matchers.matchers:
            assert matcher.name in labels | OF_A_TARGET, (selector.name, matcher.name)
            values = VALUES.get((selector.name, matcher.name)) or VALUES[matcher.name]
            for text in matcher.value.split("|"):
                assert any(re.fullmatch(text, value) for value in values), (matcher.name, text)


@pytest.mark.parametrize(("where", "expression"), CASES, ids=[where for where, _ in CASES])
def test_what_is_grouped_by_is_a_label_of_what_is_grouped(where, expression):
    for node in nodes(parsed(expression)):
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            below = [n for n in nodes(node.expr) if isinstance(n, promql_parser.VectorSelector)]
            for selector in below:
                assert set(node.modifier.labels) <= (labels_of(selector.name) or set()) | OF_A_TARGET


@pytest.mark.parametrize(("where", "expression"), CASES, ids=[where for where, _ in CASES])
def test_a_counter_is_read_by_its_growth_and_a_gauge_as_it_is(where, expression):
    tree = parsed(expression)
    grown = {
        inner.name
        for node in nodes(tree)
        if isinstance(node, promql_parser.Call) and node.func.name in ("rate", "increase")
        for inner in nodes(node)
        if isinstance(inner, promql_parser.VectorSelector)
    }
    for node in nodes(tree):
        if isinstance(node, promql_parser.VectorSelector):
            only_grows = node.name.endswith(("_total", "_bucket", "_sum", "_count"))
            assert (node.name in grown) == only_grows, node.name


def test_every_metric_is_in_the_docs_and_on_the_dashboard():
    rows = dict(re.findall(r"^\| `(assay_\w+)` \| ([^|]*) \|", PAGE, re.M))
    assert list(rows) == list(INSTRUMENTS)
    for name, instrument in INSTRUMENTS.items():
        assert tuple(re.findall(r"`(\w+)`", rows[name])) == instrument.labels, name
    shown = " ".join(expression for where, expression in CASES)
    assert [name for name in INSTRUMENTS if name not in shown] == []


def test_the_values_of_labels_are_in_the_docs():
    for values in (
        names.REASONS,
        names.STAGES,
        names.SWAPS,
        names.SHADOWS,
        names.EVENTS,
        names.IMPRESSIONS,
    ):
        assert f"| {', '.join(f'`{value}`' for value in values)} |" in PAGE


def test_every_alert_says_how_bad_it_is_and_the_docs_what_to_do():
    told = dict(re.findall(r"^\| `(Assay\w+)` \| (\w+) \| [^|]+ \| [^|]+ \|$", PAGE, re.M))
    assert told == {rule["alert"]: rule["labels"]["severity"] for rule in RULES}
    for rule in RULES:
        assert rule["annotations"]["summary"]
        page, _, heading = rule["annotations"]["runbook"].partition("#")
        assert (ROOT / page).is_file()
        assert f"\n## {heading.capitalize()}\n" in PAGE


def test_a_summary_uses_only_labels_that_its_expression_leaves():
    for rule in RULES:
        used = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
        tree = parsed(rule["expr"])
        kept = [set(n.modifier.labels) for n in nodes(tree) if isinstance(n, promql_parser.AggregateExpr)]
        assert all(used <= labels for labels in kept[:1]), rule["alert"]
        assert kept or not used, rule["alert"]


def test_the_latency_budget_is_a_bound_of_the_buckets():
    slow = next(rule["expr"] for rule in RULES if rule["alert"] == "AssaySlow")
    assert float(slow.rpartition(">")[2]) in names.SECONDS


def test_a_panel_has_a_place_of_its_own_and_says_what_it_shows():
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
        assert panel["type"] == "row" or panel["description"].endswith(".")
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)


def test_the_settings_are_in_the_docs():
    for variable in TelemetrySettings.variables():
        assert f"| `{variable}` |" in PAGE


def test_an_overlay_takes_it_as_a_component(tmp_path):
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not on PATH: kustomizations are not rendered")
    shutil.copytree(ROOT / "manifests", tmp_path / "manifests")
    overlay = tmp_path / "manifests" / "overlays" / "mine"
    overlay.mkdir()
    (overlay / "kustomization.yaml").write_text(
        yaml.safe_dump(
            {
                "resources": ["../../base"],
                "components": ["../../observability"],
                "namespace": "shop",
                "namePrefix": "a-",
            }
        )
    )
    done = subprocess.run(["kubectl", "kustomize", overlay], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    objects = {document["kind"]: document for document in yaml.safe_load_all(done.stdout)}
    assert {document["metadata"]["namespace"] for document in objects.values()} == {"shop"}
    monitor, service = objects["ServiceMonitor"]["spec"], objects["Service"]
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["endpoints"][0]["port"] in [port["name"] for port in service["spec"]["ports"]]
    # `job`, by which the alerts and the dashboard select.
    assert service["metadata"]["labels"][monitor["jobLabel"]] == VALUES["job"][0]
    documents = list(yaml.safe_load_all(done.stdout))
    (dashboard,) = [d for d in documents if d["metadata"]["labels"].get("grafana_dashboard") == "1"]
    assert json.loads(dashboard["data"]["assay-serving.json"]) == DASHBOARD
