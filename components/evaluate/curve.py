"""Rankers of many budgets -> the budget curve: what each arm reaches on how many rows, and what is enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from assay.components.core.arms import parse_arm
from assay.components.core.manifest import publishing, read_manifest, write_json
from assay.components.core.metrics import (
    METRICS,
    Lists,
    gained,
    interval,
    list_draws,
    over_trainings,
    paired_bootstrap,
)
from assay.components.core.progress import say
from assay.components.core.samples import read_samples
from assay.components.evaluate.comparisons import UNTRAINED
from assay.components.evaluate.curve_report import write_curve_report
from assay.components.evaluate.evaluate import Champion, Inputs, lists_of, predict
from assay.components.evaluate.gates import verdict

CURVE = "curve.json"


@dataclass(frozen=True)
class CurveInputs:
    """Folders that a curve is drawn from.

    Attributes:
        samples: Sample table.
        vectors: What `embed` wrote.
        scores: What `score` wrote.
        selection: What `select` wrote.
        models: What `finetune_each` wrote, in any order.
    """

    samples: str
    vectors: str
    scores: str
    selection: str
    models: Sequence[str]

    @property
    def rankers(self) -> dict[str, str]:
        """{arm, its budget and repeat in its name: model folder}."""
        folders = [Path(models) / arm for models in self.models for arm in read_manifest(models)["arms"]]
        return {folder.name: str(folder) for folder in folders}


def draw_curve(
    inputs: CurveInputs,
    figures_folder: str,
    report_file: str,
    gain: str = "exponential",
    epsilon: float = 0.005,
    seed: int = 0,
) -> dict[str, Any]:
    """Judge every ranker on the test rows, and publish the curve, the predictions and the report.

    Args:
        inputs: What to read.
        figures_folder: Gets `curve.json`, what `curve_of` gives and facts of the run, and
            `predictions.parquet`, from which every figure can be recomputed.
        report_file: The HTML report.
        gain: A name of `GAINS`.
        epsilon: Loss against the best budget that is allowed, as a share of its metric.
        seed: Of the bootstrap.

    Returns:
        The curve.
    """
    facts = read_manifest(inputs.samples)
    test = read_samples(inputs.samples, ["test"])
    rankers = inputs.rankers
    asked = Inputs(inputs.samples, inputs.vectors, inputs.scores, inputs.selection, "", rankers)
    table = predict(test, asked, Champion(), facts).table
    lists = lists_of(table, facts, gain)
    trained = {arm: read_manifest(folder) for arm, folder in rankers.items()}
    scored = read_manifest(inputs.scores)
    selecting = (
        read_manifest(inputs.vectors)["seconds"]
        + scored["seconds"]
        + scored["measure_seconds"]
        + scored["warm_up_seconds"]
        + read_manifest(inputs.selection)["seconds"]
    )
    curve = {
        "schema": 1,
        "metric": facts["metric"],
        "gain": gain,
        "relevant_at": facts["relevant_at"],
        "seed": seed,
        "samples": facts["samples"],
        "groups": {"test": int(test["group_id"].nunique()), "skipped": lists.skipped()},
        "selection_seconds": round(selecting, 1),
        "training": {
            key: next(iter(trained.values()))[key]
            for key in ("model", "ranker", "adapter", "epochs", "batch_size", "learning_rate")
        },
    } | curve_of(lists, table, trained, facts["metric"], epsilon, seed)
    with publishing(figures_folder, samples_sha256=facts["sha256"]) as (folder, _):
        table.to_parquet(folder / "predictions.parquet", index=False)
        write_json(folder / CURVE, curve)
    write_curve_report(Path(report_file), curve, facts)
    for line in curve["says"]:
        say("curve", line)
    return curve


def curve_of(
    lists: Lists,
    table: pd.DataFrame,
    trained: dict[str, dict[str, Any]],
    metric: str,
    epsilon: float,
    seed: int,
) -> dict[str, Any]:
    """The curve of some predictions.

    Args:
        lists: The test rows.
        table: A column of scores an arm, and those of `UNTRAINED`.
        trained: {arm: manifest of its ranker}.
        metric: A name of `METRICS`.
        epsilon: Loss against the best budget that is allowed, as a share of its metric.
        seed: Of the bootstrap.

    Returns:
        `lines`, {name: metric}; `points`, one an arm and budget: its rows, the metric of each training, mean,
        interval, the difference to the control of its budget and to all rows; `enough`, {arm: the smallest
        budget within epsilon of its best, and the share of resamples that say so}; `ahead`, arms that beat
        the challenger at a budget; `says`, all of that in lines of text.
    """
    cells: dict[tuple[str, str], list[str]] = {}
    for text in sorted(trained, key=lambda text: parse_arm(text).repeat):
        arm = parse_arm(text)
        cells.setdefault((arm.name, arm.budget), []).append(text)
    names = [*UNTRAINED, *(text for texts in cells.values() for text in texts)]
    values, draws = list_draws(lists, np.stack([table[name].to_numpy() for name in names]), metric, seed)
    value, drawn = dict(zip(names, values, strict=True)), dict(zip(names, draws, strict=True))
    mean = {cell: float(np.mean([value[text] for text in texts])) for cell, texts in cells.items()}
    draw = {
        cell: over_trainings(
            np.asarray([value[text] for text in texts]), np.stack([drawn[text] for text in texts]), seed
        )
        for cell, texts in cells.items()
    }

    def minus(one: tuple[str, str], two: tuple[str, str]) -> dict[str, float] | None:
        if one == two or two not in cells:
            return None
        first, second = (table[cells[cell]].to_numpy().T for cell in (one, two))
        return paired_bootstrap(lists, first, second, metric, seed)

    points = []
    for (name, budget), texts in cells.items():
        low, high = interval(draw[name, budget])
        points.append(
            {
                "arm": name,
                "budget": budget,
                "rows": int(trained[texts[0]]["train_rows"]),
                "values": [float(value[text]) for text in texts],
                "mean": mean[name, budget],
                "low": low,
                "high": high,
                "minus_control": minus((name, budget), ("control", budget)),
                "minus_full": minus((name, budget), ("full", "")),
                "seconds": round(float(np.mean([trained[text]["seconds"] for text in texts])), 1),
            }
        )
    order = {name: place for place, name in enumerate(dict.fromkeys(name for name, _ in cells))}
    points.sort(key=lambda point: (point["arm"] == "full", order[point["arm"]], point["rows"]))
    trainings = max(len(texts) for texts in cells.values())
    curve = {
        "seeds": trainings,
        "resampled": "over retraining and test lists"
        if trainings > 1
        else "over test lists, not over retraining",
        "epsilon": epsilon,
        "lines": {name: float(value[name]) for name in UNTRAINED},
        "points": points,
        "enough": enough(points, draw, epsilon, metric),
        "ahead": [
            {"arm": name, "budget": budget} | found
            for (name, budget) in cells
            if budget and name != "challenger"
            for found in [minus((name, budget), ("challenger", budget))]
            if found and gained(found, metric)[0] > 0
        ],
    }
    return curve | {"says": says(curve, metric)}


def enough(
    points: list[dict[str, Any]],
    draw: dict[tuple[str, str], np.ndarray],
    epsilon: float,
    metric: str = "ndcg@10",
) -> dict[str, dict[str, Any]]:
    """The smallest budget of each arm whose metric is within epsilon, relative, of the arm's best.

    Args:
        points: Those of a curve, an arm's by its rows.
        draw: {(arm, budget): (r,) resampled means}.
        epsilon: In [0, 1).
        metric: What they are of.

    Returns:
        {arm: its `budget`, `rows` and `mean`; `best`, the best budget; `open`, whether that is the largest
        tried; `agree`, the share of resamples in which the same budget is the smallest within epsilon}, of
        arms with two budgets or more.
    """
    found = {}
    for name in dict.fromkeys(point["arm"] for point in points):
        mine = [point for point in points if point["arm"] == name]
        if len(mine) < 2:
            continue
        sign = 1 if METRICS[metric].greater_is_better else -1
        means = sign * np.asarray([point["mean"] for point in mine])
        every = sign * np.stack([draw[name, point["budget"]] for point in mine])
        place = int((means >= _nearly(means, epsilon)).argmax())
        places = (every >= _nearly(every, epsilon)).argmax(axis=0)
        found[name] = {key: mine[place][key] for key in ("budget", "rows", "mean")} | {
            "best": mine[int(means.argmax())]["budget"],
            "open": bool(means.argmax() == len(mine) - 1),
            "agree": float((places == place).mean()),
        }
    return found


def _nearly(figures: np.ndarray, epsilon: float) -> np.ndarray:
    """What is within epsilon, relative, of the best of the first axis."""
    best = figures.max(axis=0)
    return best - epsilon * np.abs(best)


def says(curve: dict[str, Any], metric: str) -> list[str]:
    """The curve in lines of text, what matters most first."""
    lines = []
    for name, best in curve["enough"].items():
        open_end = ", the largest tried: more rows may be better" if best["open"] else ""
        lines.append(
            f"{name}: budget {best['budget']} ({best['rows']} rows, {metric} {best['mean']:.4f}) is the "
            f"smallest within {curve['epsilon']:.1%} of its best, which is {best['best']}{open_end}; "
            f"{best['agree']:.0%} of resamples say the same"
        )
    for point in curve["points"]:
        if point["arm"] == "challenger" and point["minus_control"]:
            c = point["minus_control"]
            lines.append(
                f"budget {point['budget']}: {verdict(c, metric)}, challenger minus control "
                f"{c['difference']:+.4f} [{c['low']:+.4f}, {c['high']:+.4f}]"
            )
    for c in curve["ahead"]:
        sure = "ahead of" if gained(c, metric)[1] > 0 else "ahead of, within chance,"
        lines.append(
            f"budget {c['budget']}: {c['arm']} is {sure} the challenger, {c['difference']:+.4f} "
            f"[{c['low']:+.4f}, {c['high']:+.4f}]"
        )
    return lines
