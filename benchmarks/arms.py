"""Claim: the challenger beats a random sample of its size; and what all rows reach, over seeds.

Work: the demo on the simulated store and, where ASSAY_DATA is, MSRD movie search; 30 % planted flips, budget
30 %, LoRA bi-encoder, 2 epochs. Each (set, seed) is a run under runs/bench-arms; a finished one is not run
again. QUICK=1 runs seed 0 alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

from record import ROOT, record
from rich.console import Console
from rich.table import Table

SETS = {"store": ["--noise", "0.3", "--budget", "0.3"]}
DATA = os.environ.get("ASSAY_DATA", "")
if DATA:
    SETS["msrd"] = [
        "--data",
        f"{DATA}/search_msrd_movies/pairs.parquet",
        "--columns",
        "query=query,item=product_title,label=grade,item_id=product_id",
        "--sample",
        "4000",
        "--test-sample",
        "4000",
        "--noise",
        "0.3",
        "--budget",
        "0.3",
        "--with-full",
    ]
SEEDS = {"store": range(5), "msrd": range(2)}


def run(name: str, seed: int) -> dict:
    """One finished run's summary; runs it if there is none."""
    out = ROOT / "runs" / "bench-arms" / f"{name}-{seed}"
    if not (out / "summary.json").is_file():
        # A registry of its own: a champion of one seed must not be the bar of another.
        environment = os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{out}-mlflow.db"}
        out.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            [
                sys.executable,
                "-m",
                "assay.pipelines.cli",
                "run",
                *SETS[name],
                "--seed",
                str(seed),
                "--out",
                out,
            ],
            check=True,
            cwd=ROOT,
            env=environment,
        )
    return json.loads((out / "summary.json").read_text())


def main() -> None:
    """Run what is missing, print the table, write the figures."""
    figures, table = (
        {},
        Table(title="nDCG@10, exponential gain; differences with 95 % intervals over test lists"),
    )
    names = ("lexical", "base", "control", "challenger", "full")
    for column in ("run", *names, "challenger - control", "challenger - full", "AUROC", "wall s"):
        table.add_column(column)
    for name in SETS:
        for seed in [0] if os.environ.get("QUICK") else SEEDS[name]:
            s = run(name, seed)
            results = [f"{s['results'][m][s['metric']]:.4f}" if s["results"][m] else "" for m in names]
            shown = []
            for other in ("control", "full"):
                c = s["comparisons"][f"challenger-{other}"]
                shown.append(f"{c['difference']:+.4f} [{c['low']:+.4f}, {c['high']:+.4f}]" if c else "")
            figures[f"{name}-{seed}"] = {
                key: s[key]
                for key in ("results", "comparisons", "verdict", "noise", "cost", "gate", "wall_seconds")
            }
            table.add_row(
                f"{name} {seed}", *results, *shown, f"{s['noise']['auroc']:.3f}", f"{s['wall_seconds']:.0f}"
            )
    Console(width=150).print(table)
    gains = [f["verdict"] == "gain" for key, f in figures.items() if key.startswith("store")]
    bound = 1 if os.environ.get("QUICK") else 4
    record("arms", figures, {"store_gains": (sum(gains), ">=", bound)})


if __name__ == "__main__":
    main()
