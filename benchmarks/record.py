"""What every benchmark ends with: a table for people, and the figures with what they were measured on."""

from __future__ import annotations

import json
import operator
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
HOLDS = {"<=": operator.le, ">=": operator.ge, "==": operator.eq}


def record(
    name: str,
    figures: dict[str, Any],
    budget: dict[str, tuple[float, str, float]] | None = None,
    peers: dict[str, Any] | None = None,
) -> Path:
    """Write `results/<name>.json` and print the budgets.

    Args:
        name: Of the benchmark.
        figures: What was measured.
        budget: {figure: (value, op, bound)}.
        peers: {peer: what it was and what it measured}.

    Returns:
        The file.
    """
    lines = {
        figure: {"value": value, "op": op, "bound": bound, "met": bool(HOLDS[op](value, bound))}
        for figure, (value, op, bound) in (budget or {}).items()
    }
    table = Table("figure", "value", "must be", "met", title=name)
    for figure, line in lines.items():
        met = "yes" if line["met"] else "[red]no"
        table.add_row(figure, f"{line['value']:.3f}", f"{line['op']} {line['bound']:g}", met)
    if lines:
        Console(width=120).print(table)
    content = {
        "name": name,
        "commit": commit(),
        "machine": machine(),
        "figures": figures,
        "peers": peers or {},
        "budget": lines,
    }
    file = ROOT / "benchmarks" / "results" / f"{name}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(content, indent=1) + "\n")
    return file


def commit() -> str:
    """Of the code that runs."""
    told = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return told.stdout.strip()


def machine() -> str:
    """Processor, and the accelerator if there is one."""
    cpu = f"{os.cpu_count()} x {platform.processor() or platform.machine()}"
    try:
        import torch
    except ImportError:
        return cpu
    return f"{cpu}, {torch.cuda.get_device_name()}" if torch.cuda.is_available() else cpu
