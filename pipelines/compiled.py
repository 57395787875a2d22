"""Compile the pipeline, and check what kfp's compiler and proto parsing do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml


def compile_pipeline(file: Path) -> None:
    """Write the pipeline's YAML, byte-identical for the same code.

    Raises:
        ValueError: A task names an input that its component does not declare, or a task that does not exist.
    """
    from assay.pipelines.importance import importance
    from kfp import compiler

    file.parent.mkdir(parents=True, exist_ok=True)
    compiler.Compiler().compile(importance, str(file))
    problems = undeclared(next(yaml.safe_load_all(file.read_text())))
    if problems:
        raise ValueError(f"{file} would fail on a cluster: {'; '.join(problems)}")


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
