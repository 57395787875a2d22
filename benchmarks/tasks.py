"""Claim: every task ends with a result by its own metric, beside what a shop would have without any of this.

Work: `assay run` on the four tasks of the simulated store and, where ASSAY_DATA is, on six public sets; plan
`vectors`, budget 30 %, LoRA bi-encoder, 2 epochs, seed 0, sub-samples of whole lists so that a run takes
minutes. Beside each: TF-IDF and logistic regression on all training rows; of recommendations popularity and
item-kNN, all over the whole catalogue. A finished run is a line of `results/tasks.jsonl`, and not run again.
QUICK=1: the store alone. NAMES=ads,rec_amazon_games: these alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

from record import ROOT, record
from rich.console import Console
from rich.table import Table

LINES = ROOT / "benchmarks" / "results" / "tasks.jsonl"
DATA = os.environ.get("ASSAY_DATA", "")
SMALL = ["--sample", "2000", "--test-sample", "2000"]
STORE = {
    "search": ["--task", "search"],
    "recommendation": ["--task", "recommendation", "--sample", "2000"],
    "review": ["--task", "review"],
    "ads": ["--task", "ads", "--sample", "3000"],
}
PUBLIC = {
    "search_msrd_movies": [
        "--task", "search", "--data", "search_msrd_movies/pairs.parquet",
        "--columns", "query=query,item=product_title,label=grade,item_id=product_id", *SMALL,
    ],
    "search_esci_sample": [
        "--task", "search", "--data", "search_esci_sample/pairs.parquet",
        "--columns", "query=query,item=product_title,label=grade,segment=locale", "--relevant-at", "3",
    ],
    "rec_amazon_games": [
        "--task", "recommendation", "--data", "rec_amazon_games",
        "--columns", "item=title,order=position", "--sample", "2000",
    ],
    "reviews_womens_clothing": [
        "--task", "review", "--data", "reviews_womens_clothing/reviews.parquet",
        "--columns", "item_id=clothing_id,query=class_name", "--relevant-at", "4", *SMALL,
    ],
    "reviews_zh_online_shopping": [
        "--task", "review", "--data", "reviews_zh_online_shopping/reviews.parquet", *SMALL,
    ],
    "ads_open_bandit": [
        "--task", "ads", "--data", "ads_open_bandit", "--columns",
        "query=campaign+position+user_feature_0+user_feature_1+user_feature_2+user_feature_3,"
        "item=item_feature_1+item_feature_2+item_feature_3,item_id=campaign+item_id,segment=campaign,"
        "feature=affinity_shown_item+affinity_sum+item_feature_0",
        "--set", "policy.keep_unclicked=0.05",
    ],
}  # fmt: skip
PLAIN = ("random", "lexical", "base", "popularity", "item_knn", "tfidf_lr", "control", "challenger")


def run(name: str, arguments: list[str]) -> dict:
    """One run, in a folder and with a registry of its own; a broken one goes on where it was."""
    given = [f"{DATA}/{a}" if arguments[k - 1] == "--data" else a for k, a in enumerate(arguments)]
    started, before = time.monotonic(), os.times()
    folder = ROOT / "runs" / "bench-tasks" / name
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "assay.pipelines.cli", "run", "--plan", "vectors", "--out", "run", *given],
        cwd=folder,
        env={k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    summary = json.loads((folder / done.stdout.strip().splitlines()[-1]).read_text())
    after = os.times()
    keys = ("task", "metric", "also", "verdict", "selected", "samples", "results", "comparisons", "rare")
    return {
        "set": name,
        **{key: summary[key] for key in (*keys, "full_ranking", "gate")},
        "cpu_seconds": round(
            after.children_user + after.children_system - before.children_user - before.children_system, 1
        ),
        "wall_seconds": round(time.monotonic() - started, 1),
    }


def main() -> None:
    """Run what is missing, print, write."""
    work = STORE | (PUBLIC if DATA and not os.environ.get("QUICK") else {})
    names = [name for name in os.environ.get("NAMES", "").split(",") if name] or list(work)
    kept = [json.loads(line) for line in LINES.read_text().splitlines()] if LINES.is_file() else []
    found = {line["set"]: line for line in kept}
    for name in names:
        if name not in found:
            found[name] = run(name, work[name])
            LINES.parent.mkdir(exist_ok=True)
            with LINES.open("a", encoding="utf-8") as file:
                file.write(json.dumps(found[name]) + "\n")
    table = Table("set", "metric", *PLAIN, "minus control [95 %]", "minus tfidf_lr [95 %]", title="tasks")
    for name in work:
        if name not in found:
            continue
        line = found[name]
        values = [line["results"].get(model) for model in PLAIN]
        cells = ["" if each is None else f"{each[line['metric']]:.4f}" for each in values]
        differences = [line["comparisons"][f"challenger-{other}"] for other in ("control", "tfidf_lr")]
        cells += [f"{c['difference']:+.4f} [{c['low']:+.4f}, {c['high']:+.4f}]" for c in differences]
        table.add_row(name, line["metric"], *cells)
    Console(width=190).print(table)
    for line in found.values():
        if line["rare"]:
            print(f"{line['set']}: {line['rare']}")
    finished = sum(name in found for name in (*STORE, *PUBLIC))
    record("tasks", {"runs": found}, {"sets with a result": (finished, "==", len(STORE) + len(PUBLIC))})


if __name__ == "__main__":
    main()
