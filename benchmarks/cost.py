"""Claim: choosing 30 % of the rows and training on them costs less than training on all of them.

Work: 5,200 training rows of MSRD movie search (the simulated store where ASSAY_DATA is not), 30 % flips, LoRA
cross-encoder, 3 epochs, one seed. CPU seconds of each step in one process, imports paid beforehand. Scores
and training are in single precision, whatever the processor has. Vectors of the test rows are counted too.
The proof, a control of the same size, has its own line. What lies under runs/bench-selection is not made
again.
"""

from __future__ import annotations

from typing import Any

from arena import Arena, Method, sets
from assay.components.finetune import finetune
from assay.components.score import influence
from record import record
from rich.console import Console
from rich.table import Table

ROWS, EPOCHS, BUDGET = 6_150, 3, "0.3"
PLANS = {"vectors": 0.5, "default": 0.8}
"""{plan: what it may cost at most, of training on all rows}."""


def main() -> None:
    """Train, print, write."""
    # Imported here, or the first that needs its gradients would pay for it.
    assert influence
    finetune.has_bf16 = lambda: False
    work = Arena(sets()[0], 0.3, 0, rows=ROWS, epochs=EPOCHS)
    found = {plan: work.cell(Method(plan, plan=plan), BUDGET) for plan in PLANS}
    found |= {"all rows": work.cell(Method("all rows", "full", "vectors"), BUDGET)}
    found |= {"control": work.cell(Method("control", "control", "vectors"), BUDGET)}
    full = found["all rows"]["seconds"]["finetune"]
    lines: dict[str, dict[str, Any]] = {}
    for name, cell in found.items():
        seconds = cell["seconds"]
        selecting = seconds["score"] + seconds["select"] if name in PLANS else 0.0
        saved = (full - seconds["finetune"]) / EPOCHS
        lines[name] = {
            "rows": cell["rows"],
            "ndcg": cell["ndcg"],
            "selection": round(selecting, 1),
            "training": seconds["finetune"],
            "ratio": round((selecting + seconds["finetune"]) / full, 3),
            "break_even_epochs": round(selecting / saved, 1) if name in PLANS and saved > 0 else None,
        }
    table = Table(
        "rows by", "rows", "nDCG@10", "selection, CPU s", "training", "of all", "breaks even, epochs"
    )
    for name, line in lines.items():
        table.add_row(name, *(str("" if value is None else value) for value in line.values()))
    Console(width=120).print(table)
    bounds = {f"plan {plan} / all rows": (lines[plan]["ratio"], "<=", most) for plan, most in PLANS.items()}
    parts = {"before": work.seconds, "lines": lines}
    record("cost", {"set": work.name, "epochs": EPOCHS, "budget": BUDGET} | parts, bounds)


if __name__ == "__main__":
    main()
