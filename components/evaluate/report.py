"""The report: one HTML file that needs no network; the verdict first, then pictures, then rows."""

from __future__ import annotations

import os
from pathlib import Path

import jinja2
import pandas as pd
from assay.components.core.metrics import METRICS
from assay.components.evaluate import pictures
from assay.components.evaluate.comparisons import says

ROWS = 15
_WORDS = {
    "gain": "Selection pays: the challenger beats a random sample of the same size.",
    "no significant gain": "Selection gave no significant gain over a random sample of the same size.",
    "loss": "Selection hurt: a random sample of the same size trains a better ranker.",
    "unproven": "Unproven: no control was trained, so nothing is known of the selection's worth.",
}


def write_report(
    file: Path,
    evidence: dict,
    facts: dict,
    scores: pd.DataFrame,
    selection: pd.DataFrame,
    train: pd.DataFrame,
    dynamics: tuple[str, pd.DataFrame],
    suspects: pd.DataFrame | None = None,
) -> None:
    """Render the report beside its place and rename it.

    Args:
        file: Where.
        evidence: What `evaluate` found.
        facts: Manifest of the samples.
        scores: Scores of the training rows.
        selection: Rows of each arm.
        train: Training rows, with texts.
        dynamics: Name of an arm, and its rows' training dynamics.
        suspects: Test rows that look mislabelled, with texts; None where no test row was scored.
    """
    taken = set(selection.loc[selection["arm"] == "challenger", "sample_id"])
    rows = scores.merge(train[["sample_id", "context", "item", "label"]], on="sample_id")
    chosen = rows[rows["sample_id"].isin(taken)]
    template = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    ).get_template("report.html")
    html = template.render(
        evidence=evidence,
        facts=facts,
        words=_WORDS[evidence["verdict"]],
        metrics=METRICS,
        says=says(evidence["baselines"], evidence["metric"]),
        pictures={
            "results": pictures.results_bars(evidence["results"], evidence["metric"]),
            "intervals": pictures.intervals(
                evidence["comparisons"], evidence["resampled"], evidence["metric"]
            ),
            "points": pictures.budget_points(
                evidence["points"], evidence["results"]["base"][evidence["metric"]], evidence["metric"]
            ),
            "auto": pictures.auto_curve(evidence["auto"]) if evidence["auto"] else None,
            "importance": pictures.importance_histogram(scores, taken),
            "noise": pictures.noise_histogram(scores),
            "data_map": pictures.data_map(
                dynamics[1], set(scores.loc[scores["decision"] != "keep", "sample_id"])
            ),
        },
        mapped=dynamics[0],
        valuable=_records(chosen.sort_values(["importance", "sample_id"], ascending=[False, True])),
        suspicious=_by_noise(rows),
        suspects=None if suspects is None else _by_noise(suspects),
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f".{file.name}.partial")
    beside.write_text(html, encoding="utf-8")
    os.replace(beside, file)


def _by_noise(rows: pd.DataFrame) -> list[dict]:
    return _records(rows.sort_values(["noise", "sample_id"], ascending=[False, True]))


def _records(rows: pd.DataFrame) -> list[dict]:
    shown = rows.head(ROWS)[
        ["context", "item", "label", "suggested_label", "importance", "noise", "decision", "explanation"]
    ].copy()
    for column in ("context", "item"):
        shown[column] = shown[column].str.slice(0, 200)
    return shown.to_dict("records")
