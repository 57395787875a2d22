"""Compile the pipelines, and check what kfp's compiler and proto parsing do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml


def compile_pipelines(folder: Path) -> list[Path]:
    """Write `importance.yaml`, `budget_curve.yaml`, `ingest_log.yaml`, byte-identical for the same code.

    Returns:
        The files.

    Raises:
        ValueError: A task names an input that its component does not declare, or a task that does not exist.
    """
    from assay.pipelines.budget_curve import budget_curve
    from assay.pipelines.importance import importance
    from assay.pipelines.ingest_log import ingest_log
    from kfp import compiler

    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for pipeline in (importance, budget_curve, ingest_log):
        name = pipeline.name.replace("-", "_")
        files.append(folder / f"{name}.yaml")
        compiler.Compiler().compile(pipeline, str(files[-1]))
        problems = undeclared(next(yaml.safe_load_all(files[-1].read_text())))
        if problems:
            raise ValueError(f"{files[-1]} would fail on a cluster: {'; '.join(problems)}")
    return files


def undeclared(spec: dict[str, Any]) -> list[str]:
    """Inputs that a sub-DAG uses without declaring, and producers that do not exist: kfp compiles both.

    Args:
        spec: First document of a compiled pipeline.
    """
    problems = []
    for name, component in {"root": spec["root"], **spec.get("components", {})}.items():
        dag = component.get("dag")
        if not dag:
            continue
        declared = {
            kind: set(component.get("inputDefinitions", {}).get(kind, {}))
            for kind in ("parameters", "artifacts")
        }
        for task_name, task in dag["tasks"].items():
            for kind, key, producer in (
                ("parameters", "componentInputParameter", "taskOutputParameter"),
                ("artifacts", "componentInputArtifact", "taskOutputArtifact"),
            ):
                for source in task.get("inputs", {}).get(kind, {}).values():
                    used = source.get(key)
                    if used is not None and used not in declared[kind]:
                        problems.append(f"{name}/{task_name}: {used} is not declared")
                    made_by = source.get(producer, {}).get("producerTask")
                    if made_by is not None and made_by not in dag["tasks"]:
                        problems.append(f"{name}/{task_name}: there is no task {made_by}")
    return problems
