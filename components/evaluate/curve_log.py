"""The curve in MLflow: one run, each arm's metric with the rows it trained on as steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from assay.components.core import tracking
from assay.components.core.progress import say


def log_curve(curve: dict[str, Any], figures_folder: str, report_file: str, name: str, run_hash: str) -> str:
    """Log a curve; the same run hash is logged once.

    Args:
        curve: As `draw_curve` gives it.
        figures_folder: Holds `curve.json`.
        report_file: The HTML report.
        name: Of the experiment.
        run_hash: What the curve is a function of: config, data, code.

    Returns:
        Id of the MLflow run.
    """
    import mlflow
    from mlflow.entities import Metric, RunStatus

    client = tracking.connect()
    experiment = tracking.experiment_id(client, name)
    tag = f"{tracking.TAG}run_hash"
    same = client.search_runs([experiment], f"tags.`{tag}` = '{run_hash}'")
    for run in same:
        if run.info.status == RunStatus.to_string(RunStatus.FINISHED):
            return run.info.run_id
        # It was killed while it was written.
        client.delete_run(run.info.run_id)
    mlflow.set_experiment(experiment_id=experiment)
    with mlflow.start_run(run_name=f"curve-{run_hash[:8]}") as run:
        mlflow.set_tags({tag: run_hash, f"{tracking.TAG}pipeline": "budget_curve"})
        mlflow.log_params(curve["training"] | {key: curve[key] for key in ("seed", "seeds", "epsilon")})
        at = run.info.start_time
        metrics = [Metric(key, value, at, step) for key, value, step in figures(curve)]
        client.log_batch(run.info.run_id, metrics=metrics)
        mlflow.log_artifact(str(Path(figures_folder) / "curve.json"))
        mlflow.log_artifact(report_file)
        number = str(run.info.run_id)
    say("curve", f"MLflow run {number} of experiment {name}")
    return number


def figures(curve: dict[str, Any]) -> list[tuple[str, float, int]]:
    """(name, value, rows) of all that is drawn; what needs no training is a line over all of them."""
    metric = curve["metric"].replace("@", "_at_")
    steps = sorted({point["rows"] for point in curve["points"]})
    out = [(f"{name}.{metric}", value, step) for name, value in curve["lines"].items() for step in steps]
    for point in curve["points"]:
        values = {metric: point["mean"], f"{metric}.low": point["low"], f"{metric}.high": point["high"]}
        for other in ("control", "full"):
            found = point[f"minus_{other}"]
            if found:
                values |= {f"minus_{other}.{key}": found[key] for key in ("difference", "low", "high")}
        out += [(f"{point['arm']}.{key}", float(value), point["rows"]) for key, value in values.items()]
    return out
