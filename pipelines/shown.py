"""What a finished run or curve looks like in a terminal."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from assay.components.core.errors import BadInput
from assay.components.core.metrics import gained
from assay.pipelines.launch import CURVE, SUMMARY
from rich.console import Console
from rich.table import Table


def finished(folder: Path) -> None:
    """See that a folder holds a finished run or curve.

    Raises:
        BadInput: It does not.
    """
    if not (folder / SUMMARY).is_file() and not (folder / CURVE).is_file():
        raise BadInput(f"{folder}: no {SUMMARY}, so no finished run; `assay run --out {folder}` makes one")


def show_run(folder: Path) -> None:
    """A finished run: its arms, the gate, what it cost.

    Raises:
        BadInput: There is none.
    """
    finished(folder)
    summary = json.loads((folder / SUMMARY).read_text())
    metric = summary["metric"]
    table = Table(title=f"{summary['verdict']}: challenger against control", title_justify="left")
    several = ["seeds", "sd"] if "seeds" in summary["results"]["challenger"] else []
    also = summary.get("also", ["auc", "mrr"])
    columns = ["model", metric, *also, "rows", "steps", *several, "challenger minus it [95 %]"]
    for column in columns:
        table.add_column(column, justify="left" if column == "model" else "right")
    for model, values in summary["results"].items():
        if not values:
            continue
        c = summary["comparisons"].get(f"challenger-{model}")
        difference = f"{c['difference']:+.4f} [{c['low']:+.4f}, {c['high']:+.4f}]" if c else ""
        trained = [str(values[k] or "") for k in ("train_rows", "train_steps")]
        if several:
            sd = values.get("sd")
            trained += [str(values.get("seeds", "")), "" if sd is None else f"{sd:.4f}"]
        table.add_row(model, *(f"{values[k]:.4f}" for k in (metric, *also)), *trained, difference)
    console = _console()
    console.print(table)
    console.print(f"intervals {summary['resampled']}")
    for line in of_baselines(summary["baselines"], metric):
        console.print(line)
    if summary["best_arm"] != "challenger":
        console.print(f"the best of the trained arms: {summary['best_arm']}")
    if rare := summary.get("rare"):
        console.print(
            f"{rare['relevant']} of {rare['rows']} test rows are relevant: a true difference below "
            f"{rare['detectable']:.4f} from {rare['against']} would be missed once in five times or more"
        )
    gate, noise, cost = summary["gate"], summary["noise"], summary["cost"]
    console.print(f"gate {'passed' if gate['passed'] else 'refused'} against {gate['against']}")
    if noise:
        console.print(
            f"planted noise {noise['rate']:.0%}: AUROC {noise['auroc']:.3f}, "
            f"precision {noise['precision']:.2f}, recall {noise['recall']:.2f}"
        )
    ratio = f", {cost['ratio']:.2f} of training on all rows" if cost["ratio"] else ""
    even = cost["break_even_epochs"]
    breaks_even = "" if even is None else f", even from {even:.1f} epochs on"
    console.print(
        f"CPU seconds: selection {cost['selection_seconds']:.0f}, "
        f"challenger {cost['challenger_seconds']:.0f}{ratio}{breaks_even}; "
        f"wall {summary['wall_seconds']:.0f} s"
    )
    console.print(f"CPU seconds of the proof: {cost['proof_seconds']:.0f}")
    for line in of_plans(summary["plans"]):
        console.print(line)
    model = summary["model"]
    console.print(f"{model['name']} version {model['version']} is {model['alias']}")
    console.print(f"report: {summary['files']['report']}", soft_wrap=True)


def of_baselines(baselines: dict[str, dict[str, Any]], metric: str = "ndcg@10") -> list[str]:
    """Baselines that are better than the challenger, and those that are no worse, a line each.

    Args:
        baselines: {name: the challenger minus it, with `low` and `high`}.
        metric: What is compared.
    """
    lines = []
    for better, start in (
        (True, "a baseline is better than the challenger: "),
        (False, "no worse than the challenger, as far as these lists tell: "),
    ):
        found = [
            f"{name} ({-c['difference']:+.4f} [{-c['high']:+.4f}, {-c['low']:+.4f}])"
            for name, c in baselines.items()
            if (gained(c, metric)[2] < 0) == better and gained(c, metric)[1] <= 0
        ]
        if found:
            lines.append(start + ", ".join(found))
    return lines


def of_plans(plans: dict[str, dict[str, Any]]) -> list[str]:
    """What smaller plans would have cost and chosen, a line each; the first is the run's own."""
    (_, own), *others = plans.items()
    lines = []
    for name, plan in others:
        wrong = (
            "" if own["wrong"] is None else f", wrong labels {plan['wrong']:.1%} against {own['wrong']:.1%}"
        )
        lines.append(
            f"plan {name} would have taken {plan['seconds']:.0f} CPU seconds of selection "
            f"and chosen {plan['shared']:.0%} of these rows{wrong}"
        )
    return lines


def show_curve(folder: Path) -> None:
    """A finished curve: every point, and what the curve says."""
    curve = json.loads((folder / CURVE).read_text())
    metric = curve["metric"]
    table = Table(title=f"budget curve, intervals {curve['resampled']}", title_justify="left")
    for column in ("arm", "budget", "rows", metric, "minus control [95 %]", "minus full [95 %]"):
        table.add_column(column, justify="left" if column == "arm" else "right")
    for point in curve["points"]:
        differences = [
            f"{c['difference']:+.4f} [{c['low']:+.4f}, {c['high']:+.4f}]" if c else ""
            for c in (point["minus_control"], point["minus_full"])
        ]
        table.add_row(point["arm"], point["budget"], str(point["rows"]), f"{point['mean']:.4f}", *differences)
    for name, value in curve["lines"].items():
        table.add_row(name, "", "0", f"{value:.4f}")
    console = _console()
    console.print(table)
    for line in curve["says"]:
        console.print(line)
    console.print(f"CPU seconds of selection, beside them: {curve['selection_seconds']:.0f}")
    console.print(f"report: {folder / 'report.html'}", soft_wrap=True)


def _console() -> Console:
    return Console(file=sys.stderr, width=None if sys.stderr.isatty() else 110)
