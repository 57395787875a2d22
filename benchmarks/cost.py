"""Claim: choosing 30 % of the rows and training on them costs less than training on all of them.

Work: 5,010 and 10,020 training rows of MSRD movie search (the simulated store where ASSAY_DATA is not), 30 %
of labels flipped, LoRA cross-encoder, 3 epochs, one seed. CPU seconds of each step in one process, imports
paid beforehand. Scores and training are in single precision. Vectors of the test rows are counted too.
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

SIZES, EPOCHS, BUDGET = (6_150, 12_300), 3, "0.3"
"""Rows of train, validation and target together."""
PLANS = {"vectors": 0.5, "default": 0.8}
"""{plan: what it may cost at most, of training on all rows}."""


def main() -> None:
    """Train, print, write."""
    # Imported here, or the first that needs its gradients would pay for it.
    assert influence
    finetune.has_bf16 = lambda: False
    sizes: dict[int, Any] = {}
    for rows in SIZES:
        work = Arena(sets()[0], 0.3, 0, rows=rows, epochs=EPOCHS)
        lines = compared(work)
        sizes[lines["all rows"]["rows"]] = {"before": work.seconds, "lines": lines}
        shown(lines)
    bounds = {
        f"plan {plan} / all rows, of {rows:,}": (found["lines"][plan]["ratio"], "<=", most)
        for rows, found in sizes.items()
        for plan, most in PLANS.items()
    }
    record("cost", {"set": sets()[0], "epochs": EPOCHS, "budget": BUDGET, "training_rows": sizes}, bounds)


def compared(work: Arena) -> dict[str, dict[str, Any]]:
    """Each plan, all rows and the control: rows, nDCG@10, CPU seconds, and their share of all rows'."""
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
    return lines


def shown(lines: dict[str, dict[str, Any]]) -> None:
    """Print them."""
    table = Table("", "rows", "nDCG@10", "selection, CPU s", "training", "of all rows'", "even from epoch")
    for name, line in lines.items():
        table.add_row(name, *(str("" if value is None else value) for value in line.values()))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
