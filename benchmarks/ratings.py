"""Claim: wrong star ratings are told from rare and neighbouring ones, and few right ratings are called wrong.

Work: reviews of the simulated store, 3 % of whose stars are known to be misclicked, and women's clothing
reviews (where ASSAY_DATA is), as they are and with 10, 20 and 30 % of the training ratings replaced by
another star, each alike. Peer: cleanlab's `find_label_issues` and self-confidence on the same out-of-fold
probabilities. What is called wrong is what a run drops.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from assay.components.core.manifest import read_manifest
from assay.components.embed.embed import embed
from assay.components.ingest.columns import parse_columns
from assay.components.ingest.prepare import IngestConfig, ingest
from assay.components.score.inputs import Inputs
from assay.components.score.label_noise import label_quality, opinion
from assay.components.score.reading import read_inputs
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from record import record
from rich.console import Console
from rich.table import Table
from sklearn.metrics import roc_auc_score

STARS = 5
PLANTED = (0.0, 0.2) if os.environ.get("QUICK") else (0.0, 0.1, 0.2, 0.3)
SEEDS = range(1 if os.environ.get("QUICK") else 2)


def sets(scratch: Path) -> dict[str, tuple[dict, dict[str, int]]]:
    """{name: (settings of `ingest`, {review: star that was meant}, empty where nobody knows)}."""
    from assay.examples.store import StoreConfig, simulate, write

    store = simulate(StoreConfig())
    write(store, scratch / "store")
    meant = store.truth["reviews"].set_index("review_id")["rating"].astype(int).to_dict()
    found = {"store": ({"data": str(scratch / "store" / "reviews.parquet")}, meant)}
    folder = os.environ.get("ASSAY_DATA", "")
    if folder:
        clothing = {
            "data": f"{folder}/reviews_womens_clothing/reviews.parquet",
            "columns": parse_columns("item_id=clothing_id,query=class_name"),
            "sample": 2_000,
            "test_sample": 100,
        }
        found["womens_clothing"] = (clothing, {})
    return found


def prepared(settings: dict, folder: Path) -> Inputs:
    """Reviews by their rating, and their features."""
    names = [str(folder / name) for name in ("samples", "texts", "truth", "vectors", "encoder")]
    ingest(IngestConfig(task="review", policy={"label": "rating"}, **settings), *names[:3])
    embed(names[0], names[1], names[3], names[4], "minilm", seed=0)
    return read_inputs(names[0], names[3], {}, read_manifest(names[0])["relevant_at"], seed=0)


def planted(inputs: Inputs, rate: float, seed: int) -> tuple[Inputs, np.ndarray]:
    """The same with some ratings replaced by another star, each alike; and which."""
    samples, rng = inputs.samples.copy(), np.random.default_rng(seed)
    given = samples["grade"].to_numpy(dtype=np.int64)
    chosen = np.zeros(len(given), dtype=bool)
    chosen[rng.permutation(len(given))[: round(rate * len(given))]] = True
    other = (given - 1 + rng.integers(1, STARS, len(given))) % STARS + 1
    stars = np.where(chosen, other, given)
    samples["grade"] = stars.astype(samples["grade"].dtype)
    samples["label"] = (stars / STARS).astype(samples["label"].dtype)
    return replace(inputs, samples=samples, kept={}, facts={}), chosen


def measured(inputs: Inputs, wrong: np.ndarray) -> dict:
    """What is called wrong by each, and how much of it is; None where nothing is."""
    labels, probability = inputs.grades.rows, opinion(inputs).rows
    quality = label_quality(inputs)
    flagged = {"ours": quality < 0.5, "cleanlab": find_label_issues(labels, probability, n_jobs=1)}
    scores = {
        "ours": quality,
        "cleanlab": get_label_quality_scores(labels, probability, method="self_confidence"),
    }
    told = inputs.facts["label_quality"]["grades"]
    found: dict = {"rows": len(labels), "wrong": float(wrong.mean())}
    found["estimated"] = {key: told[key] for key in ("rate", "low", "high")} if told else None
    for who, mine in flagged.items():
        of_star = [float(mine[labels == star].mean()) for star in np.unique(labels)]
        found[who] = {
            "flagged": float(mine.mean()),
            "flagged_most_of_a_star": max(of_star),
            "precision": float(wrong[mine].mean()) if mine.any() else None,
            "recall": float(mine[wrong].mean()) if wrong.any() else None,
            "right_flagged": float(mine[~wrong].mean()),
            "auroc": float(roc_auc_score(wrong, -scores[who])) if wrong.any() else None,
        }
    return found


def mean_of(runs: list[dict], who: str, key: str) -> float | None:
    """Over seeds; None where one has none."""
    values = [run[who][key] for run in runs]
    return None if None in values else float(np.mean(values))


def main() -> None:
    """Measure, print, write."""
    figures: dict[str, list[dict]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name, (settings, meant) in sets(Path(scratch)).items():
            folder = Path(scratch) / "work" / name
            folder.mkdir(parents=True)
            clean = prepared(settings, folder)
            for rate in PLANTED:
                runs = figures[f"{name}, {rate:.0%}"] = []
                for seed in SEEDS if rate else [0]:
                    inputs, wrong = planted(clean, rate, seed)
                    if meant:
                        right = inputs.samples["item_id"].map(meant).to_numpy()
                        wrong = inputs.samples["grade"].to_numpy() != right
                    runs.append(measured(inputs, wrong))
    keys = ("flagged", "flagged_most_of_a_star", "precision", "recall", "auroc")
    table = Table("set, planted", "wrong", "by", "called wrong", "of a star", "precision", "recall", "AUROC")
    budget: dict[str, tuple[float, str, float]] = {}
    for case, runs in figures.items():
        for who in ("ours", "cleanlab"):
            means = [mean_of(runs, who, key) for key in keys]
            shown = ["" if mean is None else f"{mean:.3f}" for mean in means]
            table.add_row(case, f"{runs[0]['wrong']:.3f}", who, *shown)
        if case.endswith(" 0%"):
            budget[f"{case}: called wrong"] = (runs[0]["ours"]["flagged"], "<=", 0.03)
        else:
            mine = {key: mean_of(runs, "ours", key) for key in runs[0]["ours"]}
            oftener = mine["recall"] / max(mine["right_flagged"], 1e-3)
            better = mine["precision"] / mean_of(runs, "cleanlab", "precision")
            budget[f"{case}: wrong ones called wrong / right ones"] = (oftener, ">=", 5.0)
            budget[f"{case}: precision / cleanlab's"] = (better, ">=", 1.2)
    Console(width=130).print(table)
    record("ratings", figures, budget)


if __name__ == "__main__":
    main()
