"""Lines of cells, compared: over seeds and test lists, as a table and as figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from assay.components.core.metrics import nested_bootstrap
from rich.console import Console
from rich.table import Table


def compared(lines: Sequence[dict[str, Any]], others: Sequence[str]) -> dict[str, Any]:
    """What each method reached, and how far it is from some of them, of one set at one budget.

    Args:
        lines: Of `cells`, with the same seeds for every method.
        others: Methods that all are compared with.

    Returns:
        {method: ndcg (mean over seeds), sd, each, rows, wrong_labels, seconds, and `over <other>`:
        difference, low, high, p (`nested_bootstrap`), relative, low_relative}.
    """
    by_method: dict[str, list[dict[str, Any]]] = {}
    for line in sorted(lines, key=lambda line: line["seed"]):
        by_method.setdefault(line["method"], []).append(line)
    lists = {name: np.asarray([line["lists"] for line in mine]) for name, mine in by_method.items()}
    found: dict[str, Any] = {}
    for name, mine in by_method.items():
        each = [line["ndcg"] for line in mine]
        wrong = [line["wrong_labels"] for line in mine if line["wrong_labels"] is not None]
        found[name] = {
            "ndcg": float(np.mean(each)),
            "sd": float(np.std(each, ddof=1)) if len(each) > 1 else None,
            "each": each,
            "rows": mine[0]["rows"],
            "wrong_labels": float(np.mean(wrong)) if wrong else None,
            "seconds": {key: float(np.mean([x["seconds"][key] for x in mine])) for key in mine[0]["seconds"]},
        }
        for other in others:
            if other in lists and other != name:
                difference = nested_bootstrap(lists[name], lists[other])
                base = float(lists[other].mean())
                found[name][f"over {other}"] = difference | {
                    "relative": difference["difference"] / base,
                    "low_relative": difference["low"] / base,
                }
    return found


def shown(found: dict[str, Any], title: str, others: Sequence[str]) -> None:
    """Print what `compared` found, the best first."""
    table = Table(
        "method", "rows", "wrong labels", "nDCG@10", "sd", *(f"over {o}" for o in others), title=title
    )
    for name, line in sorted(found.items(), key=lambda item: -item[1]["ndcg"]):
        differences = [
            f"{d['difference']:+.3f} [{d['low']:+.3f}, {d['high']:+.3f}]" if d else ""
            for d in (line.get(f"over {other}") for other in others)
        ]
        wrong = "" if line["wrong_labels"] is None else f"{line['wrong_labels']:.2f}"
        sd = "" if line["sd"] is None else f"{line['sd']:.3f}"
        table.add_row(name, str(line["rows"]), wrong, f"{line['ndcg']:.3f}", sd, *differences)
    Console(width=140).print(table)
