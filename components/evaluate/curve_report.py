"""The report of a budget curve: one HTML file that needs no network; what it says first, then the picture."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import jinja2
from assay.components.evaluate.pictures import GOLD, SLATE, budget_lines

_MORE = ("#3b7a57", "#7a4988", "#b0413e", "#2a6f97", "#a0522d", "#5f6f52", "#8f3985", "#b08900", "#607d8b")


def write_curve_report(file: Path, curve: dict[str, Any], facts: dict[str, Any]) -> None:
    """Render the report beside its place and rename it.

    Args:
        file: Where.
        curve: As `curve_of` gives it, with the facts of the run.
        facts: Manifest of the samples.
    """
    template = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    ).get_template("curve.html")
    html = template.render(curve=curve, facts=facts, picture=budget_lines(curve, colours(curve)))
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f".{file.name}.partial")
    beside.write_text(html, encoding="utf-8")
    os.replace(beside, file)


def colours(curve: dict[str, Any]) -> dict[str, str]:
    """{arm: its colour}: the challenger's is gold, as everywhere."""
    names = list(dict.fromkeys(point["arm"] for point in curve["points"]))
    others = [name for name in names if name not in ("challenger", "control", "full")]
    given = {"challenger": GOLD, "control": SLATE, "full": "#1f2933"}
    return given | {name: _MORE[place % len(_MORE)] for place, name in enumerate(others)}
