"""Evidence -> MLflow: a run with its figures, and a model version that holds ranker and encoder."""

from __future__ import annotations

import json
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

from assay.components.core import tracking
from assay.components.core.manifest import library_versions, read_manifest, sha256_of
from assay.components.core.progress import say
from assay.components.register.canary import write_canary

_REQUIREMENTS = ("torch", "transformers", "tokenizers", "safetensors", "numpy", "pandas")


def register(
    name: str,
    task: str,
    run_hash: str,
    evidence_folder: str,
    samples_folder: str,
    model_folder: str,
    encoder_folder: str,
    predictions_folder: str,
) -> str:
    """Log the run and register the challenger; the same run hash and weights give the same version.

    Args:
        name: Of the registered model.
        task: Its task.
        run_hash: What the run is a function of: config, data, code.
        evidence_folder: Holds `evidence.json`.
        samples_folder: Its manifest is the dataset's lineage.
        model_folder: Holds `ranker/`.
        encoder_folder: The encoder of `embed`.
        predictions_folder: Holds `predictions.parquet`; a few of its rows become the canary set.

    Returns:
        The version's number. Alias `challenger` points to it, or to a newer one.
    """
    import mlflow

    client = tracking.connect()
    ranker = Path(model_folder) / "ranker"
    shas = {"ranker": sha256_of(ranker), "encoder": sha256_of(encoder_folder)}
    existing = _existing(client, name, run_hash, shas["ranker"])
    if existing is not None:
        say("register", f"{name} version {existing} is this run's already")
        challenger = tracking.version_by_alias(client, name, tracking.CHALLENGER)
        # A newer challenger stays; an older one means that this run was killed before it set the alias.
        if challenger is None or int(challenger.version) < int(existing):
            client.set_registered_model_alias(name, tracking.CHALLENGER, existing)
        return existing
    evidence = json.loads((Path(evidence_folder) / "evidence.json").read_text())
    facts = read_manifest(samples_folder)
    trained = read_manifest(model_folder)
    mlflow.set_experiment(experiment_id=tracking.experiment_id(client, name))
    with (
        tempfile.TemporaryDirectory() as kept,
        mlflow.start_run(run_name=f"{task}-{run_hash[:8]}") as run,
    ):
        mlflow.set_tags({f"{tracking.TAG}run_hash": run_hash, f"{tracking.TAG}verdict": evidence["verdict"]})
        mlflow.log_params(
            {
                k: trained[k]
                for k in ("model", "ranker", "adapter", "epochs", "batch_size", "learning_rate", "seed")
            }
            | {"budget": evidence["budget"], "selected": evidence["selected"], "task": task}
        )
        mlflow.log_input(_dataset(facts), context="training")
        mlflow.log_artifact(str(Path(evidence_folder) / "evidence.json"))
        canary = Path(kept) / tracking.CANARY
        write_canary(canary, samples_folder, predictions_folder, evidence, task)
        shas[tracking.CANARY] = sha256_of(canary)
        info = _log_model({"ranker": str(ranker), "encoder": encoder_folder, tracking.CANARY: str(canary)})
        mlflow.log_metrics(_metrics(evidence), model_id=info.model_id)
        tags = {
            "run_hash": run_hash,
            "task": task,
            "ranker_kind": trained["ranker"],
            "data_sha256": facts["data_sha256"],
            "code": trained["code"],
            "verdict": evidence["verdict"],
            "gate": "passed" if evidence["gate"]["passed"] else "refused",
            "gate_against": evidence["champion_version"] or "none",
            "metric": evidence["metric"],
            **{f"{part}_sha256": sha for part, sha in shas.items()},
        }
        if client.search_registered_models(f"name = '{name}'") == []:
            client.create_registered_model(name, description=f"Assay ranker for {task}")
        version = client.create_model_version(
            name,
            info.model_uri,
            run.info.run_id,
            tags={f"{tracking.TAG}{k}": str(v) for k, v in tags.items()},
        )
    number = str(version.version)
    client.set_registered_model_alias(name, tracking.CHALLENGER, number)
    say("register", f"{name} version {number}")
    return number


def _existing(client, name: str, run_hash: str, ranker_sha256: str) -> str | None:
    found = [
        int(v.version)
        for v in client.search_model_versions(f"name = '{name}'")
        if v.tags.get(f"{tracking.TAG}run_hash") == run_hash
        and v.tags.get(f"{tracking.TAG}ranker_sha256") == ranker_sha256
    ]
    return str(min(found)) if found else None


def _dataset(facts: dict[str, Any]):
    import pandas as pd
    from mlflow.data.pandas_dataset import from_pandas

    # The rows stay where they are: counts and hashes are what lineage needs.
    frame = pd.DataFrame([facts["samples"]])
    return from_pandas(frame, name="samples", digest=facts["sha256"][:36])


def _metrics(evidence: dict) -> dict[str, float]:
    metric = evidence["metric"].replace("@", "_at_")
    values = {f"{name}.{metric}": r[evidence["metric"]] for name, r in evidence["results"].items() if r}
    # Of several trainings the arms' figures are means; this is the one whose weights the version holds.
    own = evidence["results"]["challenger"]
    values[f"version.{metric}"] = own.get("first", own[evidence["metric"]])
    for pair, comparison in evidence["comparisons"].items():
        if comparison:
            values |= {f"{pair}.{k}": v for k, v in comparison.items()}
    if evidence["noise"]:
        values |= {f"noise.{k}": v for k, v in evidence["noise"].items()}
    return {k: float(v) for k, v in values.items()}


def _log_model(parts: dict[str, str]):
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    inputs = Schema([ColSpec("string", "context"), ColSpec("string", "item")])
    versions = library_versions() | {n: metadata.version(n) for n in ("tokenizers", "safetensors")}
    for part, folder in parts.items():
        # MLflow names an artifact by its source folder, and `download_version` looks for the part's name.
        if Path(folder).name != part:
            raise ValueError(f"{folder}: the folder of part {part} must be called {part}")
    return mlflow.pyfunc.log_model(
        name="ranker",
        python_model=str(Path(__file__).with_name("pyfunc_model.py")),
        artifacts=parts,
        signature=ModelSignature(inputs=inputs, outputs=Schema([ColSpec("float")])),
        metadata={"example": {"context": "red running shoes", "item": "trail running shoe, red, size 42"}},
        pip_requirements=[f"{n}=={versions[n].partition('+')[0]}" for n in _REQUIREMENTS if n in versions],
    )
